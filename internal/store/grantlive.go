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
	Revision int64 // of the policy that decided last: an extension decides anew
}

const fromLiveGrants = `
select g.id, g.role, g.resource, g.contract, (
    select d.policy_revision from core.request r join core.decision d on d.id = r.decision_id
    where (r.id = g.request_id or r.extends = g.id) and r.state = 'approved'
    order by r.number desc
    limit 1), ` + principalColumns + `
from core.grant g
join core.principal p on p.id = g.holder
where g.state in ('provisioning', 'active')`

const (
	liveGrantsAfter = fromLiveGrants + ` and g.id > @after order by g.id limit @limit`
	liveGrant       = fromLiveGrants + ` and g.id = @id`
)

// LiveGrantsAfter gives grants that are provisioning or active, in the order
// of their ids from the one after.
func (tx *Tx) LiveGrantsAfter(ctx context.Context, after access.GrantID, limit int) ([]LiveGrant, error) {
	return tx.liveGrants(ctx, liveGrantsAfter, pgx.NamedArgs{"after": after, "limit": limit})
}

// LiveGrant gives the grant if it is provisioning or active, else none.
func (tx *Tx) LiveGrant(ctx context.Context, id access.GrantID) ([]LiveGrant, error) {
	return tx.liveGrants(ctx, liveGrant, pgx.NamedArgs{"id": id})
}

func (tx *Tx) liveGrants(ctx context.Context, sql string, args pgx.NamedArgs) ([]LiveGrant, error) {
	gs, err := many(ctx, tx, sql, args, func(row pgx.CollectableRow) (g LiveGrant, err error) {
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
