package broker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// violations are the invariants of the lifecycle as queries that find what
// breaks them. They hold at every instant between transactions, so they are
// asked after every test.
var violations = map[string]string{
	"I1: an operation outside the life of a grant that needs it": `
		select o.id from core.operation o
		where not exists (
		  select from core.grant_entitlement ge join core.grant g on g.id = ge.grant_id
		  where ge.entitlement_id = o.entitlement_id and g.started_at <= o.started_at
		    and (g.ended_at is null or g.ended_at >= o.started_at or o.kind = 'remove'))`, // of what a zombie may have made
	"I2: a grant beyond its total or without an end": `
		select g.id from core.grant g
		where not isfinite(g.expires_at) or g.expires_at > g.started_at + make_interval(secs => g.max_total_seconds)
		   or g.expires_at > g.not_after`,
	"I2: an end that rose without an extension": `
		select e.stream, e.version from (
		  select stream, version, event_type, (convert_from(entry, 'UTF8')::json->'data'->>'expires_at')::timestamptz as ends,
		    lag((convert_from(entry, 'UTF8')::json->'data'->>'expires_at')::timestamptz) over (partition by stream order by version) as ended
		  from audit.event where stream like 'grant:%' and event_type <> 'grant.credentials_issued') e
		where e.ends > e.ended and e.event_type <> 'grant.extended'`,
	"I3: a step that the table does not have": `
		select g.id, g.prior_state, g.last_trigger, g.state from core.grant g
		where not exists (select from core.grant_transition t where (t.prior, t.on_trigger, t.next) = (g.prior_state, g.last_trigger, g.state))`,
	"I3: an event after a terminal one": `
		select e.stream from audit.event e join audit.event l on l.stream = e.stream and l.version > e.version
		where e.event_type in ('grant.ended', 'grant.lapsed', 'grant.cancelled',
		  'request.refused', 'request.denied', 'request.withdrawn', 'request.expired', 'request.invalidated')`,
	"I3: back to active after revoking": `
		select e.stream from audit.event e join audit.event l on l.stream = e.stream and l.version > e.version
		where e.event_type = 'grant.revoking' and l.event_type not in ('grant.ended')`,
	"I4: a vote of the requester": `
		select v.id from core.vote v join core.request r on r.id = v.request_id where v.voter = r.requester`,
	"I5: a vote on something else": `
		select v.id from core.vote v join core.request r on r.id = v.request_id where v.request_hash <> r.hash`,
	"I7: a removal of what an unexpired grant needed": `
		select o.id from core.operation o
		join core.grant_entitlement ge on ge.entitlement_id = o.entitlement_id
		join core.grant g on g.id = ge.grant_id
		where o.kind = 'remove' and g.started_at < o.started_at
		  and o.started_at < least(g.expires_at, coalesce(g.revoking_at, 'infinity'))`,
	"I7: an active grant without its access": `
		select g.id, e.presence from core.grant g
		join core.grant_entitlement ge on ge.grant_id = g.id
		join core.entitlement e on e.id = ge.entitlement_id
		where g.state = 'active' and e.presence = 'absent'`,
	"I8: a grant confirmed while an operation could still land": `
		select g.id, g.state, o.id from core.grant g
		join core.grant_entitlement ge on ge.grant_id = g.id
		join core.operation o on o.entitlement_id = ge.entitlement_id and o.outcome in ('open', 'uncertain')
		where (g.activated_at > o.started_at and g.activated_at < o.deadline + interval '5 seconds'
		    or g.ended_at > o.started_at and g.ended_at < o.deadline + interval '5 seconds' and g.end_reason <> 'attested')
		  and g.started_at is not null
		  and not exists (
		    select from core.grant_entitlement oe join core.grant other on other.id = oe.grant_id
		    where oe.entitlement_id = ge.entitlement_id and other.id <> g.id and other.started_at <= g.ended_at
		      and coalesce(other.revoking_at, 'infinity') >= g.ended_at)`,
	"I9: a grant to be removed that nobody will look at": `
		select g.id, e.id from core.grant g
		join core.grant_entitlement ge on ge.grant_id = g.id
		join core.entitlement e on e.id = ge.entitlement_id
		where g.state = 'revoking' and e.presence <> 'absent' and e.next_at is null`,
	"I9: an entitlement that is not due by the first end of its grants": `
		select e.id, e.next_at, min(g.expires_at) from core.grant g
		join core.grant_entitlement ge on ge.grant_id = g.id
		join core.entitlement e on e.id = ge.entitlement_id
		where g.state in ('provisioning', 'active')
		  and not exists (select from core.operation o where o.entitlement_id = e.id and o.outcome in ('open', 'uncertain'))
		group by e.id, e.next_at
		having e.next_at is null or e.next_at > min(g.expires_at)`,
	"T10: an ended grant whose access is there and nobody needs": `
		select g.id, e.id from core.grant g
		join core.grant_entitlement ge on ge.grant_id = g.id
		join core.entitlement e on e.id = ge.entitlement_id
		where g.state = 'ended' and g.end_reason <> 'attested' and e.presence <> 'absent'
		  and not exists (
		    select from core.grant_entitlement oe join core.grant other on other.id = oe.grant_id
		    where oe.entitlement_id = e.id and other.state in ('provisioning', 'active', 'revoking'))`,
	"T10: an ended grant whose access was not removed since it was last made": `
		select g.id, made.entitlement_id, made.fence from core.grant g
		join core.grant_entitlement ge on ge.grant_id = g.id
		cross join lateral (
		  select o.entitlement_id, o.fence from core.operation o
		  where o.entitlement_id = ge.entitlement_id and o.kind = 'ensure' and o.started_at <= g.ended_at
		  order by o.fence desc limit 1) made
		where g.state = 'ended' and g.end_reason <> 'attested'
		  and not exists (
		    select from core.operation o
		    where o.entitlement_id = made.entitlement_id and o.kind = 'remove' and o.outcome = 'succeeded'
		      and o.fence > made.fence and o.finished_at <= g.ended_at)
		  and not exists (
		    select from core.grant_entitlement oe join core.grant other on other.id = oe.grant_id
		    where oe.entitlement_id = made.entitlement_id and other.id <> g.id and other.started_at <= g.ended_at
		      and coalesce(other.revoking_at, 'infinity') >= g.ended_at)`,
	"I11: a version without its event": `
		select s.stream, s.version, count(e.stream) from (
		  select 'grant:' || core.typeid('grt', id) as stream, version from core.grant
		  union all select 'request:' || core.typeid('req', id), version from core.request
		  union all select 'entitlement:' || core.typeid('ent', id), version from core.entitlement) s
		left join audit.event e on e.stream = s.stream
		group by s.stream, s.version having count(e.stream) <> s.version`,
	"I11: an event in another transaction than its predecessor says": `
		select e.stream, e.version from audit.event e
		where e.version > 1 and not exists (
		  select from audit.event p where p.stream = e.stream and p.version = e.version - 1 and p.leaf_hash = e.prev_hash)`,
	"R1: two operations at one fence, or a fence that jumped": `
		select e.id, e.fence, count(o.id) from core.entitlement e left join core.operation o on o.entitlement_id = e.id
		group by e.id having count(o.id) <> e.fence`,
	"an account that serves two people": `
		select e.connector, e.account from core.entitlement e
		join core.grant_entitlement ge on ge.entitlement_id = e.id
		join core.grant g on g.id = ge.grant_id
		group by e.connector, e.account having count(distinct g.holder) > 1`,
}

// invariants finds nothing that breaks an invariant.
func invariants(t *testing.T, admin *pgxpool.Pool) {
	t.Helper()
	for name, sql := range violations {
		rows, err := admin.Query(t.Context(), sql)
		require.NoError(t, err, name)
		var found []string
		for rows.Next() {
			values, err := rows.Values()
			require.NoError(t, err)
			found = append(found, strings.TrimSpace(fmt.Sprintln(values...)))
		}
		require.NoError(t, rows.Err(), name)
		require.Empty(t, found, name)
	}
}
