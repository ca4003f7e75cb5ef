package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// RequestFilter says which requests to list. Zero members do not filter.
type RequestFilter struct {
	// Viewer and its Groups bound the list to what they may see: requests of
	// their own and those whose seats name them. All lifts that bound.
	Viewer access.PrincipalID
	Groups []string
	All    bool

	States    []access.RequestState
	Contract  string
	Resource  string
	Requester access.PrincipalID
	Approver  bool // only those whose seats name the viewer
	Since     time.Time
	Until     time.Time
	Query     string // part of a role, a resource, the ticket or the requester's name
	Before    int64  // numbers below this one
	Limit     int
}

const fromRequests = `
select ` + requestColumns + `
from core.request r
join core.principal p on p.id = r.requester`

// fromVisibleRequests is fromRequests for a viewer. It begins with what is
// theirs, which is little where a walk through all requests is long.
const fromVisibleRequests = `
with mine as (
  select q.id from core.request q where q.requester = @viewer::text
  union
  select a.request_id from core.request_approver a where a.user_id = @viewer
  union
  select a.request_id from core.request_approver a where a.group_name = any(@groups::text[])
)
select ` + requestColumns + `
from mine m
join core.request r on r.id = m.id
join core.principal p on p.id = r.requester`

const whereRequests = `
where (@before::bigint = 0 or r.number < @before)
  and (cardinality(@states::text[]) = 0 or r.state = any(@states::text[]))
  and (@requester::text = '' or r.requester = @requester)
  and (@since::timestamptz is null or r.created_at >= @since)
  and (@until::timestamptz is null or r.created_at < @until)
  and (@contract::text = '' and @resource::text = '' or exists (
    select from core.request_item i
    where i.request_id = r.id and (@contract = '' or i.contract = @contract) and (@resource = '' or i.resource = @resource)))
  and (not @approver::boolean or r.requester <> @viewer and exists (
    select from core.request_approver a
    where a.request_id = r.id and (a.user_id = @viewer or a.group_name = any(@groups::text[]))))
  and (@query::text = '' or strpos(lower(r.ticket), lower(@query)) > 0 or strpos(lower(p.name), lower(@query)) > 0 or exists (
    select from core.request_item i
    where i.request_id = r.id and (strpos(lower(i.role), lower(@query)) > 0 or strpos(lower(i.resource), lower(@query)) > 0)))
order by r.number desc
limit @limit`

const (
	selectRequests        = fromRequests + whereRequests
	selectVisibleRequests = fromVisibleRequests + whereRequests
)

// Requests lists requests, newest first.
func (tx *Tx) Requests(ctx context.Context, f RequestFilter) ([]access.Request, error) {
	states := make([]string, len(f.States))
	for i, s := range f.States {
		states[i] = string(s)
	}
	groups := f.Groups
	if groups == nil {
		groups = []string{}
	}
	sql := selectVisibleRequests
	if f.All && !f.Approver {
		sql = selectRequests
	}
	return many(ctx, tx, sql, pgx.NamedArgs{
		"before": f.Before, "states": states, "requester": f.Requester, "since": orNull(f.Since), "until": orNull(f.Until),
		"contract": f.Contract, "resource": f.Resource, "viewer": f.Viewer, "groups": groups,
		"approver": f.Approver, "query": f.Query, "limit": f.Limit,
	}, scanRequest)
}

const selectNamedIn = `
select distinct a.request_id
from core.request_approver a
where a.request_id = any(@ids::uuid[]) and (a.user_id = @who or a.group_name = any(@groups::text[]))`

// NamedIn says which of the requests have a seat that names the subject. A
// subject whose groups are unknown is named by its id alone.
func (tx *Tx) NamedIn(ctx context.Context, s access.Subject, ids ...access.RequestID) (map[access.RequestID]bool, error) {
	groups := []string{}
	if s.GroupsKnown {
		groups = append(groups, s.Groups...)
	}
	found, err := many(ctx, tx, selectNamedIn, pgx.NamedArgs{"ids": uuids(ids), "who": s.ID, "groups": groups}, pgx.RowTo[access.RequestID])
	if err != nil {
		return nil, err
	}
	named := make(map[access.RequestID]bool, len(found))
	for _, id := range found {
		named[id] = true
	}
	return named, nil
}

const lockOverdueRequests = `
select ` + requestColumns + `
from core.request r
where r.state = 'pending' and r.decide_by <= @now
order by r.decide_by, r.id
limit @limit
for update skip locked`

// LockOverdueRequests gives pending requests that nobody decided in time and
// holds them. Those that somebody else holds are left out.
func (tx *Tx) LockOverdueRequests(ctx context.Context, limit int) ([]access.Request, error) {
	return many(ctx, tx, lockOverdueRequests, pgx.NamedArgs{"now": tx.Now, "limit": limit}, scanRequest)
}

const lockPendingRequests = `
select ` + requestColumns + `
from core.request r
where r.state = 'pending' and r.number > @after
order by r.number
limit @limit
for update skip locked`

// LockPendingRequests gives the next pending requests after a number and
// holds them. Those that somebody else holds are left out.
func (tx *Tx) LockPendingRequests(ctx context.Context, after int64, limit int) ([]access.Request, error) {
	return many(ctx, tx, lockPendingRequests, pgx.NamedArgs{"after": after, "limit": limit}, scanRequest)
}

// PendingCount is how many requests wait under one contract.
type PendingCount struct {
	Contract string    `db:"contract"`
	Number   int64     `db:"number"`
	Oldest   time.Time `db:"oldest"`
}

const selectPendingCounts = `
select coalesce(i.contract, '') as contract, count(distinct r.id) as number, min(r.created_at) as oldest
from core.request r
join core.request_item i on i.request_id = r.id
where r.state = 'pending'
group by 1
order by 1`

// PendingCounts counts the requests that wait, by contract. A request of
// several contracts counts for each.
func (tx *Tx) PendingCounts(ctx context.Context) ([]PendingCount, error) {
	return many(ctx, tx, selectPendingCounts, nil, pgx.RowToStructByName[PendingCount])
}
