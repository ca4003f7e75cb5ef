package httpapi

import (
	"context"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/broker"
)

// ListGrants lists grants that the caller may see.
func (s operations) ListGrants(ctx context.Context, in api.ListGrantsRequestObject) (api.ListGrantsResponseObject, error) {
	p := in.Params
	states := or(p.State)
	if p.Live != nil {
		if len(states) > 0 {
			return nil, faulty([]access.Detail{{Parameter: "live", Detail: "give live or state, not both"}})
		}
		for _, state := range grantStates {
			if state.Live() == *p.Live {
				states = append(states, state)
			}
		}
	}
	page, err := s.Broker.Grants(ctx, callOf(ctx).caller, broker.GrantFilter{
		States: states, Contract: or(p.Contract), Resource: or(p.Resource), Holder: me(ctx, p.Holder),
		Since: or(p.Since), Query: or(p.Q), Limit: limitOf(p.Limit), Cursor: or(p.Cursor),
	})
	if err != nil {
		return nil, err
	}
	return api.ListGrants200JSONResponse{Items: each(page.Items, s.grant), NextCursor: page.Next}, nil
}

var grantStates = []access.GrantState{
	access.Scheduled, access.Provisioning, access.Active, access.Revoking, access.Ended, access.Lapsed, access.Cancelled,
}

// GetGrant gives one grant, and waits for a change where that is asked.
func (s operations) GetGrant(ctx context.Context, in api.GetGrantRequestObject) (api.GetGrantResponseObject, error) {
	body, tag, fresh, err := poll(ctx, s.Server, access.StreamOf(in.GrantID), in.Params.IfNoneMatch, in.Params.Prefer,
		func() (api.Grant, string, error) {
			v, err := s.Broker.Grant(ctx, callOf(ctx).caller, in.GrantID)
			if err != nil {
				return api.Grant{}, "", err
			}
			body := s.grant(v)
			return body, etag(body.Version, body), nil
		})
	if err != nil {
		return nil, err
	}
	if !fresh {
		return api.GetGrant304Response{Headers: api.NotModifiedResponseHeaders{ETag: tag}}, nil
	}
	return api.GetGrant200JSONResponse{GrantJSONResponse: api.GrantJSONResponse{
		Body: body, Headers: api.GrantResponseHeaders{ETag: tag},
	}}, nil
}

// grantAnswer is the answer that most operations on a grant share.
func (s operations) grantAnswer(v broker.GrantView) api.GrantJSONResponse {
	body := s.grant(v)
	return api.GrantJSONResponse{Body: body, Headers: api.GrantResponseHeaders{ETag: etag(body.Version, body)}}
}

// ActivateGrant starts a grant that is due.
func (s operations) ActivateGrant(ctx context.Context, in api.ActivateGrantRequestObject) (api.ActivateGrantResponseObject, error) {
	v, err := s.Broker.Activate(ctx, callOf(ctx).caller, in.GrantID)
	if err != nil {
		return nil, err
	}
	answer := s.grantAnswer(v)
	if v.State == access.Active {
		return api.ActivateGrant200JSONResponse{GrantJSONResponse: answer}, nil
	}
	return api.ActivateGrant202JSONResponse{
		Body: answer.Body, Headers: api.ActivateGrant202ResponseHeaders{ETag: answer.Headers.ETag},
	}, nil
}

// ReleaseGrant gives one's own access back.
func (s operations) ReleaseGrant(ctx context.Context, in api.ReleaseGrantRequestObject) (api.ReleaseGrantResponseObject, error) {
	v, err := s.Broker.Release(ctx, callOf(ctx).caller, in.GrantID, or(in.Body).Reason)
	if err != nil {
		return nil, err
	}
	return api.ReleaseGrant202JSONResponse{GrantJSONResponse: s.grantAnswer(v)}, nil
}

// RevokeGrant ends somebody's access.
func (s operations) RevokeGrant(ctx context.Context, in api.RevokeGrantRequestObject) (api.RevokeGrantResponseObject, error) {
	v, err := s.Broker.Revoke(ctx, callOf(ctx).caller, in.GrantID, or(in.Body).Reason)
	if err != nil {
		return nil, err
	}
	return api.RevokeGrant202JSONResponse{GrantJSONResponse: s.grantAnswer(v)}, nil
}

// AttestGrant signs that an overdue grant's access is gone.
func (s operations) AttestGrant(ctx context.Context, in api.AttestGrantRequestObject) (api.AttestGrantResponseObject, error) {
	v, err := s.Broker.Attest(ctx, callOf(ctx).caller, in.GrantID, in.Body.Evidence)
	if err != nil {
		return nil, err
	}
	return api.AttestGrant200JSONResponse{GrantJSONResponse: s.grantAnswer(v)}, nil
}

// ShortenGrant moves a grant's end closer.
func (s operations) ShortenGrant(ctx context.Context, in api.ShortenGrantRequestObject) (api.ShortenGrantResponseObject, error) {
	version, anyVersion, err := ifMatch(in.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	end, err := newEnd(*in.Body)
	if err != nil {
		return nil, err
	}
	who := callOf(ctx).caller
	// An end can only come closer, so what happens between this look and the
	// change costs nobody anything.
	now, err := s.Broker.Grant(ctx, who, in.GrantID)
	if err != nil {
		return nil, err
	}
	if !anyVersion && now.Version != version {
		return nil, &access.Error{Code: access.PreconditionFailed, Message: "The grant has changed since you read it. Read it again, and then decide."}
	}
	v, err := s.Broker.Shorten(ctx, who, in.GrantID, end)
	if err != nil {
		return nil, err
	}
	return api.ShortenGrant200JSONResponse{GrantJSONResponse: s.grantAnswer(v)}, nil
}

func newEnd(in api.NewEnd) (broker.NewEnd, error) {
	if in.ExpiresAt.IsZero() {
		d, faults := length(in.Duration, in.DurationSeconds)
		if len(faults) > 0 {
			return broker.NewEnd{}, faulty(faults)
		}
		return broker.NewEnd{Duration: d}, nil
	}
	if in.Duration != "" || in.DurationSeconds != 0 {
		return broker.NewEnd{}, faulty([]access.Detail{{Pointer: "/expires_at", Detail: "give expires_at or a duration, not both"}})
	}
	return broker.NewEnd{At: in.ExpiresAt.UTC()}, nil
}

// ExtendGrant asks for more time.
func (s operations) ExtendGrant(ctx context.Context, in api.ExtendGrantRequestObject) (api.ExtendGrantResponseObject, error) {
	d, faults := length(in.Body.Duration, in.Body.DurationSeconds)
	if len(faults) > 0 {
		return nil, faulty(faults)
	}
	out, err := s.Broker.Extend(ctx, callOf(ctx).caller, in.GrantID, d, in.Body.Reason, in.Body.Ticket, keyOf(ctx, in.Params.IdempotencyKey))
	if err != nil {
		return nil, s.refusal(ctx, out, err)
	}
	body := s.request(out.Request)
	tag, at := etag(body.Version, body), requestPath(body.ID)
	if out.Existing {
		return api.ExtendGrant200JSONResponse{Body: body, Headers: api.ExtendGrant200ResponseHeaders{
			ETag: tag, Location: at, IdempotencyReplayed: replayed(out.Replayed),
		}}, nil
	}
	return api.ExtendGrant201JSONResponse{
		Body: body, Headers: api.ExtendGrant201ResponseHeaders{ETag: tag, Location: at, IdempotencyReplayed: replayed(out.Replayed)},
	}, nil
}
