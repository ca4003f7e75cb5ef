package httpapi

import (
	"context"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/broker"
)

// ExplainDecision answers what the policy would say, and why.
func (s operations) ExplainDecision(ctx context.Context, in api.ExplainDecisionRequestObject) (api.ExplainDecisionResponseObject, error) {
	b := in.Body
	ask, err := askOf(api.Ask{
		Items: b.Items, Duration: b.Duration, DurationSeconds: b.DurationSeconds,
		Reason: b.Reason, Ticket: b.Ticket, StartAt: b.StartAt, Contract: b.Contract,
	})
	if err != nil {
		return nil, err
	}
	input := broker.ExplainInput{Ask: ask}
	if b.Subject != "" {
		input.Subject = new(access.PrincipalID)
		*input.Subject = b.Subject
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
