package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// GrantFilter says which grants to list. Zero members do not filter.
type GrantFilter struct {
	States   []access.GrantState
	Contract string
	Resource string
	Holder   access.PrincipalID
	Since    time.Time // made at or after
	Query    string    // part of a role, resource, contract or holder's name
}

const fromGrants = `
select ` + grantColumns + `
from core.grant g`

// fromVisibleGrants is fromGrants for a viewer. It begins with what is theirs,
// which is little where a walk through all grants is long.
const fromVisibleGrants = `
with mine as (
  select h.id from core.grant h where h.holder = @me
  union
  select h.id from core.request_approver a join core.grant h on h.request_id = a.request_id where a.user_id = @me
  union
  select h.id from core.request_approver a join core.grant h on h.request_id = a.request_id where a.group_name = any(@groups::text[])
)
select ` + grantColumns + `
from mine m
join core.grant g on g.id = m.id`

const whereGrants = `
where (cardinality(@states::text[]) = 0 or g.state = any(@states::text[]))
  and (@contract = '' or g.contract = @contract)
  and (@resource = '' or g.resource = @resource)
  and (@holder = '' or g.holder = @holder)
  and (@since::timestamptz is null or g.created_at >= @since)
  and (@query = '' or strpos(lower(g.role || ' ' || g.resource || ' ' || g.contract), lower(@query)) > 0 or exists (
    select
    from core.principal p
    where p.id = g.holder and strpos(lower(p.name || ' ' || p.email || ' ' || p.username), lower(@query)) > 0))
  and (@before_id::uuid is null or (g.created_at, g.id) < (@before_at::timestamptz, @before_id::uuid))
order by g.created_at desc, g.id desc
limit @limit`

const (
	listGrants        = fromGrants + whereGrants
	listVisibleGrants = fromVisibleGrants + whereGrants
)

// ListGrants gives the grants that the viewer may see, newest first: their
// own, those of requests whose seats name them, or everything. before is the
// last one of the page before, zero for the first page.
func (tx *Tx) ListGrants(ctx context.Context, viewer access.Subject, everything bool, f GrantFilter, before access.Grant, limit int) ([]access.Grant, error) {
	states := make([]string, len(f.States))
	for i, s := range f.States {
		states[i] = string(s)
	}
	args := pgx.NamedArgs{
		"me": viewer.ID, "groups": knownGroups(viewer), "states": states, "contract": f.Contract,
		"resource": f.Resource, "holder": f.Holder, "since": orNull(f.Since), "query": f.Query,
		"before_id": nil, "before_at": nil, "limit": limit,
	}
	if !before.ID.IsZero() {
		args["before_id"], args["before_at"] = before.ID, before.CreatedAt
	}
	sql := listVisibleGrants
	if everything {
		sql = listGrants
	}
	gs, err := many(ctx, tx, sql, args, scanGrant)
	if err != nil {
		return nil, fmt.Errorf("listing grants: %w", err)
	}
	return gs, nil
}

func knownGroups(s access.Subject) []string {
	if !s.GroupsKnown || s.Groups == nil {
		return []string{}
	}
	return s.Groups
}
