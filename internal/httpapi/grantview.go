package httpapi

import (
	"context"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/broker"
)

// grant shows a grant.
func (s operations) grant(v broker.GrantView) api.Grant {
	g := s.bareGrant(v.Grant, v.Requester)
	g.Overdue, g.Can = v.Overdue, cans(v.Can)
	if len(v.Attested) > 0 {
		g.AttestedBy = each(v.Attested, func(id access.PrincipalID) api.Person { return person(id, "", "") })
	}
	return g
}

// bareGrant shows a grant as part of its request, without what the caller may
// do to it.
func (s operations) bareGrant(g access.Grant, holder access.Subject) api.Grant {
	if holder.ID != g.Holder {
		holder = access.Subject{ID: g.Holder}
	}
	return api.Grant{
		ID: g.ID, RequestID: g.RequestID, Item: g.Item, Holder: subject(holder), Role: g.Role, Resource: g.Resource,
		Contract: g.Contract, Connector: g.Connector, State: g.State, Overdue: g.Overdue(s.Now()),
		DurationSeconds: int64(g.Duration), Duration: g.Duration.String(), MaxTotalSeconds: int64(g.MaxTotal),
		StartAt: g.StartAt, StartBy: g.StartBy, NotAfter: g.NotAfter, ExpiresAt: g.ExpiresAt,
		WorstCaseEnd: g.WorstCaseEnd(),
		StartedAt:    g.StartedAt, ActivatedAt: g.ActivatedAt, EndedAt: g.EndedAt, EndReason: g.EndReason,
		ExpiryClass: g.ExpiryClass, ResidualSeconds: bounded(g.Residual), CredentialsIssuedAt: g.CredentialsIssuedAt,
		Version: g.Version, CreatedAt: g.CreatedAt, Can: []api.Can{},
	}
}

// bounded shows a residual, or nothing where there is no bound.
func bounded(residual access.Seconds) *int64 {
	if residual < 0 {
		return nil
	}
	return new(int64(residual))
}

// GetCredentials hands the holder's credentials over. A browser must have
// asked from a page of ours: a GET of another site carries the cookie too.
func (s operations) GetCredentials(ctx context.Context, in api.GetCredentialsRequestObject) (api.GetCredentialsResponseObject, error) {
	c := callOf(ctx)
	if !c.caller.SessionID.IsZero() && c.request.Header.Get("Sec-Fetch-Site") != "same-origin" {
		return nil, errCrossOrigin
	}
	x, err := s.Broker.Credentials(ctx, c.caller, in.GrantID)
	if err != nil {
		return nil, err
	}
	return api.GetCredentials200JSONResponse{
		Username: x.Username, Password: x.Password, DSN: x.DSN, Command: x.Command, Env: x.Env, Until: x.Until,
	}, nil
}
