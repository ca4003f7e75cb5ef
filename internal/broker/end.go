package broker

import (
	"context"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Release ends the caller's own grant before its time, or cancels it before
// its start. Repeating it changes nothing and gives the grant as it is.
func (b *Broker) Release(ctx context.Context, who access.Caller, id access.GrantID, reason string) (GrantView, error) {
	return b.endEarly(ctx, who, id, "grant.release", reason, func(g access.Grant, _ bool) (access.EndReason, error) {
		return access.EndByRequester, mayRelease(g, who)
	})
}

// Revoke ends a grant before its time, or cancels it before its start: by an
// approver whom its request names, a contract admin or an operator. Repeating
// it changes nothing and gives the grant as it is.
//
// It needs nothing but the database (I10): the loops take the access away.
func (b *Broker) Revoke(ctx context.Context, who access.Caller, id access.GrantID, reason string) (GrantView, error) {
	return b.endEarly(ctx, who, id, "grant.revoke", reason, func(g access.Grant, named bool) (access.EndReason, error) {
		return mayRevoke(g, who, named)
	})
}

func (b *Broker) endEarly(ctx context.Context, who access.Caller, id access.GrantID, action, reason string, may func(g access.Grant, named bool) (access.EndReason, error)) (GrantView, error) {
	if why := access.CheckText(reason, access.MaxReason); why != "" {
		return GrantView{}, &access.Error{
			Code: access.Invalid, Message: "The reason cannot be taken as it is.",
			Details: []access.Detail{{Pointer: "/reason", Detail: why}},
		}
	}
	var (
		view          GrantView
		before, after access.Grant
	)
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		if _, err := b.seenGrant(ctx, tx, who, id); err != nil {
			return err
		}
		needs, g, err := lockGrant(ctx, tx, id)
		if err != nil {
			return err
		}
		named, err := tx.NamedIn(ctx, who.Subject, g.RequestID)
		if err != nil {
			return fmt.Errorf("reading whom the request names: %w", err)
		}
		before, after = g, g
		cause, err := may(g, named[g.RequestID])
		if err != nil && !access.IsCode(err, access.StateConflict) {
			return err
		}
		if err == nil {
			move := grantMove{actor: who.ID}
			if reason != "" {
				note := store.GrantNote{Grant: id, Kind: store.NoteEnd, Author: who.ID, Text: reason, Salt: newSalt(), At: tx.Now}
				if err := tx.InsertGrantNote(ctx, note); err != nil {
					return err
				}
				move.data.Note = access.SaltedDigest(note.Salt, reason)
			}
			if after, err = b.endGrant(ctx, tx, needs, g, move, cause); err != nil {
				return err
			}
		}
		view, err = b.grantView(ctx, tx, who, id)
		return err
	})
	if err != nil {
		return GrantView{}, b.refused(ctx, who, action, id.String(), err)
	}
	b.metrics.moved(before, after)
	return view, nil
}
