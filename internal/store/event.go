package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/audit"
)

// EventRow is one event of the audit log as it is stored. Decode gives what
// its bytes say.
type EventRow struct {
	ID  access.EventID `db:"id"`
	Seq int64          `db:"seq"` // a name, not an order: see EventsAfter
	audit.Record
	ActorName string `db:"actor_name"` // of the person as last seen; "" if not known. Not part of the log
}

// EventFilter says which events to list. Zero members do not filter.
type EventFilter struct {
	// Viewer, if set, sees only the streams of requests that are theirs or
	// name them, of the grants of those, and of their own principal.
	Viewer  *access.Subject
	Streams []string
	Types   []access.EventType
	Actor   access.PrincipalID
	Since   time.Time
	Until   time.Time
	// Before is the Seq that the page before ended with; 0 for the first page.
	// EventsAfter does not look at it.
	Before int64
	Limit  int
}

const eventColumns = `e.id, e.seq, e.stream, e.version, e.prev_hash, e.leaf_hash, e.xid, e.recorded_at, e.db_user, e.event_type, e.actor, e.entry, coalesce(p.name, '') as actor_name`

const fromEvents = `
select ` + eventColumns + `
from audit.event e left join core.principal p on p.id = e.actor`

// fromVisibleEvents is fromEvents for a viewer.
const fromVisibleEvents = `
with mine as (
  select q.id, q.stream from core.request q where q.requester = @viewer
  union
  select q.id, q.stream from core.request_approver a join core.request q on q.id = a.request_id where a.user_id = @viewer
  union
  select q.id, q.stream from core.request_approver a join core.request q on q.id = a.request_id where a.group_name = any(@groups::text[])
), visible as (
  select m.stream from mine m
  union all
  select g.stream from core.grant g join mine m on m.id = g.request_id
  union all
  select 'principal:' || @viewer::text
)
select ` + eventColumns + `
from audit.event e join visible v on v.stream = e.stream left join core.principal p on p.id = e.actor`

const whereFiltered = `
where (@streams::text[] is null or e.stream = any(@streams))
  and (@types::text[] is null or e.event_type = any(@types))
  and (@actor::text is null or e.actor = @actor)
  and (@since::timestamptz is null or e.recorded_at >= @since)
  and (@until::timestamptz is null or e.recorded_at < @until)`

func (f EventFilter) args() pgx.NamedArgs {
	args := pgx.NamedArgs{
		"streams": f.Streams, "types": f.Types, "actor": noneIfEmpty(f.Actor),
		"since": orNull(f.Since), "until": orNull(f.Until), "limit": f.Limit,
	}
	addViewer(args, f.Viewer)
	return args
}

func addViewer(args pgx.NamedArgs, viewer *access.Subject) {
	if viewer == nil {
		return
	}
	args["viewer"], args["groups"] = viewer.ID, []string{}
	if viewer.GroupsKnown {
		args["groups"] = viewer.Groups
	}
}

const newestFirst = `
  and e.seq < @before
order by e.seq desc
limit @limit`

const (
	selectEvents        = fromEvents + whereFiltered + newestFirst
	selectVisibleEvents = fromVisibleEvents + whereFiltered + newestFirst
)

// Events lists events, newest first. The order is that of Seq, which is close
// to that of time; an event of a transaction that commits late may turn up
// behind a page that was read already. Whoever must not miss one uses
// EventsAfter.
func (tx *Tx) Events(ctx context.Context, f EventFilter) ([]EventRow, error) {
	args, sql := f.args(), selectEvents
	if f.Viewer != nil {
		sql = selectVisibleEvents
	}
	args["before"] = f.Before
	if f.Before == 0 {
		args["before"] = int64(math.MaxInt64)
	}
	rows, err := many(ctx, tx, sql, args, pgx.RowToStructByName[EventRow])
	if err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	return rows, nil
}

const whereID = `
where e.id = @id`

const (
	selectEvent        = fromEvents + whereID
	selectVisibleEvent = fromVisibleEvents + whereID
)

// Event gives one event, or ErrNotFound, which is also what a
// viewer hears of an event that is not theirs to see. A nil viewer sees
// everything.
func (tx *Tx) Event(ctx context.Context, id access.EventID, viewer *access.Subject) (EventRow, error) {
	args, sql := pgx.NamedArgs{"id": id}, selectEvent
	if viewer != nil {
		sql = selectVisibleEvent
		addViewer(args, viewer)
	}
	row, err := one(ctx, tx, sql, args, pgx.RowToStructByName[EventRow])
	if err != nil {
		return EventRow{}, fmt.Errorf("reading event: %w", err)
	}
	return row, nil
}

const selectStreams = fromEvents + `
where e.stream = any(@streams) order by e.stream, e.version`

// EventsOf gives whole streams, by stream and version.
func (tx *Tx) EventsOf(ctx context.Context, streams ...string) ([]EventRow, error) {
	rows, err := many(ctx, tx, selectStreams, pgx.NamedArgs{"streams": streams}, pgx.RowToStructByName[EventRow])
	if err != nil {
		return nil, fmt.Errorf("reading streams: %w", err)
	}
	return rows, nil
}

const selectNeededStreams = `
select distinct e.stream
from core.grant_entitlement n
join core.entitlement e on e.id = n.entitlement_id
where n.grant_id = any(@grants::uuid[])`

const selectTimeline = fromEvents + `
where e.stream = any(@streams::text[]) and (e.recorded_at >= @since or not e.stream = any(@shared::text[]))
order by min(e.recorded_at) over (partition by e.xid), e.xid,
  array_position(array['request', 'entitlement', 'grant'], split_part(e.stream, ':', 1)), e.seq`

// Timeline gives the events of a request, of its grants and, from since on, of
// the entitlements that those needed, in the order in which they happened;
// within one transaction causes come before effects.
func (tx *Tx) Timeline(ctx context.Context, request access.RequestID, grants []access.GrantID, since time.Time) ([]EventRow, error) {
	shared, err := many(ctx, tx, selectNeededStreams, pgx.NamedArgs{"grants": uuids(grants)}, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading what the grants needed: %w", err)
	}
	// Named one by one, the streams are found by the index.
	streams := append(slices.Clone(shared), access.StreamOf(request))
	for _, g := range grants {
		streams = append(streams, access.StreamOf(g))
	}
	rows, err := many(ctx, tx, selectTimeline, pgx.NamedArgs{"streams": streams, "shared": shared, "since": since}, pgx.RowToStructByName[EventRow])
	if err != nil {
		return nil, fmt.Errorf("reading timeline: %w", err)
	}
	return rows, nil
}
