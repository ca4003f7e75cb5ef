package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// entitlementData is the data of an entitlement's events.
type entitlementData struct {
	Connector     string             `json:"connector"`
	Account       string             `json:"account"`
	Permission    string             `json:"permission"`
	Operation     access.OperationID `json:"operation_id"`
	Presence      access.Presence    `json:"presence"`
	Until         time.Time          `json:"until,omitzero"`
	SessionsEnded int                `json:"sessions_ended,omitempty"`
	Findings      []string           `json:"findings,omitempty"`
	Error         string             `json:"error,omitempty"`
}

// finish puts on record what came of a job and moves the grants that waited
// for it. It gives the grants that can never be provisioned.
//
// A crash before the commit leaves the operation open and the lease running;
// a crash after it leaves nothing to repair.
func (b *Broker) finish(ctx context.Context, j job, r result) (hopeless []access.GrantID, err error) {
	var moves [][2]access.Grant
	err = b.loopStore.InTx(ctx, func(tx *store.Tx) error {
		hopeless, moves = nil, nil
		e, err := tx.LockEntitlement(ctx, j.entitlement.ID)
		if err != nil {
			return err
		}
		if err := tx.FinishOperation(ctx, j.op.ID, r.outcome, textOf(r.err)); err != nil {
			return err
		}
		if e.Fence != j.op.Fence {
			// We are late and somebody else holds it or has been here since. What
			// we saw is old, but what we did may be new: it has to be looked at.
			return tx.WakeEntitlements(ctx, tx.Now, e.ID)
		}
		standing, err := tx.Standings(ctx, []access.Entitlement{e})
		if err != nil {
			return err
		}
		needs := standing[0].Needs
		if err := b.saveFound(ctx, tx, e, j, r, needs); err != nil {
			return err
		}
		for _, n := range needs {
			if n.State == access.Active {
				continue
			}
			g, err := tx.LockGrant(ctx, n.Grant)
			if err != nil {
				return err
			}
			if g.State == access.Provisioning && j.op.Kind == access.OpEnsure && r.outcome == access.Failed && errors.Is(r.err, connector.ErrPermanent) {
				hopeless = append(hopeless, g.ID)
				continue
			}
			after, err := b.settleGrant(ctx, tx, g)
			if err != nil {
				return err
			}
			moves = append(moves, [2]access.Grant{g, after})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("finishing: %w", err)
	}
	for _, m := range moves {
		b.metrics.moved(m[0], m[1])
	}
	return hopeless, nil
}

// saveFound saves what a job found about its entitlement, and when the next
// look is due.
func (b *Broker) saveFound(ctx context.Context, tx *store.Tx, e access.Entitlement, j job, r result, needs []access.Need) error {
	before := e
	data := entitlementData{
		Connector: e.Connector, Account: e.Account, Permission: e.Permission, Operation: j.op.ID,
		SessionsEnded: r.seen.SessionsEnded, Findings: r.seen.Findings, Error: textOf(r.err),
	}
	e.Presence = r.presence
	kind := access.EntitlementFailed
	if r.err == nil {
		kind = access.EntitlementRemoved
		e.Until, e.Failures, e.LastError = time.Time{}, 0, ""
		if j.op.Kind == access.OpEnsure {
			kind = access.EntitlementEnsured
			e.Until = j.until.UTC()
		}
	} else {
		e.LastError = textOf(r.err)
		e.Failures++
		if j.fresh {
			e.Failures = 1
		}
	}
	e.NextAt = nextLook(j, r, e.Failures, needs, tx.Now, b.skew)

	// One failure after another would tell the same; the attempts themselves
	// are rows of their own.
	if e.Presence != before.Presence || !e.Until.Equal(before.Until) || r.err != nil && e.Failures == 1 {
		e.Version++
		data.Presence, data.Until = e.Presence, e.Until
		err := tx.Record(ctx, access.Event{
			Stream: access.StreamOf(e.ID), Version: e.Version, Type: kind, Actor: access.System, Data: encode(data),
		})
		if err != nil {
			return fmt.Errorf("recording %s: %w", kind, err)
		}
	}
	return tx.SaveEntitlement(ctx, e)
}

// nextLook says when an entitlement is due again, zero for never: at once
// when it is wanted otherwise than it was made; after the backoff when the job
// failed; else at the earliest end of a grant that needs it.
//
// However long the backoff, it is due by that end, so that nothing else has
// to make it due when a grant expires.
func nextLook(j job, r result, failures int, needs []access.Need, now time.Time, skew time.Duration) time.Time {
	until := access.Wanted(needs, now)
	turned := until.IsZero() != (j.op.Kind == access.OpRemove)
	var quiet time.Time
	if r.outcome == access.Uncertain {
		quiet = j.op.Deadline.Add(skew) // R3: nothing can be confirmed before
	}
	next := time.Time{}
	switch {
	case turned:
		next = now
	case r.err != nil:
		next = now.Add(access.Backoff(failures))
	case j.op.Kind == access.OpEnsure && !until.Equal(j.until):
		next = now // its end moved meanwhile
	}
	if end := earliestEnd(needs, now); !end.IsZero() && (next.IsZero() || end.Before(next)) {
		next = end
	}
	if !next.IsZero() && next.Before(quiet) {
		next = quiet
	}
	return next
}

func earliestEnd(needs []access.Need, now time.Time) (end time.Time) {
	for _, n := range needs {
		live := (n.State == access.Provisioning || n.State == access.Active) && now.Before(n.ExpiresAt)
		if live && (end.IsZero() || n.ExpiresAt.Before(end)) {
			end = n.ExpiresAt
		}
	}
	return end
}

// giveUp ends a grant that can never be provisioned (T7). It is a transaction
// of its own because it locks all entitlements of the grant, in order. A crash
// before it leaves a grant in provisioning, whose next attempt ends here again.
func (b *Broker) giveUp(ctx context.Context, id access.GrantID) error {
	var before, after access.Grant
	err := b.loopStore.InTx(ctx, func(tx *store.Tx) error {
		needs, g, err := lockGrant(ctx, tx, id)
		if err != nil {
			return err
		}
		before, after = g, g
		if g.State != access.Provisioning {
			return nil
		}
		after, err = b.endGrant(ctx, tx, needs, g, grantMove{actor: access.System}, access.EndFailedProvision)
		return err
	})
	if err != nil {
		return fmt.Errorf("giving up grant %s: %w", id, err)
	}
	b.metrics.moved(before, after)
	return nil
}

// textOf gives what is kept of an error: text that Postgres takes, of a
// length that a page shows.
func textOf(err error) string {
	if err == nil {
		return ""
	}
	const most = 1000
	s := strings.ReplaceAll(err.Error(), "\x00", "")
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}
