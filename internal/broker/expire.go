package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

const (
	overdueBatch = 100
	recheckBatch = 20
	recheckEvery = time.Minute
)

// round is how far the broker has come in looking at all pending requests
// again. Losing it costs nothing but a second look.
type round struct {
	mu       sync.Mutex
	after    int64 // the last request looked at, 0 between rounds
	revision int64 // of the policy, when the round began
	began    time.Time
}

// sweepRequests ends the pending requests that nobody can decide any more
// (T4): those whose time to decide is over expire, and those that no longer
// stand, or whose seats nobody is left to fill, are invalidated. The loops
// call it; any number of brokers may at once.
func (b *Broker) sweepRequests(ctx context.Context) error {
	for {
		n, err := b.expireOverdue(ctx)
		if err != nil {
			return fmt.Errorf("expiring requests: %w", err)
		}
		if n < overdueBatch {
			break
		}
	}
	if err := b.recheckPending(ctx); err != nil {
		return fmt.Errorf("checking pending requests again: %w", err)
	}
	return nil
}

func (b *Broker) expireOverdue(ctx context.Context) (int, error) {
	var closed []closing
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		closed = nil
		reqs, err := tx.LockOverdueRequests(ctx, overdueBatch)
		if err != nil {
			return fmt.Errorf("claiming them: %w", err)
		}
		for _, req := range reqs {
			d, err := tx.Decision(ctx, req.DecisionID)
			if err != nil {
				return fmt.Errorf("reading the decision: %w", err)
			}
			if err := b.expire(ctx, tx, &req); err != nil {
				return err
			}
			closed = append(closed, closing{req, d})
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	b.countClosed(closed...)
	return len(closed), nil
}

// recheckPending looks at some of the pending requests again: all of them
// once a minute, and at once after policy changed.
func (b *Broker) recheckPending(ctx context.Context) error {
	b.round.mu.Lock()
	defer b.round.mu.Unlock()
	var (
		closed        []closing
		after         int64
		revision      int64
		now           time.Time
		nothingToDo   bool
		roundFinished bool
	)
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		closed, nothingToDo = nil, false
		ix, err := b.inPolicy(ctx, tx)
		if err != nil {
			return fmt.Errorf("loading policy: %w", err)
		}
		now, revision, after = tx.Now, ix.Revision, b.round.after
		if revision != b.round.revision {
			after = 0
		} else if after == 0 && now.Sub(b.round.began) < recheckEvery {
			nothingToDo = true
			return nil
		}
		reqs, err := tx.LockPendingRequests(ctx, after, recheckBatch)
		if err != nil {
			return fmt.Errorf("claiming them: %w", err)
		}
		roundFinished = len(reqs) < recheckBatch
		for _, req := range reqs {
			d, err := tx.Decision(ctx, req.DecisionID)
			if err != nil {
				return fmt.Errorf("reading the decision: %w", err)
			}
			if err := b.lookAgain(ctx, tx, ix, &req, d); err != nil {
				return err
			}
			if req.State != access.Pending {
				closed = append(closed, closing{req, d})
			}
			after = req.Number
		}
		return nil
	})
	if err != nil || nothingToDo {
		return err
	}
	if b.round.after == 0 || revision != b.round.revision {
		b.round.began, b.round.revision = now, revision
	}
	b.round.after = after
	if roundFinished {
		b.round.after = 0
	}
	b.countClosed(closed...)
	return nil
}

// lookAgain ends a locked pending request that no longer stands. Votes may
// also have come to suffice without a new one, when an approver is back in
// the group: then it is settled.
func (b *Broker) lookAgain(ctx context.Context, tx *store.Tx, ix *contract.Index, req *access.Request, d access.Decision) error {
	votes, err := tx.VotesOn(ctx, req.ID)
	if err != nil {
		return fmt.Errorf("reading the votes: %w", err)
	}
	people, err := votersOf(ctx, tx, votes)
	if err != nil {
		return err
	}
	if engine.Count(d, req.Requester, votes, people).State != engine.Open {
		return b.settle(ctx, tx, ix, access.System, req, d, votes, people)
	}
	// A limit that is reached now may have room again when the last vote is
	// cast, so it ends nothing yet.
	why, err := b.recheck(ctx, tx, ix, *req, d, nil, func(f engine.Facts) engine.Facts {
		f.Live = nil
		return f
	})
	if err != nil || why == "" {
		return err
	}
	req.StateReason = why
	return b.move(ctx, tx, req, access.OnInvalidate, access.RequestInvalidated, access.System, closedData{
		RequestHash: req.Hash, DecisionID: d.ID, PolicyRevision: ix.Revision, Why: why,
	})
}
