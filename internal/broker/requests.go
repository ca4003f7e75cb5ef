package broker

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

const (
	defaultLimit = 50
	maxLimit     = 200
)

// Request gives one request. One that the caller may not see is as absent as
// one that does not exist.
func (b *Broker) Request(ctx context.Context, who access.Caller, id access.RequestID) (RequestView, error) {
	var view RequestView
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		var err error
		view, err = b.loadView(ctx, tx, who, id)
		return err
	})
	if err != nil {
		return RequestView{}, b.refused(ctx, who, "request.read", id.String(), fmt.Errorf("showing request: %w", err))
	}
	return view, nil
}

// Requests lists the requests that the caller may see, newest first.
func (b *Broker) Requests(ctx context.Context, who access.Caller, f RequestFilter) (Page[RequestView], error) {
	if f.Requester == "me" {
		f.Requester = who.ID
	}
	q := store.RequestFilter{
		Viewer: who.ID, Groups: groupsOf(who.Subject), All: seesAll(who),
		States: f.States, Contract: f.Contract, Resource: f.Resource, Requester: f.Requester, Approver: f.Approver,
		Since: f.Since, Until: f.Until, Query: f.Query,
	}
	limit, cursor := f.Limit, f.Cursor
	f.Limit, f.Cursor = 0, ""
	return b.listRequests(ctx, who, "requests:"+string(access.DigestOf(f)), q, limit, cursor, nil)
}

// Approvals lists the pending requests that the caller could approve now,
// newest first.
func (b *Broker) Approvals(ctx context.Context, who access.Caller, limit int, cursor string) (Page[RequestView], error) {
	q := store.RequestFilter{
		Viewer: who.ID, Groups: groupsOf(who.Subject), Approver: true, States: []access.RequestState{access.Pending},
	}
	return b.listRequests(ctx, who, "approvals", q, limit, cursor, func(v RequestView) bool {
		return slices.ContainsFunc(v.Can, func(c Can) bool { return c.Action == "approve" && c.Allowed })
	})
}

// listRequests gives one page of what q finds and keep keeps; list names the
// list in its cursors.
func (b *Broker) listRequests(ctx context.Context, who access.Caller, list string, q store.RequestFilter, limit int, cursor string, keep func(RequestView) bool) (Page[RequestView], error) {
	limit, err := limitOf(limit)
	if err != nil {
		return Page[RequestView]{}, err
	}
	var page Page[RequestView]
	err = b.store.InTx(ctx, func(tx *store.Tx) error {
		page = Page[RequestView]{Items: []RequestView{}}
		after, err := tx.OpenCursor(ctx, who.ID, list, cursor)
		if err != nil {
			return err
		}
		q := q
		if after != "" {
			if q.Before, err = strconv.ParseInt(after, 10, 64); err != nil {
				return fmt.Errorf("reading our own cursor: %w", err)
			}
		}
		q.Limit = limit + 1
		for {
			reqs, err := tx.Requests(ctx, q)
			if err != nil {
				return fmt.Errorf("listing requests: %w", err)
			}
			views, err := b.views(ctx, tx, who, reqs)
			if err != nil {
				return err
			}
			for _, v := range views {
				if keep == nil || keep(v) {
					page.Items = append(page.Items, v)
				}
			}
			if len(reqs) < q.Limit || len(page.Items) > limit {
				break
			}
			q.Before = reqs[len(reqs)-1].Number
		}
		if len(page.Items) <= limit {
			return nil
		}
		page.Items = page.Items[:limit]
		page.Next, err = tx.SealCursor(ctx, who.ID, list, strconv.FormatInt(page.Items[limit-1].Number, 10))
		return err
	})
	if err != nil {
		return Page[RequestView]{}, fmt.Errorf("listing requests: %w", err)
	}
	return page, nil
}

// limitOf gives the size of a page.
func limitOf(limit int) (int, error) {
	switch {
	case limit == 0:
		return defaultLimit, nil
	case limit < 0 || limit > maxLimit:
		return 0, &access.Error{
			Code: access.Invalid, Message: "A page has 1 to 200 entries.",
			Details: []access.Detail{{Parameter: "limit", Detail: "1 to 200"}},
		}
	}
	return limit, nil
}

// groupsOf gives the groups that the subject is known to belong to.
func groupsOf(s access.Subject) []string {
	if !s.GroupsKnown {
		return nil
	}
	return s.Groups
}

// Timeline gives the events of a request, of its grants and of the
// entitlements that they needed, in order.
func (b *Broker) Timeline(ctx context.Context, who access.Caller, id access.RequestID) ([]store.EventRow, error) {
	var rows []store.EventRow
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		view, err := b.loadView(ctx, tx, who, id)
		if err != nil {
			return err
		}
		grants := make([]access.GrantID, len(view.Grants))
		for i, g := range view.Grants {
			grants[i] = g.ID
		}
		if rows, err = tx.Timeline(ctx, id, grants, view.CreatedAt); err != nil {
			return fmt.Errorf("reading events: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, b.refused(ctx, who, "request.timeline", id.String(), fmt.Errorf("showing timeline: %w", err))
	}
	return rows, nil
}
