package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// move takes a locked request one step of its lifecycle and records the
// event. The request is brought up to date in place.
func (b *Broker) move(ctx context.Context, tx *store.Tx, req *access.Request, on access.Trigger, kind access.EventType, actor access.PrincipalID, data any) error {
	to, err := access.NextRequest(req.State, on)
	if err != nil {
		return err
	}
	req.State = to
	req.Version++
	if to != access.Pending {
		req.DecidedAt = tx.Now
	}
	if err := tx.MoveRequest(ctx, *req, on); err != nil {
		return fmt.Errorf("moving the request to %s: %w", to, err)
	}
	if err := tx.Record(ctx, requestEvent(*req, kind, actor, data)); err != nil {
		return fmt.Errorf("recording %s: %w", kind, err)
	}
	return nil
}

// expire ends a locked pending request whose time to decide is over.
func (b *Broker) expire(ctx context.Context, tx *store.Tx, req *access.Request) error {
	req.StateReason = "Nobody decided by " + stamp(req.DecideBy) + "."
	return b.move(ctx, tx, req, access.OnExpire, access.RequestExpired, access.System, closedData{
		RequestHash: req.Hash, DecisionID: req.DecisionID, Why: req.StateReason,
	})
}

// lockSeen locks a request that the caller may see. One that is hidden is as
// absent as one that does not exist.
func (b *Broker) lockSeen(ctx context.Context, tx *store.Tx, who access.Caller, id access.RequestID) (access.Request, error) {
	req, err := tx.LockRequest(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return access.Request{}, errNoRequest
	}
	if err != nil {
		return access.Request{}, fmt.Errorf("locking the request: %w", err)
	}
	seen, err := b.sights(ctx, tx, who, req)
	if err != nil {
		return access.Request{}, err
	}
	if seen[req.ID] == unseen {
		return access.Request{}, errNoRequest
	}
	return req, nil
}

// stamp writes an instant for a sentence.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
