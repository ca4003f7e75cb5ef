package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// watch is when the broker last looked at all live grants, and under which
// policy. Losing it costs nothing but a second look.
type watch struct {
	mu       sync.Mutex
	began    time.Time
	revision int64
}

// endForbidden ends live grants that are forbidden now (I6, T7, T8): at once
// after policy changed, and else once a minute, since people change too. What
// is merely no longer permitted stays: permits are pinned. So does whatever
// cannot be decided, for want of a fact or by a fault.
//
// Any number of brokers may look at once: who comes second finds the grant
// revoking, and leaves it as it is. The end itself needs nothing but the
// database (I10), and this step is no part of the reaper's pass.
func (b *Broker) endForbidden(ctx context.Context) error {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	var (
		after access.GrantID
		began time.Time
		ix    *contract.Index
		seen  int64 // the revision that the first grants were held against
		errs  []error
		again bool // one that should have ended did not
	)
	for {
		var (
			grants []store.LiveGrant
			found  []access.GrantID
			failed []error
		)
		err := b.store.InTx(ctx, func(tx *store.Tx) (err error) {
			grants, found, failed = nil, nil, nil
			if ix, err = b.inPolicy(ctx, tx); err != nil {
				return fmt.Errorf("loading policy: %w", err)
			}
			if after.IsZero() {
				began, seen = tx.Now, ix.Revision
			}
			if ix.Revision == 0 || ix.Revision == b.watch.revision && began.Sub(b.watch.began) < recheckEvery {
				return nil
			}
			if grants, err = tx.LiveGrantsAfter(ctx, after, batch); err != nil {
				return err
			}
			for _, g := range grants {
				reason, _, err := b.forbidden(ctx, tx, ix, g)
				if err != nil {
					failed = append(failed, err)
				} else if reason != "" {
					found = append(found, g.ID)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("looking for grants that are forbidden: %w", errors.Join(append(errs, err)...))
		}
		errs = append(errs, failed...)
		for _, id := range found {
			if err := b.endIfForbidden(ctx, id); err != nil {
				errs, again = append(errs, err), true
			}
		}
		if len(grants) < batch {
			break
		}
		after = grants[batch-1].ID
	}
	// A policy that came between two batches is looked at with the next pass.
	if !again && (seen != b.watch.revision || began.Sub(b.watch.began) >= recheckEvery) {
		b.watch.began, b.watch.revision = began, seen
	}
	return errors.Join(errs...)
}

// endIfForbidden looks at one grant again, under its locks, and ends it.
func (b *Broker) endIfForbidden(ctx context.Context, id access.GrantID) error {
	var before, after access.Grant
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		before, after = access.Grant{}, access.Grant{}
		ix, err := b.inPolicy(ctx, tx)
		if err != nil {
			return fmt.Errorf("loading policy: %w", err)
		}
		needs, g, err := lockGrant(ctx, tx, id)
		if err != nil {
			return err
		}
		before, after = g, g
		live, err := tx.LiveGrant(ctx, id)
		if err != nil || len(live) == 0 {
			return err
		}
		reason, why, err := b.forbidden(ctx, tx, ix, live[0])
		if err != nil || reason == "" {
			return err
		}
		after, err = b.endGrant(ctx, tx, needs, g, grantMove{actor: access.System, data: grantData{Why: why}}, reason)
		return err
	})
	if err != nil {
		return fmt.Errorf("ending grant %s, which is forbidden: %w", id, err)
	}
	b.metrics.moved(before, after)
	return nil
}

// forbidden says why a live grant has to end, "" when it may stay: by the
// guardrails and the state of its contract now (policy), or because its holder
// is no longer one of those that the contract was for when it was decided
// (identity).
func (b *Broker) forbidden(ctx context.Context, tx *store.Tx, now *contract.Index, g store.LiveGrant) (reason access.EndReason, why string, err error) {
	if why := engine.Forbidden(now, g.Item, g.Holder); why != "" {
		return access.EndByPolicy, why, nil
	}
	if why := notInForce(now, g.Contract); why != "" {
		return access.EndByPolicy, why, nil
	}
	pinned := now
	if g.Revision != now.Revision {
		if pinned, err = b.policyOf(ctx, tx, g.Revision); err != nil {
			return "", "", fmt.Errorf("loading the policy that decided grant %s: %w", g.ID, err)
		}
	}
	c, ok := pinned.Contract(g.Contract)
	if ok && engine.Excluded(pinned, c.Spec.Subjects, g.Holder) {
		return access.EndByIdentity, "The contract " + g.Contract + " is not for this person any more.", nil
	}
	return "", "", nil
}
