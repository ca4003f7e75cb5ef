package httpapi

import (
	"context"
	"fmt"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/broker"
)

// ListRequests lists requests that the caller may see.
func (s operations) ListRequests(ctx context.Context, in api.ListRequestsRequestObject) (api.ListRequestsResponseObject, error) {
	p := in.Params
	page, err := s.Broker.Requests(ctx, callOf(ctx).caller, broker.RequestFilter{
		States: or(p.State), Contract: or(p.Contract), Resource: or(p.Resource),
		Requester: me(ctx, p.Requester), Approver: p.Approver != nil,
		Since: or(p.Since), Until: or(p.Until), Query: or(p.Q), Limit: limitOf(p.Limit), Cursor: or(p.Cursor),
	})
	if err != nil {
		return nil, err
	}
	return api.ListRequests200JSONResponse(s.requestPage(page)), nil
}

// ListApprovals lists what the caller can decide now.
func (s operations) ListApprovals(ctx context.Context, in api.ListApprovalsRequestObject) (api.ListApprovalsResponseObject, error) {
	page, err := s.Broker.Approvals(ctx, callOf(ctx).caller, limitOf(in.Params.Limit), or(in.Params.Cursor))
	if err != nil {
		return nil, err
	}
	return api.ListApprovals200JSONResponse(s.requestPage(page)), nil
}

func (s operations) requestPage(p broker.Page[broker.RequestView]) api.RequestPage {
	return api.RequestPage{Items: each(p.Items, s.request), NextCursor: p.Next}
}

// SubmitRequest asks for access, or, as a dry run, what would be decided.
func (s operations) SubmitRequest(ctx context.Context, in api.SubmitRequestRequestObject) (api.SubmitRequestResponseObject, error) {
	ask, err := askOf(*in.Body)
	if err != nil {
		return nil, err
	}
	if or(in.Params.DryRun) {
		return s.dryRun(ctx, ask)
	}
	out, err := s.Broker.Submit(ctx, callOf(ctx).caller, ask, keyOf(ctx, in.Params.IdempotencyKey))
	if err != nil {
		return nil, s.refusal(ctx, out, err)
	}
	body := s.request(out.Request)
	tag, at := etag(body.Version, body), requestPath(body.ID)
	if out.Existing {
		var answer api.SubmitAnswer
		if err := answer.FromRequest(body); err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		return api.SubmitRequest200JSONResponse{
			Body: answer, Headers: api.SubmitRequest200ResponseHeaders{ETag: &tag, Location: &at, IdempotencyReplayed: replayed(out.Replayed)},
		}, nil
	}
	return api.SubmitRequest201JSONResponse{
		Body:    body,
		Headers: api.SubmitRequest201ResponseHeaders{ETag: tag, Location: at, IdempotencyReplayed: replayed(out.Replayed)},
	}, nil
}

func (s operations) dryRun(ctx context.Context, ask access.Ask) (api.SubmitRequestResponseObject, error) {
	d, err := s.Broker.DryRun(ctx, callOf(ctx).caller, ask)
	if err != nil {
		return nil, err
	}
	var answer api.SubmitAnswer
	if err := answer.FromDryRun(api.DryRun{DryRun: true, Decision: d}); err != nil {
		return nil, fmt.Errorf("encoding the decision: %w", err)
	}
	return api.SubmitRequest200JSONResponse{Body: answer}, nil
}

// refusal says where the refused request is kept: the problem document has no
// room for it.
func (s operations) refusal(ctx context.Context, out broker.Submitted, err error) error {
	if w := callOf(ctx).writer; w != nil && access.IsCode(err, access.PolicyRefused) && !out.Request.ID.IsZero() {
		w.Header().Set("Location", requestPath(out.Request.ID))
		if out.Replayed {
			w.Header().Set("Idempotency-Replayed", "true")
		}
	}
	return err
}

func requestPath(id access.RequestID) string { return base + "/requests/" + id.String() }

// askOf reads what the requester wrote.
func askOf(in api.Ask) (access.Ask, error) {
	d, faults := length(in.Duration, in.DurationSeconds)
	if len(faults) > 0 {
		return access.Ask{}, faulty(faults)
	}
	ask := askFor(in)
	ask.Duration = d
	return ask, nil
}

// askFor reads all but the length of time.
func askFor(in api.Ask) access.Ask {
	return access.Ask{
		Items:  each(in.Items, func(i api.Item) access.Item { return access.Item{Role: i.Role, Resource: i.Resource} }),
		Reason: in.Reason, Ticket: in.Ticket, StartAt: in.StartAt.UTC(), Contract: in.Contract,
	}
}

// GetRequest gives one request, and waits for a change where that is asked.
func (s operations) GetRequest(ctx context.Context, in api.GetRequestRequestObject) (api.GetRequestResponseObject, error) {
	body, tag, fresh, err := poll(ctx, s.Server, access.StreamOf(in.RequestID), in.Params.IfNoneMatch, in.Params.Prefer,
		func() (api.Request, string, error) {
			v, err := s.Broker.Request(ctx, callOf(ctx).caller, in.RequestID)
			if err != nil {
				return api.Request{}, "", err
			}
			body := s.request(v)
			return body, etag(body.Version, body), nil
		})
	if err != nil {
		return nil, err
	}
	if !fresh {
		return api.GetRequest304Response{Headers: api.NotModifiedResponseHeaders{ETag: tag}}, nil
	}
	return api.GetRequest200JSONResponse{Body: body, Headers: api.GetRequest200ResponseHeaders{ETag: tag}}, nil
}

// WithdrawRequest takes one's own request back.
func (s operations) WithdrawRequest(ctx context.Context, in api.WithdrawRequestRequestObject) (api.WithdrawRequestResponseObject, error) {
	v, err := s.Broker.Withdraw(ctx, callOf(ctx).caller, in.RequestID)
	if err != nil {
		return nil, err
	}
	body := s.request(v)
	return api.WithdrawRequest200JSONResponse{Body: body, Headers: api.WithdrawRequest200ResponseHeaders{ETag: etag(body.Version, body)}}, nil
}

// CastVote approves or denies.
func (s operations) CastVote(ctx context.Context, in api.CastVoteRequestObject) (api.CastVoteResponseObject, error) {
	v, again, err := s.Broker.Vote(ctx, callOf(ctx).caller, in.RequestID, broker.Ballot{
		Decision: in.Body.Decision, Reason: in.Body.Reason, RequestHash: in.Body.RequestHash,
	}, keyOf(ctx, in.Params.IdempotencyKey))
	if err != nil {
		return nil, err
	}
	body := s.request(v)
	return api.CastVote200JSONResponse{
		Body: body, Headers: api.CastVote200ResponseHeaders{ETag: etag(body.Version, body), IdempotencyReplayed: replayed(again)},
	}, nil
}

// GetTimeline tells what happened to a request and its grants.
func (s operations) GetTimeline(ctx context.Context, in api.GetTimelineRequestObject) (api.GetTimelineResponseObject, error) {
	rows, err := s.Broker.Timeline(ctx, callOf(ctx).caller, in.RequestID)
	if err != nil {
		return nil, err
	}
	items, err := events(rows)
	if err != nil {
		return nil, err
	}
	return api.GetTimeline200JSONResponse{Items: items}, nil
}
