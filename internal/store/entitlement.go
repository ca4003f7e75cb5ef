package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const entitlementColumns = `e.id, e.connector, e.account, e.permission, e.presence, e.until, e.fence, e.lease_until, e.failures, e.next_at, e.last_error, e.version`

func scanEntitlement(row pgx.CollectableRow) (access.Entitlement, error) {
	var e access.Entitlement
	err := row.Scan(&e.ID, &e.Connector, &e.Account, &e.Permission, &e.Presence, (*instant)(&e.Until), &e.Fence,
		(*instant)(&e.LeaseUntil), &e.Failures, (*instant)(&e.NextAt), &e.LastError, &e.Version)
	return e, err
}

const lockEntitlement = `select ` + entitlementColumns + ` from core.entitlement e where e.id = @id for no key update`

// LockEntitlement gives one entitlement and holds it until the transaction
// ends.
func (tx *Tx) LockEntitlement(ctx context.Context, id access.EntitlementID) (access.Entitlement, error) {
	e, err := one(ctx, tx, lockEntitlement, pgx.NamedArgs{"id": id}, scanEntitlement)
	if err != nil {
		return e, fmt.Errorf("locking entitlement: %w", err)
	}
	return e, nil
}

const lockEntitlementsOf = `
select ` + entitlementColumns + `
from core.entitlement e
where e.id in (select ge.entitlement_id from core.grant_entitlement ge where ge.grant_id = @grant)
order by e.id
for no key update of e`

// LockEntitlementsOf gives what the grant needs and holds it until the
// transaction ends. It comes before LockGrant.
func (tx *Tx) LockEntitlementsOf(ctx context.Context, grant access.GrantID) ([]access.Entitlement, error) {
	es, err := many(ctx, tx, lockEntitlementsOf, pgx.NamedArgs{"grant": grant}, scanEntitlement)
	if err != nil {
		return nil, fmt.Errorf("locking entitlements: %w", err)
	}
	return es, nil
}

// Standing is an entitlement with what decides about it: who needs it, and
// what may still land on it.
type Standing struct {
	access.Entitlement
	Needs []access.Need // of live grants that have started
	// Operations are the recent ones that had or may have had an effect, and all
	// from the last that succeeded on, in the order of their fences.
	Operations []access.Operation
}

const entitlementsOf = `
select ge.grant_id, ` + entitlementColumns + `
from core.grant_entitlement ge
join core.entitlement e on e.id = ge.entitlement_id
where ge.grant_id = any(@grants::uuid[])
order by ge.grant_id, e.id`

// EntitlementsOf gives what each of the grants needs, and how it stands.
func (tx *Tx) EntitlementsOf(ctx context.Context, grants ...access.GrantID) (map[access.GrantID][]Standing, error) {
	type link struct {
		grant access.GrantID
		e     access.Entitlement
	}
	links, err := many(ctx, tx, entitlementsOf, pgx.NamedArgs{"grants": uuids(grants)}, func(row pgx.CollectableRow) (l link, err error) {
		err = row.Scan(&l.grant, &l.e.ID, &l.e.Connector, &l.e.Account, &l.e.Permission, &l.e.Presence, (*instant)(&l.e.Until), &l.e.Fence,
			(*instant)(&l.e.LeaseUntil), &l.e.Failures, (*instant)(&l.e.NextAt), &l.e.LastError, &l.e.Version)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading entitlements: %w", err)
	}
	es := make([]access.Entitlement, len(links))
	for i, l := range links {
		es[i] = l.e
	}
	standing, err := tx.Standings(ctx, es)
	if err != nil {
		return nil, err
	}
	of := make(map[access.GrantID][]Standing, len(grants))
	for i, l := range links {
		of[l.grant] = append(of[l.grant], standing[i])
	}
	return of, nil
}

const needs = `
select ge.entitlement_id, g.id, g.state, g.expires_at
from core.grant_entitlement ge
join core.grant g on g.id = ge.grant_id
where ge.entitlement_id = any(@ids::uuid[]) and g.state in ('provisioning', 'active', 'revoking')
order by ge.entitlement_id, g.id`

const recentOperations = `
select o.id, o.entitlement_id, o.kind, o.fence, o.deadline, o.outcome, o.started_at, o.finished_at, o.error
from core.operation o
where o.entitlement_id = any(@ids::uuid[]) and o.outcome <> 'failed'
  and (o.deadline > @since or o.fence >= coalesce((
    select max(s.fence) from core.operation s
    where s.entitlement_id = o.entitlement_id and s.outcome = 'succeeded' and s.kind <> 'credential'), 0))
order by o.entitlement_id, o.fence`

// longestSkew bounds how far back an operation is looked for that may still
// land. The skew of the configuration is far below.
const longestSkew = time.Hour

// Standings reads how the entitlements stand, in their order.
func (tx *Tx) Standings(ctx context.Context, es []access.Entitlement) ([]Standing, error) {
	standing := make([]Standing, len(es))
	at := make(map[access.EntitlementID][]int, len(es)) // one entitlement may be there for several grants
	ids := make([]access.EntitlementID, len(es))
	for i, e := range es {
		standing[i].Entitlement = e
		at[e.ID] = append(at[e.ID], i)
		ids[i] = e.ID
	}
	if len(es) == 0 {
		return standing, nil
	}
	args := pgx.NamedArgs{"ids": uuids(ids), "since": tx.Now.Add(-longestSkew)}
	_, err := many(ctx, tx, needs, args, func(row pgx.CollectableRow) (struct{}, error) {
		var (
			id access.EntitlementID
			n  access.Need
		)
		err := row.Scan(&id, &n.Grant, &n.State, (*instant)(&n.ExpiresAt))
		for _, i := range at[id] {
			standing[i].Needs = append(standing[i].Needs, n)
		}
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading needs: %w", err)
	}
	_, err = many(ctx, tx, recentOperations, args, func(row pgx.CollectableRow) (struct{}, error) {
		var op access.Operation
		err := row.Scan(&op.ID, &op.EntitlementID, &op.Kind, &op.Fence, (*instant)(&op.Deadline), &op.Outcome,
			(*instant)(&op.StartedAt), (*instant)(&op.FinishedAt), &op.Error)
		for _, i := range at[op.EntitlementID] {
			standing[i].Operations = append(standing[i].Operations, op)
		}
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading recent operations: %w", err)
	}
	return standing, nil
}

const saveEntitlement = `
update core.entitlement e set
  presence = @presence, until = @until, failures = @failures, last_error = @last_error,
  next_at = @next_at, lease_until = null, version = @version
where e.id = @id and e.fence = @fence`

// SaveEntitlement saves what a worker found and gives back its lease. The row
// is locked by the caller, who has seen that the fence is still the worker's.
func (tx *Tx) SaveEntitlement(ctx context.Context, e access.Entitlement) error {
	n, err := tx.affected(ctx, saveEntitlement, pgx.NamedArgs{
		"id": e.ID, "fence": e.Fence, "presence": e.Presence, "until": orNull(e.Until), "failures": e.Failures,
		"last_error": e.LastError, "next_at": orNull(e.NextAt), "version": e.Version,
	})
	if err != nil {
		return fmt.Errorf("saving entitlement: %w", err)
	}
	if n != 1 {
		return fmt.Errorf("saving entitlement %s: it is no longer at fence %d", e.ID, e.Fence)
	}
	return nil
}

const wakeEntitlements = `
update core.entitlement e set next_at = @at
where e.id = any(@ids::uuid[]) and (e.next_at is null or e.next_at > @at)`

// WakeEntitlements makes the entitlements due at the instant, if they are not
// due before. It leaves leases alone: who holds one finishes first. The rows
// are locked by the caller.
func (tx *Tx) WakeEntitlements(ctx context.Context, at time.Time, ids ...access.EntitlementID) error {
	if err := tx.exec(ctx, wakeEntitlements, pgx.NamedArgs{"at": at, "ids": uuids(ids)}); err != nil {
		return fmt.Errorf("waking entitlements: %w", err)
	}
	return nil
}

const postponeEntitlements = `update core.entitlement e set next_at = p.at
from unnest(@ids::uuid[], @ats::timestamptz[]) as p (id, at)
where e.id = p.id`

// PostponeEntitlements makes each entitlement due at its NextAt. The rows are
// locked by the caller.
func (tx *Tx) PostponeEntitlements(ctx context.Context, es []access.Entitlement) error {
	if len(es) == 0 {
		return nil
	}
	ids, ats := make([]access.EntitlementID, len(es)), make([]*time.Time, len(es))
	for i, e := range es {
		ids[i], ats[i] = e.ID, orNull(e.NextAt)
	}
	if err := tx.exec(ctx, postponeEntitlements, pgx.NamedArgs{"ids": uuids(ids), "ats": ats}); err != nil {
		return fmt.Errorf("postponing entitlements: %w", err)
	}
	return nil
}
