package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// NewEnd is an earlier end for a grant: an instant, or how long from its
// start. One of the two is set.
type NewEnd struct {
	At       time.Time
	Duration access.Seconds
}

// Shorten brings a grant's end forward (T13), by its holder or an approver
// whom its request names. Ending it now is Release or Revoke.
func (b *Broker) Shorten(ctx context.Context, who access.Caller, id access.GrantID, by NewEnd) (GrantView, error) {
	if by.At.IsZero() == (by.Duration == 0) || by.Duration < 0 {
		return GrantView{}, badEnd("give either an instant or a length of time from the grant's start")
	}
	var view GrantView
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
		if err := mayShorten(g, who, named[g.RequestID], tx.Now); err != nil {
			return err
		}
		end := by.At.UTC().Truncate(time.Microsecond)
		if by.Duration > 0 {
			end = g.StartedAt.Add(by.Duration.Duration())
		}
		if !end.After(tx.Now) {
			return badEnd("is in the past: it is now " + stamp(tx.Now) + "; to end the grant at once, release or revoke it")
		}
		_, err = b.moveGrant(ctx, tx, g, grantMove{
			on: access.OnShorten, actor: who.ID, facts: access.GrantFacts{NewExpiry: end},
			set: func(g *access.Grant) { g.ExpiresAt = end },
		})
		if err != nil {
			return err
		}
		// The target may hold the old end; and the entitlement has to be due by
		// the new one.
		if err := tx.WakeEntitlements(ctx, tx.Now, idsOf(needs)...); err != nil {
			return err
		}
		view, err = b.grantView(ctx, tx, who, id)
		return err
	})
	if err != nil {
		return GrantView{}, b.refused(ctx, who, "grant.shorten", id.String(), err)
	}
	return view, nil
}

func badEnd(detail string) error {
	return &access.Error{
		Code: access.Invalid, Message: "The new end cannot be taken as it is.",
		Details: []access.Detail{{Pointer: "/expires_at", Detail: detail}},
	}
}
