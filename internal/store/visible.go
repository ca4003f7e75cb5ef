package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const selectVisible = `
select 'request:' || core.typeid('req', r.id)
from core.request r
where r.id = any(@requests::uuid[])
  and (@all or r.requester = @viewer or exists (
    select from core.request_approver a
    where a.request_id = r.id and (a.user_id = @viewer or a.group_name = any(@groups::text[]))))
union all
select 'grant:' || core.typeid('grt', g.id)
from core.grant g
where g.id = any(@grants::uuid[])
  and (@all or g.holder = @viewer or exists (
    select from core.request_approver a
    where a.request_id = g.request_id and (a.user_id = @viewer or a.group_name = any(@groups::text[]))))`

// Visible gives the streams of those requests and grants that exist and that
// the viewer may see: all, or those that are theirs or name them.
func (tx *Tx) Visible(ctx context.Context, viewer access.Subject, all bool, requests []access.RequestID, grants []access.GrantID) (map[string]bool, error) {
	args := pgx.NamedArgs{"all": all, "requests": uuids(requests), "grants": uuids(grants)}
	addViewer(args, &viewer)
	streams, err := many(ctx, tx, selectVisible, args, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading what is visible: %w", err)
	}
	visible := make(map[string]bool, len(streams))
	for _, s := range streams {
		visible[s] = true
	}
	return visible, nil
}
