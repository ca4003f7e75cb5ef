package httpapi

import (
	"context"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/broker"
)

// ListConnectors lists the configured targets.
func (s operations) ListConnectors(ctx context.Context, _ api.ListConnectorsRequestObject) (api.ListConnectorsResponseObject, error) {
	views, err := s.Broker.Connectors(ctx, callOf(ctx).caller)
	if err != nil {
		return nil, err
	}
	return api.ListConnectors200JSONResponse{Items: each(views, func(v broker.ConnectorView) api.Connector {
		return api.Connector{Name: v.Name, Type: v.Type, ExpiryClass: v.ExpiryClass, ResidualSeconds: bounded(v.Residual), LastSuccessAt: v.LastSuccess}
	})}, nil
}

// TestConnector proves that the broker's rights on a target are right.
func (s operations) TestConnector(ctx context.Context, in api.TestConnectorRequestObject) (api.TestConnectorResponseObject, error) {
	checks, err := s.Broker.TestConnector(ctx, callOf(ctx).caller, in.Connector)
	if err != nil {
		return nil, err
	}
	answer := api.ConnectorTest{OK: true, Checks: []api.Check{}}
	for _, c := range checks {
		answer.OK = answer.OK && c.OK
		answer.Checks = append(answer.Checks, api.Check{Name: c.Name, OK: c.OK, Detail: c.Detail})
	}
	return api.TestConnector200JSONResponse(answer), nil
}
