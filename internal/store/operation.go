package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Slots is how many more calls a connector takes now.
type Slots struct {
	Connector string
	Free      int
}

const claimEntitlements = `
select ` + entitlementColumns + `,
  coalesce((select o.kind from core.operation o where o.entitlement_id = e.id and o.kind <> 'credential' order by o.fence desc limit 1), '')
from unnest(@connectors::text[], @free::int[]) as s (connector, free)
cross join lateral (
  select ` + entitlementColumns + `
  from core.entitlement e
  where e.connector = s.connector and e.next_at <= @now and (e.lease_until is null or e.lease_until <= @now)
    and @present = exists (
      select
      from core.grant_entitlement ge
      join core.grant g on g.id = ge.grant_id
      where ge.entitlement_id = e.id and g.state in ('provisioning', 'active') and g.expires_at > @now)
  order by e.next_at
  limit s.free
  for no key update of e skip locked
) e`

// Claim is an entitlement that is due, held until the transaction ends.
type Claim struct {
	Standing
	LastKind access.OperationKind // of the operation before, "" for none
}

// ClaimEntitlements gives entitlements that are due and that nobody works on,
// of those wanted present or of the others, at most as many of each connector
// as it has free slots.
func (tx *Tx) ClaimEntitlements(ctx context.Context, present bool, slots []Slots) ([]Claim, error) {
	connectors, free := make([]string, len(slots)), make([]int, len(slots))
	for i, s := range slots {
		connectors[i], free[i] = s.Connector, s.Free
	}
	args := pgx.NamedArgs{"connectors": connectors, "free": free, "present": present, "now": tx.Now}
	claims, err := many(ctx, tx, claimEntitlements, args, func(row pgx.CollectableRow) (c Claim, err error) {
		e := &c.Entitlement
		err = row.Scan(&e.ID, &e.Connector, &e.Account, &e.Permission, &e.Presence, (*instant)(&e.Until), &e.Fence,
			(*instant)(&e.LeaseUntil), &e.Failures, (*instant)(&e.NextAt), &e.LastError, &e.Version, &c.LastKind)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("claiming entitlements: %w", err)
	}
	es := make([]access.Entitlement, len(claims))
	for i, c := range claims {
		es[i] = c.Entitlement
	}
	// A grant may have come or gone between the claim's snapshot and its
	// locks. This second look comes after the locks, and is the one that counts.
	standing, err := tx.Standings(ctx, es)
	if err != nil {
		return nil, err
	}
	for i := range claims {
		claims[i].Standing = standing[i]
	}
	return claims, nil
}

const closeOperations = `
update core.operation o set outcome = 'uncertain', finished_at = @now, error = 'its worker never came back'
where o.entitlement_id = any(@entitlements::uuid[]) and o.outcome = 'open'`

const beginOperations = `
with begun as (
  insert into core.operation (id, entitlement_id, kind, fence, deadline, outcome, started_at)
  select n.id, n.entitlement_id, n.kind, n.fence, @deadline, 'open', @now
  from unnest(@ids::uuid[], @entitlements::uuid[], @kinds::text[], @fences::bigint[]) as n (id, entitlement_id, kind, fence)
  returning entitlement_id, fence
)
update core.entitlement e set fence = begun.fence, lease_until = @lease_until
from begun
where e.id = begun.entitlement_id`

// BeginOperations puts operations on record before their calls (R1), one for
// each of some entitlements that the caller has locked, with one deadline,
// and takes the lease on them. Operations of earlier claims that never ended
// are over: the caller has seen that they can land no more.
func (tx *Tx) BeginOperations(ctx context.Context, ops []access.Operation, deadline, leaseUntil time.Time) error {
	if len(ops) == 0 {
		return nil
	}
	ids, entitlements := make([]access.OperationID, len(ops)), make([]access.EntitlementID, len(ops))
	kinds, fences := make([]string, len(ops)), make([]int64, len(ops))
	for i, op := range ops {
		ids[i], entitlements[i], kinds[i], fences[i] = op.ID, op.EntitlementID, string(op.Kind), op.Fence
	}
	args := pgx.NamedArgs{
		"ids": uuids(ids), "entitlements": uuids(entitlements), "kinds": kinds, "fences": fences,
		"deadline": deadline, "lease_until": leaseUntil, "now": tx.Now,
	}
	if err := tx.exec(ctx, closeOperations, args); err != nil {
		return fmt.Errorf("closing operations: %w", err)
	}
	if err := tx.exec(ctx, beginOperations, args); err != nil {
		return fmt.Errorf("beginning operations: %w", err)
	}
	return nil
}

const finishOperation = `
update core.operation o set outcome = @outcome, finished_at = @now, error = @error
where o.id = @id and o.outcome = 'open'`

// FinishOperation puts on record how an operation ended, unless a later claim
// has closed it.
func (tx *Tx) FinishOperation(ctx context.Context, id access.OperationID, outcome access.OperationOutcome, text string) error {
	if err := tx.exec(ctx, finishOperation, pgx.NamedArgs{"id": id, "outcome": outcome, "error": text, "now": tx.Now}); err != nil {
		return fmt.Errorf("finishing operation: %w", err)
	}
	return nil
}
