package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// The tables of the database and of package access are the same.
func TestTransitionTables(t *testing.T) {
	t.Parallel()
	r := newRows(t)
	require.ElementsMatch(t, access.RequestTransitions, transitions[access.RequestState](t, r, "core.request_transition"))
	require.ElementsMatch(t, access.GrantTransitions, transitions[access.GrantState](t, r, "core.grant_transition"))
}

func transitions[S ~string](t *testing.T, r *rows, table string) []access.Transition[S] {
	t.Helper()
	found, err := r.conn.Query(t.Context(), "select prior, on_trigger, next from "+table)
	must(t, err)
	all, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (x access.Transition[S], err error) {
		return x, row.Scan(&x.From, &x.On, &x.To)
	})
	must(t, err)
	return all
}

// No step leads out of a terminal state, and every other state has a way on.
func TestTerminalStates(t *testing.T) {
	t.Parallel()
	r := newRows(t)
	for _, table := range []string{"request", "grant"} {
		var wrong []string
		must(t, r.conn.QueryRow(t.Context(), fmt.Sprintf(`
			select coalesce(array_agg(s.state), '{}') from core.%s_state s
			where s.terminal = exists (select from core.%s_transition x where x.prior = s.state)`, table, table)).Scan(&wrong))
		require.Empty(t, wrong, table)
	}
}

// grantColumns makes the other columns of a grant fit the state it gets, so
// that nothing but the step itself can be refused.
var grantColumns = map[access.GrantState]string{
	access.Scheduled:    `started_at = null, activated_at = null, revoking_at = null, ended_at = null, end_reason = null`,
	access.Provisioning: `started_at = coalesce(started_at, now()), activated_at = null, revoking_at = null, ended_at = null, end_reason = null`,
	access.Active:       `started_at = coalesce(started_at, now()), activated_at = now(), revoking_at = null, ended_at = null, end_reason = null`,
	access.Revoking:     `started_at = coalesce(started_at, now()), revoking_at = now(), ended_at = null, end_reason = 'expired'`,
	access.Ended:        `started_at = coalesce(started_at, now()), revoking_at = coalesce(revoking_at, now()), ended_at = now(), end_reason = 'expired'`,
	access.Lapsed:       `started_at = null, revoking_at = null, ended_at = now(), end_reason = null`,
	access.Cancelled:    `started_at = null, revoking_at = null, ended_at = now(), end_reason = null`,
}

func step(on access.Trigger, to access.GrantState) string {
	return fmt.Sprintf(`update core.grant set state = '%s', last_trigger = '%s', version = version + 1, %s`, to, on, grantColumns[to])
}

// Whatever the code says, a grant takes no step but those of the table: every
// other combination is tried from every state.
func TestIllegalGrantSteps(t *testing.T) {
	t.Parallel()
	triggers := []access.Trigger{access.OnApprove}
	states := []access.GrantState{}
	for _, x := range access.GrantTransitions {
		triggers = append(triggers, x.On)
		states = append(states, x.To)
	}
	slices.Sort(triggers)
	slices.Sort(states)
	triggers, states = slices.Compact(triggers), slices.Compact(states)
	require.Len(t, states, 7)

	for from, path := range map[access.GrantState][]string{
		access.Scheduled:    {},
		access.Lapsed:       {step(access.OnLapse, access.Lapsed)},
		access.Cancelled:    {step(access.OnCancel, access.Cancelled)},
		access.Provisioning: {step(access.OnStart, access.Provisioning)},
		access.Active:       {step(access.OnStart, access.Provisioning), step(access.OnConfirm, access.Active)},
		access.Revoking:     {step(access.OnStart, access.Provisioning), step(access.OnEnd, access.Revoking)},
		access.Ended: {
			step(access.OnStart, access.Provisioning), step(access.OnEnd, access.Revoking), step(access.OnVerify, access.Ended),
		},
	} {
		t.Run(string(from), func(t *testing.T) {
			t.Parallel()
			r := newRows(t)
			tx, err := r.conn.Begin(t.Context())
			must(t, err)
			must(t, run(t.Context(), tx, path...))
			for _, on := range triggers {
				for _, to := range states {
					sub, err := tx.Begin(t.Context())
					must(t, err)
					err = run(t.Context(), sub, step(on, to))
					must(t, sub.Rollback(t.Context()))
					if slices.Contains(access.GrantTransitions, access.Transition[access.GrantState]{From: from, On: on, To: to}) {
						require.NoError(t, err, "%s on %s to %s", from, on, to)
					} else {
						require.Contains(t, []string{"grant_transition_fk", "grant_started_once"}, refusal(err), "%s on %s to %s", from, on, to)
					}
				}
			}
		})
	}
}

func TestIllegalRequestSteps(t *testing.T) {
	t.Parallel()
	r := newRows(t)
	tx, err := r.conn.Begin(t.Context())
	must(t, err)
	try := func(on, to string) string {
		sub, err := tx.Begin(t.Context())
		must(t, err)
		err = run(t.Context(), sub, fmt.Sprintf(`update core.request set state = '%s', last_trigger = '%s', version = version + 1,
			decided_at = case when '%s' = 'pending' then null else now() end`, to, on, to))
		if err != nil {
			must(t, sub.Rollback(t.Context()))
			return refusal(err)
		}
		must(t, sub.Commit(t.Context()))
		return ""
	}
	require.Equal(t, "request_transition_fk", try("approve", "denied"))
	require.Equal(t, "request_transition_fk", try("submit", "approved"), "only a new row is submitted")
	require.Empty(t, try("vote", "pending"))
	require.Empty(t, try("withdraw", "withdrawn"))
	for _, x := range access.RequestTransitions {
		require.Equal(t, "request_transition_fk", try(string(x.On), string(x.To)), "withdrawn is final: %v", x)
	}
}

// What the database knows of ends, versions, votes and credentials.
func TestRowRules(t *testing.T) {
	t.Parallel()
	vote := func(voter access.PrincipalID, hash string) string {
		return `insert into core.vote (id, request_id, voter, decision, reason, reason_salt, request_hash, cast_at)
			values (gen_random_uuid(), '` + requestUUID + `', '` + string(voter) + `', 'approve', '', '\x00000000000000000000000000000000', '` + hash + `', now())`
	}
	start := step(access.OnStart, access.Provisioning)
	for _, tt := range []struct {
		name    string
		do      []string
		refused string
	}{
		{"the end rises without an extension", []string{start, step(access.OnConfirm, access.Active) + `, expires_at = expires_at + interval '1 minute'`}, "grant_end_rises_by_extension"},
		{"the end rises while it stays", []string{start, `update core.grant set expires_at = expires_at + interval '1 minute', version = version + 1`}, "grant_end_rises_by_extension"},
		{"an extension beyond the total", []string{start, step(access.OnExtend, access.Provisioning) + `, expires_at = started_at + interval '2 hours 1 second'`}, "grant_total_ck"},
		{"an infinite end", []string{start, step(access.OnShorten, access.Provisioning) + `, expires_at = '-infinity'`}, "grant_expires_at_ck"},
		{"no end", []string{start, step(access.OnShorten, access.Provisioning) + `, expires_at = null`}, "23502"},
		{"a version twice", []string{`update core.grant set state = 'lapsed', last_trigger = 'lapse', ended_at = now()`}, "grant_version_follows"},
		{"a version left out", []string{`update core.grant set state = 'lapsed', last_trigger = 'lapse', ended_at = now(), version = version + 2`}, "grant_version_follows"},
		{"active and ended", []string{start, `update core.grant set state = 'active', last_trigger = 'confirm', version = version + 1, activated_at = now(), ended_at = now()`}, "grant_ended_ck"},
		{"credentials before the last ones", []string{
			start,
			`update core.grant set credentials_issued_at = now(), version = version + 1`,
			`update core.grant set credentials_issued_at = now() - interval '1 second', version = version + 1`,
		}, "grant_credentials_once"},
		{"credentials before there is access", []string{`update core.grant set credentials_issued_at = now(), version = version + 1`}, "grant_credentials_once"},
		{"credentials with another change", []string{start, `update core.grant set credentials_issued_at = now(), expires_at = now(), version = version + 1`}, "grant_credentials_once"},
		{"a vote of one's own", []string{vote(alice, someHash)}, "vote_not_by_requester_ck"},
		{"a vote on another version", []string{vote(bob, "f"+someHash[1:])}, "vote_request_hash_ck"},
		{"two votes", []string{vote(bob, someHash), vote(bob, someHash)}, "vote_one_per_person_uq"},
		{"a vote when it is over", []string{
			`update core.request set state = 'denied', last_trigger = 'deny', version = 2, decided_at = now()`, vote(bob, someHash),
		}, "vote_request_pending_ck"},
		{"a decision for a request that is not there", []string{
			`insert into core.decision (id, request_id, policy_revision, outcome, body, facts, created_at) values (gen_random_uuid(), gen_random_uuid(), 1, 'permit', '{}', '{}', now())`,
		}, "decision_request_fk"},
		{"presence without a version", []string{`update core.entitlement set presence = 'present'`}, "entitlement_version_follows"},
		{"a fence that falls", []string{`update core.entitlement set fence = fence + 1`, `update core.entitlement set fence = fence - 1`}, "entitlement_fence_follows"},
		{"somebody else's account", []string{`insert into core.account (connector, account, principal) values ('pg', 'alice', '` + string(bob) + `')`}, "account_pk"},
		{"a policy revision left out", []string{
			`insert into core.policy_revision (revision, digest, author, issuer, applied_at) values (3, '` + someHash + `', 'x|y', 'x', now())`,
			`update core.policy set revision = 3`,
		}, "policy_revision_follows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRows(t)
			require.Equal(t, tt.refused, refusal(r.commit(t, tt.do...)))
		})
	}
}

// No state changes without its event in the same transaction; without one, or
// with one for something else, the COMMIT fails.
func TestNoStateChangeWithoutItsEvent(t *testing.T) {
	t.Parallel()
	var r0 rows
	must(t, r0.grant.Scan(grantUUID))
	must(t, r0.request.Scan(requestUUID))
	must(t, r0.ent.Scan(entUUID))
	grant, request, ent := access.StreamOf(r0.grant), access.StreamOf(r0.request), access.StreamOf(r0.ent)
	lapse := step(access.OnLapse, access.Lapsed)
	start, confirm := step(access.OnStart, access.Provisioning), step(access.OnConfirm, access.Active)
	for _, tt := range []struct {
		name    string
		before  []string // in an earlier transaction
		do      []string
		refused string
	}{
		{"with its event", nil, []string{lapse, event(grant, 2)}, "nothing"},
		{"the event first", nil, []string{event(grant, 2), lapse}, "nothing"},
		{"two steps and two events", nil, []string{start, confirm, event(grant, 2), event(grant, 3)}, "nothing"},
		{"without", nil, []string{lapse}, "state_has_event"},
		{"with an event of another object", nil, []string{lapse, event(request, 2)}, "state_has_event"},
		{"two steps and one event", nil, []string{start, confirm, event(grant, 2)}, "state_has_event"},
		{"with the event of an earlier transaction", []string{start, event(grant, 2)}, []string{`update core.grant set version = 3`}, "grant_transition_fk"},
		{"with an event that leaves a hole", nil, []string{lapse, event(grant, 3)}, "event_version_follows"},
		{"a new grant without", nil, []string{
			`insert into core.grant (id, request_id, item, holder, role, resource, contract, connector, state, last_trigger, duration_seconds,
			   max_total_seconds, start_at, start_by, expires_at, expiry_class, residual_seconds, version, created_at)
			 select gen_random_uuid(), g.request_id, 1, g.holder, 'writer', g.resource, g.contract, g.connector, g.state, g.last_trigger, g.duration_seconds,
			   g.max_total_seconds, g.start_at, g.start_by, g.expires_at, g.expiry_class, g.residual_seconds, 1, g.created_at from core.grant g`,
		}, "state_has_event"},
		{"request without", nil, []string{`update core.request set state = 'withdrawn', last_trigger = 'withdraw', version = 2, decided_at = now()`}, "state_has_event"},
		{"entitlement without", nil, []string{`update core.entitlement set presence = 'present', version = 1`}, "state_has_event"},
		{"entitlement with", nil, []string{`update core.entitlement set presence = 'present', version = 1`, event(ent, 1)}, "nothing"},
		{"entitlement leased", nil, []string{`update core.entitlement set lease_until = now(), fence = 1`}, "nothing"},
		{"vote without", nil, []string{`insert into core.vote (id, request_id, voter, decision, reason, reason_salt, request_hash, cast_at)
			values (gen_random_uuid(), '` + requestUUID + `', '` + string(bob) + `', 'deny', '', '\x00000000000000000000000000000000', '` + someHash + `', now())`}, "state_has_event"},
		{"policy without", nil, []string{
			`insert into core.policy_revision (revision, digest, author, issuer, applied_at) values (2, '` + someHash + `', 'x|y', 'x', now())`,
			`update core.policy set revision = 2`,
		}, "state_has_event"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRows(t)
			must(t, r.commit(t, tt.before...))
			require.Equal(t, tt.refused, refusal(r.commit(t, tt.do...)))
		})
	}
}
