package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// batch bounds how many grants one transaction moves.
const batch = 500

// expireGrants moves every grant whose time is up to revoking (T7, T8). It
// reads nothing but the database (I10).
//
// A crash before a commit leaves grants that are expired still, which any
// reaper's next pass takes. A crash after it leaves entitlements that are due:
// each was due by the end of its first grant at the latest.
//
// A grant that cannot be moved keeps none of the others: when a batch fails,
// each grant gets a transaction of its own.
func (b *Broker) expireGrants(ctx context.Context) error {
	for {
		n, err := b.expireSome(ctx, batch)
		if err != nil && ctx.Err() == nil {
			return b.expireEach(ctx)
		}
		if err != nil || n < batch {
			return err
		}
	}
}

func (b *Broker) expireEach(ctx context.Context) error {
	var (
		after access.GrantID
		errs  []error
	)
	for {
		var ids []access.GrantID
		err := b.loopStore.InTx(ctx, func(tx *store.Tx) (err error) {
			ids, err = tx.ExpiredGrants(ctx, after, batch)
			return err
		})
		if err != nil {
			return fmt.Errorf("looking for expired grants: %w", errors.Join(append(errs, err)...))
		}
		for _, id := range ids {
			if _, err := b.expireSome(ctx, 1, id); err != nil {
				errs = append(errs, fmt.Errorf("grant %s: %w", id, err))
			}
			after = id
		}
		if len(ids) < batch {
			return errors.Join(errs...)
		}
	}
}

// expireSome moves at most so many, of the ids alone if there are any.
func (b *Broker) expireSome(ctx context.Context, limit int, ids ...access.GrantID) (int, error) {
	var expired []access.Grant
	err := b.loopStore.InTx(ctx, func(tx *store.Tx) error {
		var err error
		if expired, err = tx.ExpireGrants(ctx, limit, ids...); err != nil {
			return err
		}
		events := make([]access.Event, len(expired))
		for i, g := range expired {
			events[i] = access.Event{
				Stream: access.StreamOf(g.ID), Version: g.Version, Type: access.GrantRevoking, Actor: access.System,
				Data: encode(grantData{State: g.State, ExpiresAt: g.ExpiresAt.UTC(), Reason: g.EndReason}),
			}
		}
		return tx.Record(ctx, events...)
	})
	if err != nil {
		return 0, fmt.Errorf("expiring grants: %w", err)
	}
	b.at("expired")
	moved := make([]access.GrantID, len(expired))
	for i, g := range expired {
		moved[i] = g.ID
	}
	if len(moved) > 0 {
		// Where another grant needs the same, there is nothing to wait for.
		err = b.sweepSettled(ctx, moved...)
	}
	return len(moved), err
}

// sweepSettled looks after revoking grants for which everything is done
// already and that nobody has moved on: their entitlement was removed for
// another grant, or is needed by another one. It is a loop's step at most once
// in a poll, because it reads all revoking grants.
func (l *loop) sweepSettled(ctx context.Context) error {
	if !l.swept.IsZero() && l.began.Sub(l.swept) < l.b.poll {
		return nil
	}
	l.swept = l.began
	return l.b.sweepSettled(ctx)
}

func (b *Broker) sweepSettled(ctx context.Context, only ...access.GrantID) error {
	var (
		after access.GrantID
		errs  []error
	)
	for {
		var ids []access.GrantID
		err := b.loopStore.InTx(ctx, func(tx *store.Tx) (err error) {
			ids, err = tx.SettledGrants(ctx, after, batch, only...)
			return err
		})
		if err != nil {
			return fmt.Errorf("looking for settled grants: %w", errors.Join(append(errs, err)...))
		}
		for _, id := range ids {
			if err := b.settleOne(ctx, id); err != nil {
				errs = append(errs, err)
			}
			after = id
		}
		if len(ids) < batch {
			return errors.Join(errs...)
		}
	}
}

func (b *Broker) settleOne(ctx context.Context, id access.GrantID) error {
	var before, after access.Grant
	err := b.loopStore.InTx(ctx, func(tx *store.Tx) (err error) {
		if _, before, err = lockGrant(ctx, tx, id); err != nil {
			return err
		}
		after, err = b.settleGrant(ctx, tx, before)
		return err
	})
	if err != nil {
		return fmt.Errorf("settling grant %s: %w", id, err)
	}
	b.metrics.moved(before, after)
	return nil
}
