package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// DecisionRow is a decision with what it was made of.
type DecisionRow struct {
	Decision  access.Decision
	RequestID access.RequestID // zero for a question without a request
	Body      json.RawMessage  // the exact text
	Facts     json.RawMessage  // the exact text
	CreatedAt time.Time
}

const insertDecision = `
insert into core.decision (id, request_id, policy_revision, outcome, body, facts, created_at)
values (@id, @request_id, @revision, @outcome, @body, @facts, @now)`

// InsertDecision stores a decision whole, with its facts, so that it can be
// replayed. A zero request means that nobody asked for the access yet.
func (tx *Tx) InsertDecision(ctx context.Context, d access.Decision, request access.RequestID, facts json.RawMessage) error {
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encoding decision: %w", err)
	}
	if err := tx.exec(ctx, insertDecision, pgx.NamedArgs{
		"id": d.ID, "request_id": idOrNull(request), "revision": d.PolicyRevision, "outcome": d.Outcome,
		"body": string(body), "facts": string(facts), "now": tx.Now,
	}); err != nil {
		return fmt.Errorf("inserting decision: %w", err)
	}
	return nil
}

const selectDecisions = `
select d.id, d.request_id, d.body, d.facts, d.created_at from core.decision d where d.id = any(@ids::uuid[])`

// Decisions gives decisions by their ids. Those that do not exist are left
// out.
func (tx *Tx) Decisions(ctx context.Context, ids ...access.DecisionID) (map[access.DecisionID]DecisionRow, error) {
	rows, err := many(ctx, tx, selectDecisions, pgx.NamedArgs{"ids": uuids(ids)}, scanDecision)
	if err != nil {
		return nil, err
	}
	byID := make(map[access.DecisionID]DecisionRow, len(rows))
	for _, r := range rows {
		byID[r.Decision.ID] = r
	}
	return byID, nil
}

// DecisionRow gives one decision with its facts, or ErrNotFound.
func (tx *Tx) DecisionRow(ctx context.Context, id access.DecisionID) (DecisionRow, error) {
	return one(ctx, tx, selectDecisions, pgx.NamedArgs{"ids": uuids([]access.DecisionID{id})}, scanDecision)
}

// Decision gives one decision, or ErrNotFound.
func (tx *Tx) Decision(ctx context.Context, id access.DecisionID) (access.Decision, error) {
	row, err := tx.DecisionRow(ctx, id)
	return row.Decision, err
}

func scanDecision(row pgx.CollectableRow) (DecisionRow, error) {
	var (
		d       DecisionRow
		id      access.DecisionID
		request *access.RequestID
	)
	if err := row.Scan(&id, &request, &d.Body, &d.Facts, (*instant)(&d.CreatedAt)); err != nil {
		return DecisionRow{}, err
	}
	if request != nil {
		d.RequestID = *request
	}
	if err := json.Unmarshal(d.Body, &d.Decision); err != nil {
		return DecisionRow{}, fmt.Errorf("reading decision %s: %w", id, err)
	}
	d.Decision.ID = id
	return d, nil
}
