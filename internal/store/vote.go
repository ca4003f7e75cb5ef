package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const insertVote = `
insert into core.vote (id, request_id, voter, decision, reason, reason_salt, request_hash, cast_at)
values (@id, @request_id, @voter, @decision, @reason, @salt, @request_hash, @now)`

// InsertVote puts a vote on record (T2). The caller moves the request and
// records the event in the same transaction.
func (tx *Tx) InsertVote(ctx context.Context, v access.Vote) error {
	if err := tx.exec(ctx, insertVote, pgx.NamedArgs{
		"id": v.ID, "request_id": v.RequestID, "voter": v.Voter, "decision": v.Decision, "reason": v.Reason,
		"salt": v.ReasonSalt, "request_hash": v.RequestHash, "now": v.CastAt,
	}); err != nil {
		return fmt.Errorf("inserting vote: %w", err)
	}
	return nil
}

const selectVotes = `
select v.id, v.request_id, v.voter, v.decision, v.reason, v.reason_salt, v.request_hash, v.cast_at
from core.vote v
where v.request_id = any(@ids::uuid[])
order by v.cast_at, v.id`

// VotesOn gives the votes on the requests, oldest first.
func (tx *Tx) VotesOn(ctx context.Context, ids ...access.RequestID) ([]access.Vote, error) {
	return many(ctx, tx, selectVotes, pgx.NamedArgs{"ids": uuids(ids)}, scanVote)
}

func scanVote(row pgx.CollectableRow) (access.Vote, error) {
	var v access.Vote
	err := row.Scan(&v.ID, &v.RequestID, &v.Voter, &v.Decision, &v.Reason, &v.ReasonSalt, &v.RequestHash, (*instant)(&v.CastAt))
	return v, err
}
