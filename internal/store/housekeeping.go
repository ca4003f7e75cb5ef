package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const deleteIdempotency = `
delete from core.idempotency i
where (i.principal, i.key) in (
  select o.principal, o.key from core.idempotency o where o.created_at < @day_ago order by o.created_at limit @limit)`

const deleteLogins = `
delete from core.login l
where l.state_hash in (select o.state_hash from core.login o where o.expires_at < @now order by o.expires_at limit @limit)`

const deleteSessions = `
delete from core.session s
where s.id in (select o.id from core.session o where o.expires_at < @day_ago order by o.expires_at limit @limit)`

// DeleteStale deletes what is no evidence and has served its time:
// idempotency keys after a day, sign-ins that never came back, sessions a day
// after their end. It leaves a great number of them to the next call.
func (tx *Tx) DeleteStale(ctx context.Context) error {
	const most = 10_000 // of each
	args := pgx.NamedArgs{"now": tx.Now, "day_ago": tx.Now.Add(-keyLife), "limit": most}
	for _, sql := range []string{deleteIdempotency, deleteLogins, deleteSessions} {
		if err := tx.exec(ctx, sql, args); err != nil {
			return fmt.Errorf("deleting what is stale: %w", err)
		}
	}
	return nil
}
