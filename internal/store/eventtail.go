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

const selectEventsAfter = `
select ` + eventColumns + `
from audit.event e
where (e.xid, e.seq) > (@xid::xid8, @seq)
  and e.xid < pg_snapshot_xmin(pg_current_snapshot())
order by e.xid, e.seq
limit @limit`

// EventsAfter follows the log and misses no event. Sequence numbers are given
// out before commit, and transactions commit in any order, so they cannot be
// followed. Transaction numbers can: below the oldest transaction that still
// runs, all are over, and what they wrote is all there will ever be. The price
// is that an event is seen only when every older transaction has ended.
func (tx *Tx) EventsAfter(ctx context.Context, after Mark, limit int) ([]EventRow, Mark, error) {
	rows, err := many(ctx, tx, selectEventsAfter, pgx.NamedArgs{"xid": after.XID, "seq": after.Seq, "limit": limit},
		pgx.RowToStructByName[EventRow])
	if err != nil {
		return nil, after, fmt.Errorf("following events: %w", err)
	}
	if len(rows) > 0 {
		last := rows[len(rows)-1]
		after = Mark{XID: last.XID, Seq: last.Seq}
	}
	return rows, after, nil
}

const selectHorizon = `select pg_snapshot_xmin(pg_current_snapshot())`

// EventsEnd gives the Mark from which EventsAfter goes on with what is new.
func (tx *Tx) EventsEnd(ctx context.Context) (Mark, error) {
	horizon, err := one(ctx, tx, selectHorizon, nil, pgx.RowTo[uint64])
	if err != nil {
		return Mark{}, fmt.Errorf("finding the end of the log: %w", err)
	}
	return Mark{XID: horizon - 1, Seq: math.MaxInt64}, nil
}
