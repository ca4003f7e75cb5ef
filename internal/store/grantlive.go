package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// LiveGrant is a grant that may mean access now, with what policy says about
// it depends on.
type LiveGrant struct {
	ID       access.GrantID
	Item     access.Item // role and resource
	Contract string
	Holder   access.Subject
	Revision int64 // of the policy that decided
}

const liveGrantsAfter = `
select g.id, g.role, g.resource, g.contract, d.policy_revision, ` + principalColumns + `
from core.grant g
join core.principal p on p.id = g.holder
join core.request r on r.id = g.request_id
join core.decision d on d.id = r.decision_id
where g.state in ('provisioning', 'active') and g.id > @after and (@any or g.id = any(@ids::uuid[]))
order by g.id
limit @limit`

// LiveGrantsAfter gives grants that are provisioning or active, in the order
// of their ids from the one after; of the ids alone, if there are any.
func (tx *Tx) LiveGrantsAfter(ctx context.Context, after access.GrantID, limit int, ids ...access.GrantID) ([]LiveGrant, error) {
	args := pgx.NamedArgs{"after": after, "limit": limit, "any": len(ids) == 0, "ids": uuids(ids)}
	gs, err := many(ctx, tx, liveGrantsAfter, args, func(row pgx.CollectableRow) (g LiveGrant, err error) {
		s := &g.Holder
		err = row.Scan(&g.ID, &g.Item.Role, &g.Item.Resource, &g.Contract, &g.Revision,
			&s.ID, &s.Name, &s.Email, &s.Username, &s.Groups, &s.GroupsKnown)
		return g, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading live grants: %w", err)
	}
	return gs, nil
}
