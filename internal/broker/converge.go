package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Converge brings entitlements to their desired state: claim, call, finish.
// Desired is computed from the grants each time, so that overlap, extension,
// early ends and recovery from a crash are one mechanism, and there is no
// recovery code: a worker that died leaves a row that is due again.

// job is one operation on one entitlement, on record and ready to be called.
type job struct {
	entitlement access.Entitlement
	op          access.Operation
	until       time.Time // of OpEnsure
	fresh       bool      // the operation before was of the other kind, or there was none
	entry       connector.Entry
	// deadline is the operation's, by this process's clock. It was set before
	// the claim, so that the call ends before the operation may be taken for lost.
	deadline time.Time
}

// claim takes entitlements that are due, of those wanted present or of those
// to be removed, and puts an operation on record for each (R1).
//
// A crash before the commit leaves nothing. A crash after it leaves open
// operations and leases: when the lease is over, the operation can land no
// more, the entitlement is due still, and the next claim looks at it afresh.
func (b *Broker) claim(ctx context.Context, present bool, slots []store.Slots) (jobs []job, err error) {
	timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.opTimeout)
	cancel()
	here, _ := timeout.Deadline()
	err = b.loopStore.InTx(ctx, func(tx *store.Tx) error {
		jobs = nil
		claims, err := tx.ClaimEntitlements(ctx, present, slots)
		if err != nil {
			return err
		}
		var (
			ops       []access.Operation
			postponed []access.Entitlement
			deadline  = tx.Now.Add(b.opTimeout)
		)
		for _, c := range claims {
			until := access.Wanted(c.Needs, tx.Now)
			if until.IsZero() == present {
				continue // it turned while we waited for the lock; the other loop has it
			}
			if at := access.Quiet(c.Operations, tx.Now, b.skew); !at.IsZero() {
				c.NextAt = at // R3: what was started earlier may still land
				postponed = append(postponed, c.Entitlement)
				continue
			}
			kind := access.OpRemove
			if present {
				kind = access.OpEnsure
			}
			op := access.Operation{
				ID: access.NewID[access.OperationID](tx.Now), EntitlementID: c.ID, Kind: kind,
				Fence: c.Fence + 1, Deadline: deadline, Outcome: access.Open, StartedAt: tx.Now,
			}
			entry, _ := b.connectors.Get(c.Connector) // claimed by the registry's names
			ops = append(ops, op)
			jobs = append(jobs, job{
				entitlement: c.Entitlement, op: op, until: until, fresh: c.LastKind != kind, entry: entry, deadline: here,
			})
		}
		if err := tx.PostponeEntitlements(ctx, postponed); err != nil {
			return err
		}
		return tx.BeginOperations(ctx, ops, deadline, deadline.Add(b.skew))
	})
	if err != nil {
		return nil, fmt.Errorf("claiming: %w", err)
	}
	return jobs, nil
}

// result is what came of a job.
type result struct {
	outcome  access.OperationOutcome
	presence access.Presence // as it was read back, or else unknown
	seen     connector.Observation
	err      error // why it is not as wanted, nil when it is
}

func (j job) wanted() access.Presence {
	if j.op.Kind == access.OpEnsure {
		return access.Present
	}
	return access.Absent
}

// errNotAsWanted is a target that says yes and shows no.
var errNotAsWanted = errors.New("the target said yes, but reads back otherwise")

// call calls the connector. What the call itself reports is not believed: the
// entitlement is read back once more, so that a target which says yes and
// does nothing is found out. After one that said no, nobody knows what is
// there: it may have done a part of it before.
func (j job) call(ctx context.Context) (r result) {
	r.presence = access.UnknownPresence
	defer func() {
		if p := recover(); p != nil {
			r = result{outcome: access.Uncertain, presence: access.UnknownPresence, err: fmt.Errorf("the connector panicked: %v", p)}
		}
	}()
	var err error
	if j.op.Kind == access.OpEnsure {
		r.seen, err = j.entry.Connector.Ensure(ctx, j.entitlement.EntitlementKey, j.until)
	} else {
		r.seen, err = j.entry.Connector.Remove(ctx, j.entitlement.EntitlementKey)
	}
	switch {
	case errors.Is(err, connector.ErrRefused), errors.Is(err, connector.ErrPermanent):
		r.outcome, r.err = access.Failed, err // nothing can land later
		return r
	case err != nil:
		r.outcome, r.err = access.Uncertain, err
		return r
	}
	r.outcome = access.Succeeded
	seen, err := j.entry.Connector.Observe(ctx, j.entitlement.EntitlementKey)
	if err != nil {
		r.err = fmt.Errorf("reading back: %w", err)
		return r
	}
	// Live sessions do not count here: an account may have some by another
	// entitlement. Remove has ended those of this one, or has failed.
	r.presence = access.Absent
	if seen.Present {
		r.presence = access.Present
	}
	if r.presence != j.wanted() {
		r.err = errNotAsWanted
	}
	return r
}

// callContext ends at the job's deadline, and a little after ctx does: an
// operation that is cut off leaves its effect in doubt, so what is under way
// when the process is told to stop gets the time to finish.
func callContext(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	const grace = 3 * time.Second
	call, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-call.Done():
		}
	})
	return call, func() { stop(); cancel() }
}

// work does one job. What it could not put on record is repaired like a
// crash: by the next claim, after the lease.
func (b *Broker) work(ctx context.Context, j job) {
	b.at("claimed")
	callCtx, cancel := callContext(ctx, j.deadline)
	r := j.call(callCtx)
	cancel()
	b.at("called")
	b.metrics.operation(j, r)

	const enough = 10 * time.Second
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), enough)
	defer cancel()
	hopeless, err := b.finish(ctx, j, r)
	b.at("finished")
	for _, id := range hopeless {
		err = errors.Join(err, b.giveUp(ctx, id))
	}
	if err != nil {
		b.log.ErrorContext(ctx, "finishing an operation failed", "connector", j.entitlement.Connector,
			"entitlement", j.entitlement.ID.String(), "operation", j.op.ID.String(), "err", err)
	}
}
