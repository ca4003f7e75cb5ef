package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// deletable are the tables that are no evidence.
var deletable = []string{"core.session", "core.login", "core.idempotency", "core.install"}

// tables that hold constants of the schema; nobody but a migration writes them.
var constantTables = []string{"core.request_state", "core.request_transition", "core.grant_state", "core.grant_transition"}

// Every line of the attack table in the design, and those like it: what a
// login may not do, the database refuses.
func TestAttacks(t *testing.T) {
	t.Parallel()
	r := newRows(t)
	const denied = "42501"
	change := []string{
		`update audit.event set actor = 'somebody else'`,
		`delete from audit.event`,
		`truncate audit.event`,
		`insert into audit.event (stream, version, prev_hash, leaf_hash, xid, recorded_at, db_user, event_type, actor, entry)
		 values ('s', 1, '', sha256('\x00'), '1', now(), 'u', 'a.b', 'a', '')`,
		`alter table audit.event disable trigger all`,
		`alter table audit.event disable trigger event_refuse_change`,
		`drop trigger event_refuse_change on audit.event`,
		`alter table core.grant disable trigger grant_step`,
		`set session_replication_role = replica`,
		`set role rampkeeper_audit_owner`,
		`set role rampkeeper_owner`,
		`set session authorization rampkeeper_audit_owner`,
		`grant rampkeeper_audit_owner to current_user`,
		`create or replace function audit.append(p_stream text, p_version bigint, p_at timestamptz, p_type text, p_actor text, p_data text)
		 returns bigint language sql as 'select 1::bigint'`,
		`drop schema audit cascade`,
		`create table core.mine (x int)`,
		`create table audit.mine (x int)`,
		`delete from core.request`,
		`delete from core.grant`,
		`delete from core.vote`,
		`delete from core.entitlement`,
		`delete from core.operation`,
		`delete from core.principal`,
		`truncate core.grant cascade`,
		`update core.vote set decision = 'approve'`,
		`update core.decision set outcome = 'permit'`,
		`update core.policy_document set body = '{}'`,
		`update core.policy_revision set author = 'x|y'`,
		`update core.request set requester = 'x|y'`,
		`update core.request set hash = ''`,
		`update core.grant set holder = 'x|y'`,
		`update core.grant set max_total_seconds = 1000000`,
		`update core.account set principal = 'x|y'`,
		`insert into core.grant_transition (prior, on_trigger, next) values ('ended', 'start', 'active')`,
		`update core.grant_transition set next = 'active'`,
		`delete from core.request_state`,
		`update core.install set cursor_key = ''`,
		`update meta.schema_migrations set version = 1`,
	}
	reading := []string{
		`select token_hash from core.session`,
		`select nonce from core.login`,
		`select cursor_key from core.install`,
		`select key from core.idempotency`,
		`select audit.append('s', 1, now(), 'a.b', 'a', '{}')`,
		`update core.grant set state = 'ended'`,
		`insert into core.principal (id, groups_known, claims_at, first_seen, last_seen) values ('x|z', false, now(), now(), now())`,
		`delete from core.session`,
	}
	for login, attacks := range map[string][]string{
		"rampkeeper_app":      change,
		"rampkeeper_auditor":  slices.Concat(change, reading),
		"rampkeeper_sealer":   slices.Concat(change, reading, []string{`select reason from core.request`}),
		"rampkeeper_migrator": slices.Concat(change[:8], []string{`set role rampkeeper_audit_owner`}),
	} {
		t.Run(login, func(t *testing.T) {
			t.Parallel()
			conn := r.as(t, login)
			for _, attack := range attacks {
				_, err := conn.Exec(t.Context(), attack)
				require.Equal(t, denied, refusal(err), attack)
			}
		})
	}
	// A superuser can do everything, but not by mistake: the triggers hold
	// even where replication would skip them.
	t.Run("superuser", func(t *testing.T) {
		t.Parallel()
		conn := r.as(t, "")
		for _, mode := range []string{"origin", "replica"} {
			for _, attack := range slices.Concat(change[:3], []string{
				`delete from core.request`, `delete from core.grant`, `delete from core.entitlement`, `truncate core.vote`,
				`update core.decision set outcome = 'permit'`, `truncate core.grant cascade`, `delete from core.policy`,
			}) {
				_, err := conn.Exec(t.Context(), `set session_replication_role = `+mode)
				must(t, err)
				_, err = conn.Exec(t.Context(), attack)
				require.Equal(t, denied, refusal(err), "%s as %s", attack, mode)
			}
		}
	})
}

// Whoever has the broker's login can insert rows, but nothing that changes who
// is granted what goes unseen: without its event the COMMIT fails. Most of
// these rows belong to an object that is there already, whose first event is
// long past.
func TestNothingIsGrantedUnseen(t *testing.T) {
	t.Parallel()
	var r0 rows
	must(t, r0.grant.Scan(grantUUID))
	must(t, r0.request.Scan(requestUUID))
	grant, request := access.StreamOf(r0.grant), access.StreamOf(r0.request)
	const (
		body      = `{"kind":"Contract"}`
		salt      = `'\x00000000000000000000000000000000'`
		admin     = `('55555555-5555-7555-8555-555555555555', 'pg', 'alice', 'admin_orders', 'unknown', now())`
		member    = `insert into core.policy_member (revision, kind, name, digest) select 1, kind, name, digest from core.policy_document`
		document  = `insert into core.policy_document (digest, kind, name, body, source) values (encode(sha256('` + body + `'), 'hex'), 'Contract', 'mine', '` + body + `', '')`
		link      = `insert into core.grant_entitlement (grant_id, entitlement_id) values ('` + grantUUID + `', '55555555-5555-7555-8555-555555555555')`
		makeAdmin = `insert into core.entitlement (id, connector, account, permission, presence, created_at) values ` + admin
		item      = `insert into core.request_item (request_id, item, role, resource) values ('` + requestUUID + `', 2, 'admin', 'orders')`
		approver  = `insert into core.request_approver (request_id, user_id) values ('` + requestUUID + `', 'x|mallory')`
	)
	start := []string{step(access.OnStart, access.Provisioning), step(access.OnConfirm, access.Active), event(grant, 2), event(grant, 3)}
	groups := `update core.principal set groups = '{ops}', groups_known = true where id = '` + string(bob) + `'`
	endNote := `insert into core.grant_note (grant_id, kind, author, text, salt, created_at) values ('` + grantUUID + `', 'end', '` + string(bob) + `', 'x', ` + salt + `, now())`
	attestation := `insert into core.grant_note (grant_id, kind, author, role, text, salt, created_at) values ('` + grantUUID + `', 'attest', '` + string(bob) + `', 'operator', 'x', ` + salt + `, now())`
	shorten := step(access.OnShorten, access.Active)
	for _, tt := range []struct {
		name    string
		before  []string // in an earlier transaction
		do      []string
		refused string
	}{
		{"another entitlement for an active grant", start, []string{makeAdmin, link}, "state_has_event"},
		{"another entitlement with another step's event", start, []string{makeAdmin, link, shorten, event(grant, 4)}, "state_has_event"},
		{"a document in the policy in force", nil, []string{document, member}, "state_has_event"},
		{"a document in the policy in force with an event", nil, []string{document, member, event("policy", 2)}, "state_has_event"},
		{"a document whose digest is another's", nil, []string{strings.Replace(document, "'"+body+"', ''", "'{}', ''", 1)}, "policy_document_digest_ck"},
		{"groups", nil, []string{groups}, "state_has_event"},
		{"groups with somebody else's event", nil, []string{groups, event(access.PrincipalStream(alice), 1)}, "state_has_event"},
		{"groups with their event", nil, []string{groups, event(access.PrincipalStream(bob), 1)}, "nothing"},
		{"that there are no groups", nil, []string{`update core.principal set groups_known = true`}, "state_has_event"},
		{"a principal with groups", nil, []string{
			`insert into core.principal (id, groups, groups_known, claims_at, first_seen, last_seen) values ('x|z', '{ops}', true, now(), now(), now())`,
		}, "state_has_event"},
		{"a name", nil, []string{`update core.principal set name = 'Bob'`}, "nothing"},
		{"another item", nil, []string{item}, "state_has_event"},
		{"another item with a later event", nil, []string{
			item, `update core.request set last_trigger = 'vote', version = 2`, event(request, 2),
		}, "state_has_event"},
		{"another approver", nil, []string{approver}, "state_has_event"},
		{"another approver with a later event", nil, []string{
			approver, `update core.request set last_trigger = 'vote', version = 2`, event(request, 2),
		}, "state_has_event"},
		{"a note on the end", nil, []string{endNote}, "state_has_event"},
		{"a note on the end with the author's event", nil, []string{endNote, event(access.PrincipalStream(bob), 1)}, "state_has_event"},
		{"a note on the end with the end", start, []string{endNote, shorten, event(grant, 4)}, "nothing"},
		{"an attestation", nil, []string{attestation}, "state_has_event"},
		{"an attestation with somebody else's event", nil, []string{attestation, event(access.PrincipalStream(alice), 1)}, "state_has_event"},
		{"an attestation with its event", nil, []string{attestation, event(access.PrincipalStream(bob), 1)}, "nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRows(t)
			must(t, r.commit(t, tt.before...))
			require.Equal(t, tt.refused, refusal(r.commit(t, tt.do...)))
		})
	}
}

// Nor can the broker's login write an event of what did not happen, which
// would also take the number of the object's next step: a grant could then
// never be revoked.
func TestNoEventWithoutItsState(t *testing.T) {
	t.Parallel()
	r := newRows(t)
	nobody := access.NewID[access.RequestID](noon)
	for stream, version := range map[string]int{
		access.StreamOf(r.request): 2,
		access.StreamOf(r.grant):   2,
		access.StreamOf(r.ent):     1,
		access.StreamOf(nobody):    1,
		"request:x":                1,
		"policy":                   2,
		"policy:x":                 1,
	} {
		require.Equal(t, "event_has_state", refusal(r.commit(t, event(stream, version))), stream)
	}
	require.Equal(t, "event_has_state", refusal(r.commit(t,
		step(access.OnLapse, access.Lapsed), event(access.StreamOf(r.grant), 2), event(access.StreamOf(r.grant), 3))), "one more than the steps")
	must(t, r.commit(t, event(access.PrincipalStream(bob), 1), event("session:x", 1)))
}

// The functions that run with their owner's rights find no object of the
// caller's before their own.
func TestDefinersPinTheirSearchPath(t *testing.T) {
	t.Parallel()
	r := newRows(t)
	require.Empty(t, column(t, r, `
		select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
		where n.nspname in ('core', 'audit')
		  and not coalesce('search_path=pg_catalog, pg_temp' = any(p.proconfig), false)`), "without a pinned search path")
	require.Empty(t, column(t, r, `
		select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
		where n.nspname in ('core', 'audit') and p.proname <> 'typeid'
		  and has_function_privilege('public', p.oid, 'execute')`), "for everybody to call")
}

// What holds for every table, also for those that are added later.
func TestEveryTable(t *testing.T) {
	t.Parallel()
	r := newRows(t)
	const tables = ` from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('core', 'audit') and c.relkind = 'r'`

	kept := column(t, r, `select n.nspname || '.' || c.relname`+tables+` and (
		select count(*) from pg_trigger g
		where g.tgrelid = c.oid and not g.tgisinternal and g.tgenabled = 'A'
		  and g.tgfoid in ('core.refuse_change()'::regprocedure, 'audit.refuse_change()'::regprocedure)) = 2`)
	all := column(t, r, `select n.nspname || '.' || c.relname`+tables)
	require.ElementsMatch(t, all, slices.Concat(kept, deletable, constantTables), "evidence refuses DELETE and TRUNCATE")

	require.Empty(t, column(t, r, `
		select g.tgname::text from pg_trigger g join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace
		where n.nspname in ('core', 'audit') and not g.tgisinternal and g.tgenabled <> 'A'`), "triggers that replication would skip")
	require.Empty(t, column(t, r, `select c.relname::text`+tables+` and obj_description(c.oid) is null`), "tables without a comment")
	require.Empty(t, column(t, r, `
		select c.relname || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
		where n.nspname in ('core', 'audit') and c.relkind = 'r' and a.attname in ('state', 'outcome', 'presence', 'decision', 'kind')
		  and c.relname <> all(array['request_state', 'grant_state', 'policy_document', 'policy_member', 'operation'])
		  and col_description(c.oid, a.attnum) is null`), "state columns without a comment")
	require.Empty(t, column(t, r, `
		select k.conname::text from pg_constraint k join pg_namespace n on n.oid = k.connamespace
		where n.nspname in ('core', 'audit') and k.contype in ('p', 'u', 'f', 'c') and k.conname !~ '_(pk|uq|fk|ck)$'`), "constraints without a name of ours")
	require.Empty(t, column(t, r, `
		select c.relname::text`+tables+` and c.relowner::regrole::text <> case n.nspname when 'audit' then 'rampkeeper_audit_owner' else 'rampkeeper_owner' end`), "tables of other owners")
}

// Nobody who logs in owns anything or belongs to the audit owner.
func TestLoginsOwnNothing(t *testing.T) {
	t.Parallel()
	r := newRows(t)
	require.Empty(t, column(t, r, `
		select c.relname::text from pg_class c join pg_roles o on o.oid = c.relowner where o.rolname like 'rampkeeper\_%' and o.rolcanlogin
		union all
		select p.proname::text from pg_proc p join pg_roles o on o.oid = p.proowner where o.rolname like 'rampkeeper\_%' and o.rolcanlogin
		union all
		select n.nspname::text from pg_namespace n join pg_roles o on o.oid = n.nspowner where o.rolname like 'rampkeeper\_%' and o.rolcanlogin`))
	require.Empty(t, column(t, r, `
		select m.rolname::text from pg_roles m
		where m.rolcanlogin and not m.rolsuper and pg_has_role(m.oid, 'rampkeeper_audit_owner', 'member')`))
	require.Equal(t, []string{"rampkeeper_migrator"}, column(t, r, `
		select m.rolname::text from pg_roles m
		where m.rolcanlogin and not m.rolsuper and pg_has_role(m.oid, 'rampkeeper_owner', 'member')`))
}

// column loads a column as the superuser.
func column(t *testing.T, r *rows, sql string) []string {
	t.Helper()
	found, err := r.as(t, "").Query(t.Context(), sql)
	must(t, err)
	all, err := pgx.CollectRows(found, pgx.RowTo[string])
	must(t, err)
	return all
}
