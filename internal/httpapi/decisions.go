package httpapi

import (
	"context"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/broker"
)

// ExplainDecision answers what the policy would say, and why.
func (s operations) ExplainDecision(ctx context.Context, in api.ExplainDecisionRequestObject) (api.ExplainDecisionResponseObject, error) {
	b := in.Body
	ask := askFor(api.Ask{Items: b.Items, Reason: b.Reason, Ticket: b.Ticket, StartAt: b.StartAt, Contract: b.Contract})
	if b.Duration != "" || b.DurationSeconds != 0 { // otherwise what the contract gives
		d, faults := length(b.Duration, b.DurationSeconds)
		if len(faults) > 0 {
			return nil, faulty(faults)
		}
		ask.Duration = d
	}
	input := broker.ExplainInput{Ask: ask}
	named := string(b.Subject)
	if of := me(ctx, &named); of != "" {
		input.Subject = &of
	}
	d, err := s.Broker.Explain(ctx, callOf(ctx).caller, input)
	if err != nil {
		return nil, err
	}
	return api.ExplainDecision200JSONResponse(d), nil
}

// GetDecision gives a stored decision.
func (s operations) GetDecision(ctx context.Context, in api.GetDecisionRequestObject) (api.GetDecisionResponseObject, error) {
	d, err := s.Broker.Decision(ctx, callOf(ctx).caller, in.DecisionID)
	if err != nil {
		return nil, err
	}
	return api.GetDecision200JSONResponse(d), nil
}
