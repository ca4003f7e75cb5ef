package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// keyLife is how long an Idempotency-Key is remembered.
const keyLife = 24 * time.Hour

// A key that is too old counts as new. A concurrent transaction with the same
// key makes this one wait for its outcome.
const claimKey = `
insert into core.idempotency as i (principal, key, body_hash, object, created_at)
values (@principal, @key, @body_hash, @object, @now)
on conflict (principal, key) do update
  set body_hash = excluded.body_hash, object = excluded.object, created_at = excluded.created_at
  where i.created_at <= @stale`

const selectKey = `
select i.body_hash, i.object from core.idempotency i where i.principal = @principal and i.key = @key`

// UseKey claims an idempotency key for the object that this transaction makes
// or changes. A key that was used before, with the same body, gives the object
// of that time and replayed; with another body it is a KeyReused error, and
// one whose first use has not ended is InProgress.
func (tx *Tx) UseKey(ctx context.Context, who access.PrincipalID, key string, body access.Digest, object access.RequestID) (_ access.RequestID, replayed bool, err error) {
	args := pgx.NamedArgs{
		"principal": who, "key": key, "body_hash": body, "object": object, "now": tx.Now, "stale": tx.Now.Add(-keyLife),
	}
	claimed, err := tx.affected(ctx, claimKey, args)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "55P03" { // waited longer than lock_timeout
		inProgress := constraints["idempotency_pk"]
		return object, false, fmt.Errorf("%w (%w)", &inProgress, err)
	}
	if err != nil {
		return object, false, fmt.Errorf("claiming key: %w", err)
	}
	if claimed == 1 {
		return object, false, nil
	}
	first, err := one(ctx, tx, selectKey, args, pgx.RowToStructByName[struct {
		BodyHash access.Digest    `db:"body_hash"`
		Object   access.RequestID `db:"object"`
	}])
	if err != nil {
		return object, false, fmt.Errorf("reading key: %w", err)
	}
	if first.BodyHash != body {
		return object, false, &access.Error{
			Code:    access.KeyReused,
			Message: "This Idempotency-Key was used with another body. Use a new key for a new request.",
		}
	}
	return first.Object, true, nil
}
