package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Extend asks for a later end of a grant. It is a request of its own, with
// its own decision and votes; when it is approved the grant's end moves (T12)
// and no new grant is made.
func (b *Broker) Extend(ctx context.Context, who access.Caller, id access.GrantID, by access.Seconds, reason, ticket string, key Key) (Submitted, error) {
	var ask access.Ask
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		g, err := tx.Grant(ctx, id)
		if err != nil {
			return fmt.Errorf("reading the grant: %w", err)
		}
		if g.Holder != who.ID {
			return b.notHolder(ctx, tx, who, g)
		}
		ask = access.Ask{
			Items: []access.Item{{Role: g.Role, Resource: g.Resource}}, Duration: by, Reason: reason, Ticket: ticket,
			Contract: g.Contract, Extends: g.ID,
		}
		return nil
	})
	if err != nil {
		return Submitted{}, b.refused(ctx, who, "grant.extend", id.String(), fmt.Errorf("extending: %w", err))
	}
	out, err := b.submit(ctx, who, ask, key)
	if err != nil {
		return out, fmt.Errorf("extending: %w", err)
	}
	return out, nil
}

// notHolder answers somebody else who wants to extend a grant: with the rule,
// if they may see the grant, or else as if there were none.
func (b *Broker) notHolder(ctx context.Context, tx *store.Tx, who access.Caller, g access.Grant) error {
	req, err := tx.Request(ctx, g.RequestID)
	if err != nil {
		return fmt.Errorf("reading the grant's request: %w", err)
	}
	seen, err := b.sights(ctx, tx, who, req)
	if err != nil {
		return err
	}
	if seen[req.ID] == unseen {
		return store.NoGrant()
	}
	return errNotHolder
}

var errNotHolder = &access.Error{Code: access.Forbidden, Message: "Only its holder may ask for a later end of a grant."}

// checkExtends refuses an extension of a grant that cannot have one.
func (b *Broker) checkExtends(ctx context.Context, tx *store.Tx, who access.PrincipalID, ask access.Ask) error {
	if ask.Extends.IsZero() {
		return nil
	}
	g, err := tx.Grant(ctx, ask.Extends)
	if err != nil {
		return fmt.Errorf("reading the grant: %w", err)
	}
	return mayExtend(g, who, tx.Now)
}

// mayExtend says why the person may not ask for a later end of the grant, or
// nil. How much later is for policy to say.
func mayExtend(g access.Grant, who access.PrincipalID, now time.Time) error {
	if g.Holder != who {
		return errNotHolder
	}
	if _, err := access.NextGrant(g.State, access.OnExtend, access.GrantFacts{
		Now: now, ExpiresAt: g.ExpiresAt, StartedAt: g.StartedAt, NewExpiry: g.ExpiresAt.Add(time.Second), MaxTotal: g.MaxTotal.Duration(),
	}); err != nil {
		if g.State != access.Active && g.State != access.Provisioning {
			return &access.Error{
				Code: access.StateConflict, Current: string(g.State),
				Message: "This grant is " + string(g.State) + ": only access that exists can be extended.",
			}
		}
		return err
	}
	if !g.NotAfter.IsZero() && !g.ExpiresAt.Before(g.NotAfter) {
		return &access.Error{
			Code: access.StateConflict, Current: string(g.State),
			Message: "The contract itself ends at " + stamp(g.NotAfter) + "; no grant outlives it.",
		}
	}
	return nil
}
