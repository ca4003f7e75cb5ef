package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const expireGrants = `
with due as (
  select d.id
  from core.grant d
  where d.state in ('provisioning', 'active') and d.expires_at <= @now and (@any or d.id = any(@ids::uuid[]))
  order by d.id
  limit @limit
  for no key update skip locked
)
update core.grant g set
  state = 'revoking', last_trigger = 'end', end_reason = 'expired',
  revoking_at = @now, version = g.version + 1
from due
where g.id = due.id
returning ` + grantColumns

// ExpireGrants moves grants whose time is up to revoking (T7, T8), at most
// limit of them, and passes over those that somebody else has locked; of the
// ids alone, if there are any. It touches no entitlement: the next look at each
// is due by its earliest end at the latest. The caller records the events.
func (tx *Tx) ExpireGrants(ctx context.Context, limit int, ids ...access.GrantID) ([]access.Grant, error) {
	gs, err := many(ctx, tx, expireGrants, pgx.NamedArgs{
		"now": tx.Now, "limit": limit, "any": len(ids) == 0, "ids": uuids(ids),
	}, scanGrant)
	if err != nil {
		return nil, fmt.Errorf("expiring grants: %w", err)
	}
	return gs, nil
}

const expiredGrants = `
select g.id
from core.grant g
where g.state in ('provisioning', 'active') and g.expires_at <= @now and g.id > @after
order by g.id
limit @limit`

// ExpiredGrants gives the grants that ExpireGrants would move, in the order of
// their ids from the one after.
func (tx *Tx) ExpiredGrants(ctx context.Context, after access.GrantID, limit int) ([]access.GrantID, error) {
	ids, err := many(ctx, tx, expiredGrants, pgx.NamedArgs{"now": tx.Now, "after": after, "limit": limit}, pgx.RowTo[access.GrantID])
	if err != nil {
		return nil, fmt.Errorf("reading expired grants: %w", err)
	}
	return ids, nil
}

const dueGrants = `
select g.id
from core.grant g
where g.state = 'scheduled' and g.start_at <= @now and g.id > @after
order by g.id
limit @limit`

// DueGrants gives scheduled grants whose start has come, or passed, in the
// order of their ids from the one after.
func (tx *Tx) DueGrants(ctx context.Context, after access.GrantID, limit int) ([]access.GrantID, error) {
	ids, err := many(ctx, tx, dueGrants, pgx.NamedArgs{"now": tx.Now, "after": after, "limit": limit}, pgx.RowTo[access.GrantID])
	if err != nil {
		return nil, fmt.Errorf("reading due grants: %w", err)
	}
	return ids, nil
}

const settledGrants = `
select g.id
from core.grant g
where g.state = 'revoking' and g.id > @after and (@any or g.id = any(@ids::uuid[]))
  and not exists (
    select
    from core.grant_entitlement ge
    join core.entitlement e on e.id = ge.entitlement_id
    where ge.grant_id = g.id
      and (e.presence <> 'absent' or exists (
        select
        from core.operation o
        where o.entitlement_id = e.id and o.outcome in ('open', 'uncertain')
          and not exists (
            select
            from core.operation s
            where s.entitlement_id = e.id and s.outcome = 'succeeded' and s.kind <> 'credential' and s.fence > o.fence)))
      and not exists (
        select
        from core.grant_entitlement oe
        join core.grant o on o.id = oe.grant_id
        where oe.entitlement_id = e.id and o.id <> g.id
          and o.state in ('provisioning', 'active') and o.expires_at > @now
      )
  )
order by g.id
limit @limit`

// SettledGrants gives revoking grants that look as if T10 applied to them, in
// the order of their ids from the one after; of the ids alone, if there are
// any. Whether it does is for access.NextGrant to say, after the locks.
func (tx *Tx) SettledGrants(ctx context.Context, after access.GrantID, limit int, ids ...access.GrantID) ([]access.GrantID, error) {
	found, err := many(ctx, tx, settledGrants, pgx.NamedArgs{
		"now": tx.Now, "after": after, "limit": limit, "any": len(ids) == 0, "ids": uuids(ids),
	}, pgx.RowTo[access.GrantID])
	if err != nil {
		return nil, fmt.Errorf("reading settled grants: %w", err)
	}
	return found, nil
}

const nextDue = `
select least(
  (select min(g.expires_at) from core.grant g where g.state in ('provisioning', 'active') and g.expires_at > @after),
  (select min(g.start_at) from core.grant g where g.state = 'scheduled' and g.start_at > @after),
  (select min(e.next_at) from core.entitlement e where e.next_at > @after),
  (select min(e.lease_until) from core.entitlement e where e.next_at <= @after and e.lease_until > @after))`

// NextDue gives the first instant after the one given at which something is
// due, zero for none. A loop gives the instant at which it began to look: what
// was due by then was taken, or waits for something that has no instant.
func (tx *Tx) NextDue(ctx context.Context, after time.Time) (time.Time, error) {
	at, err := one(ctx, tx, nextDue, pgx.NamedArgs{"after": after}, func(row pgx.CollectableRow) (time.Time, error) {
		var at instant
		err := row.Scan(&at)
		return time.Time(at), err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("reading what is due next: %w", err)
	}
	return at, nil
}

// GrantCount is how many grants there are of a kind, for metrics.
type GrantCount struct {
	State     access.GrantState
	Contract  string
	Connector string
	Class     string // auto or jit
	Count     int
	Overdue   int
	// OldestOverdue is the earliest end among the overdue, zero for none.
	OldestOverdue time.Time
}

const countGrants = `
select g.state, g.contract, g.connector,
  case when d.outcome = 'permit' then 'auto' else 'jit' end as class,
  count(*),
  count(*) filter (where g.state <> 'scheduled' and g.expires_at < @now),
  min(g.expires_at) filter (where g.state <> 'scheduled' and g.expires_at < @now)
from core.grant g
join core.request r on r.id = g.request_id
left join core.decision d on d.id = r.decision_id
where g.state in ('scheduled', 'provisioning', 'active', 'revoking')
group by g.state, g.contract, g.connector, class
order by g.state, g.contract, g.connector, class`

// CountGrants counts the live grants.
func (tx *Tx) CountGrants(ctx context.Context) ([]GrantCount, error) {
	counts, err := many(ctx, tx, countGrants, pgx.NamedArgs{"now": tx.Now}, func(row pgx.CollectableRow) (c GrantCount, err error) {
		err = row.Scan(&c.State, &c.Contract, &c.Connector, &c.Class, &c.Count, &c.Overdue, (*instant)(&c.OldestOverdue))
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("counting grants: %w", err)
	}
	return counts, nil
}
