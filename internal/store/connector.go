package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Ids of operations grow with time, so the first match of a walk backwards is
// the latest.
const selectLastSuccesses = `
select c.name, o.finished_at
from unnest(@connectors::text[]) as c (name)
cross join lateral (
  select o.finished_at
  from core.operation o
  join core.entitlement e on e.id = o.entitlement_id
  where e.connector = c.name and o.outcome = 'succeeded' and o.kind <> 'credential'
  order by o.id desc
  limit 1) o`

// LastSuccesses gives for each of the connectors when an operation on it last
// succeeded; those without any are missing.
func (tx *Tx) LastSuccesses(ctx context.Context, connectors []string) (map[string]time.Time, error) {
	type last struct {
		name string
		at   time.Time
	}
	rows, err := many(ctx, tx, selectLastSuccesses, pgx.NamedArgs{"connectors": connectors}, func(row pgx.CollectableRow) (l last, err error) {
		err = row.Scan(&l.name, &l.at)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading when connectors last worked: %w", err)
	}
	at := make(map[string]time.Time, len(rows))
	for _, l := range rows {
		at[l.name] = l.at
	}
	return at, nil
}
