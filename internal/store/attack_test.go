package store_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
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
