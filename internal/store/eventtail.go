package store

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
)

// Mark is how far a reader has followed the audit log. The zero Mark is its
// beginning.
type Mark struct {
	XID uint64 `db:"xid"`
	Seq int64  `db:"seq"`
}

const oldestFirst = `
  and (e.xid, e.seq) > (@xid::xid8, @seq)
  and e.xid < pg_snapshot_xmin(pg_current_snapshot())
order by e.xid, e.seq
limit @limit`

const (
	selectEventsAfter        = fromEvents + whereFiltered + oldestFirst
	selectVisibleEventsAfter = fromVisibleEvents + whereFiltered + oldestFirst
)

// EventsAfter follows the log and misses no event. Sequence numbers are given
// out before commit, and transactions commit in any order, so they cannot be
// followed. Transaction numbers can: below the oldest transaction that still
// runs, all are over, and what they wrote is all there will ever be. The price
// is that an event is seen only when every older transaction has ended.
func (tx *Tx) EventsAfter(ctx context.Context, after Mark, f EventFilter) ([]EventRow, error) {
	args, sql := f.args(), selectEventsAfter
	if f.Viewer != nil {
		sql = selectVisibleEventsAfter
	}
	args["xid"], args["seq"] = after.XID, after.Seq
	rows, err := many(ctx, tx, sql, args, pgx.RowToStructByName[EventRow])
	if err != nil {
		return nil, fmt.Errorf("following events: %w", err)
	}
	return rows, nil
}

// Mark gives the place of an event, to go on behind it.
func (e EventRow) Mark() Mark { return Mark{XID: e.XID, Seq: e.Seq} }

const selectHorizon = `select pg_snapshot_xmin(pg_current_snapshot())`

// EventsEnd gives the Mark from which EventsAfter goes on with what is new.
func (tx *Tx) EventsEnd(ctx context.Context) (Mark, error) {
	horizon, err := one(ctx, tx, selectHorizon, nil, pgx.RowTo[uint64])
	if err != nil {
		return Mark{}, fmt.Errorf("finding the end of the log: %w", err)
	}
	return Mark{XID: horizon - 1, Seq: math.MaxInt64}, nil
}
