package broker

import (
	"context"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Withdraw takes back a request that still waits (T4). Only its requester
// may.
func (b *Broker) Withdraw(ctx context.Context, who access.Caller, id access.RequestID) (RequestView, error) {
	var (
		view   RequestView
		closed closing
	)
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		req, err := b.lockSeen(ctx, tx, who, id)
		if err != nil {
			return err
		}
		if err := mayWithdraw(req, who.ID); err != nil {
			return err
		}
		if err := b.move(ctx, tx, &req, access.OnWithdraw, access.RequestWithdrawn, who.ID, closedData{
			RequestHash: req.Hash, DecisionID: req.DecisionID,
		}); err != nil {
			return err
		}
		d, err := tx.Decision(ctx, req.DecisionID)
		if err != nil {
			return fmt.Errorf("reading the decision: %w", err)
		}
		closed = closing{req, d}
		view, err = b.loadView(ctx, tx, who, id)
		return err
	})
	if err != nil {
		return RequestView{}, b.refused(ctx, who, "request.withdraw", id.String(), fmt.Errorf("withdrawing: %w", err))
	}
	b.countClosed(closed)
	return view, nil
}

// mayWithdraw says why the person may not take the request back, or nil.
func mayWithdraw(req access.Request, who access.PrincipalID) error {
	switch {
	case req.Requester != who:
		return &access.Error{Code: access.Forbidden, Message: "Only its requester may withdraw a request; an approver denies it instead."}
	case req.State == access.Approved:
		return &access.Error{
			Code: access.StateConflict, Message: "This request is approved already; release its grant instead.", Current: string(req.State),
		}
	case req.State != access.Pending:
		return &access.Error{
			Code: access.StateConflict, Message: "This request is " + string(req.State) + " already.", Current: string(req.State),
		}
	}
	return nil
}
