package postgres_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/cluster"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/conformance"
	"github.com/rampkeeper/rampkeeper/internal/connector/postgres"
)

// scene is a connector with a broker's login of its own, and the target's
// administrator beside it.
type scene struct {
	*postgres.Connector
	server *server
	admin  *pgxpool.Pool
	tables map[string]string // by permission
	broker string
}

func newScene(t *testing.T, s *server, change ...func(*postgres.Config)) *scene {
	t.Helper()
	admin, err := pgxpool.New(t.Context(), s.dsn(cluster.Superuser, database))
	require.NoError(t, err)
	t.Cleanup(admin.Close)
	sc := &scene{server: s, admin: admin, tables: map[string]string{}, broker: name("broker")}
	sc.sql(t, "CREATE ROLE %s LOGIN IN ROLE rampkeeper_broker", sc.broker)
	sc.atEnd(t, "DROP OWNED BY %[1]s; DROP ROLE %[1]s", sc.broker)
	sc.Connector = sc.also(t, s, change...)
	return sc
}

// also gives another connector for the scene's login.
func (sc *scene) also(t *testing.T, s *server, change ...func(*postgres.Config)) *postgres.Connector {
	t.Helper()
	cfg := postgres.Config{
		Name: "orders", URL: s.dsn(sc.broker, database), CreateLogins: true, PasswordAuth: !s.given,
		Allowed: []string{"app_*", "odd*"}, StatementTimeout: 20 * time.Second,
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := postgres.New(cfg)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// otherTarget prepares another database of the server, with functions and
// books of its own.
func (sc *scene) otherTarget(t *testing.T) string {
	t.Helper()
	db := name("rkdb")
	require.NoError(t, sc.server.exec(t.Context(), "postgres", "CREATE DATABASE "+db))
	t.Cleanup(func() { _ = sc.server.exec(context.Background(), "postgres", "DROP DATABASE "+db+" WITH (FORCE)") })
	require.NoError(t, sc.server.exec(t.Context(), db, postgres.SetupSQL()))
	return db
}

func e(account, permission string) access.EntitlementKey {
	return access.EntitlementKey{Connector: "orders", Account: account, Permission: permission}
}

// name gives a name that no other test uses.
func name(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()[:10]) }

func (sc *scene) sql(t *testing.T, format string, names ...any) {
	t.Helper()
	_, err := sc.admin.Exec(t.Context(), fill(format, names...), pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err, format)
}

// fill quotes names into a statement.
func fill(format string, names ...any) string {
	for i, n := range names {
		names[i] = `"` + strings.ReplaceAll(n.(string), `"`, `""`) + `"`
	}
	return fmt.Sprintf(format, names...)
}

// atEnd runs a statement when the test is over, and does not mind if it fails.
func (sc *scene) atEnd(t *testing.T, format string, names ...any) {
	t.Helper()
	sql := fill(format, names...)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = sc.server.exec(ctx, database, sql)
	})
}

func query[T any](t *testing.T, sc *scene, sql string, args ...any) T {
	t.Helper()
	rows, err := sc.admin.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return v
}

// permission prepares a role that may read and write a table of its own.
func (sc *scene) permission(t *testing.T, role string) string {
	t.Helper()
	table := name("t")
	sc.sql(t, "CREATE TABLE public.%s (i int); INSERT INTO public.%[1]s VALUES (1), (2), (3)", table)
	sc.sql(t, "CREATE ROLE %s", role)
	sc.sql(t, "GRANT SELECT, INSERT ON public.%s TO %s", table, role)
	sc.sql(t, "GRANT %s TO rampkeeper_grantor WITH ADMIN OPTION", role)
	sc.tables[role] = table
	sc.atEnd(t, "DROP TABLE IF EXISTS public.%s", table)
	sc.atEnd(t, "DROP OWNED BY %[1]s; DROP ROLE %[1]s", role)
	return role
}

func (sc *scene) key(t *testing.T) access.EntitlementKey {
	t.Helper()
	return sc.keyFor(t, name("person"), name("app"))
}

func (sc *scene) keyFor(t *testing.T, account, role string) access.EntitlementKey {
	t.Helper()
	sc.atEnd(t, "DROP OWNED BY %[1]s; DROP ROLE %[1]s", account)
	return access.EntitlementKey{Connector: "orders", Account: account, Permission: sc.permission(t, role)}
}

func later() time.Time { return time.Now().Add(time.Hour).Truncate(time.Second) }

func (sc *scene) ensure(t *testing.T, e access.EntitlementKey) connector.Observation {
	t.Helper()
	o, err := sc.Ensure(t.Context(), e, later())
	require.NoError(t, err)
	require.True(t, o.Present)
	return o
}

func (sc *scene) remove(t *testing.T, e access.EntitlementKey) connector.Observation {
	t.Helper()
	o, err := sc.Remove(t.Context(), e)
	require.NoError(t, err)
	require.False(t, o.Present)
	return o
}

func (sc *scene) credential(t *testing.T, e access.EntitlementKey) connector.Credential {
	t.Helper()
	cred, err := sc.Credential(t.Context(), e, later())
	require.NoError(t, err)
	return cred
}

// login connects as the person, with a new password.
func (sc *scene) login(t *testing.T, e access.EntitlementKey) *session {
	t.Helper()
	return sc.connect(t, e, sc.credential(t, e).DSN)
}

func (sc *scene) connect(t *testing.T, e access.EntitlementKey, dsn string) *session {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &session{conn, sc.tables[e.Permission]}
}

type session struct {
	*pgx.Conn
	table string
}

// Use reads the table that the permission is about.
func (s *session) Use(ctx context.Context) error {
	_, err := s.Exec(ctx, fill("SELECT FROM public.%s", s.table))
	return err
}

func (s *session) sql(t *testing.T, format string, names ...any) {
	t.Helper()
	_, err := s.Exec(t.Context(), fill(format, names...), pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err, format)
}

func TestConformance(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		conformance.Run(t, func(t *testing.T) conformance.Target {
			sc := newScene(t, s, func(cfg *postgres.Config) {
				u, err := url.Parse(cfg.URL)
				require.NoError(t, err)
				q := u.Query()
				q.Set("password", "canary-secret") // the server does not ask for it
				u.RawQuery = q.Encode()
				cfg.URL = u.String()
			})
			return sc.target(t)
		})
	})
}

func (sc *scene) target(t *testing.T) conformance.Target {
	t.Helper()
	role := sc.permission(t, name("app"))
	x63 := strings.Repeat("x", 63)
	target := conformance.Target{
		Connector: sc.Connector,
		Key:       sc.key,
		Second: func(t *testing.T, first access.EntitlementKey) access.EntitlementKey {
			first.Permission = sc.permission(t, name("app"))
			return first
		},
		Works: func(t *testing.T, e access.EntitlementKey) bool {
			return query[bool](t, sc, `SELECT coalesce(bool_or(r.rolcanlogin AND has_table_privilege(r.oid, $2::regclass, 'SELECT')), false) FROM pg_roles r WHERE rolname::text = $1`,
				e.Account, sc.tables[e.Permission])
		},
		Open: func(t *testing.T, e access.EntitlementKey) conformance.Session { return sc.login(t, e) },
		Take: func(t *testing.T, e access.EntitlementKey) {
			sc.sql(t, "REVOKE %s FROM %s GRANTED BY rampkeeper_grantor", e.Permission, e.Account)
		},
		Residue: sc.residue,
		Refused: []access.EntitlementKey{
			e("", role), e("public", role), e("none", role), e("pg_read_all_data", role),
			e(x63+"y", role), e("post\x00gres", role), e("two\nlines", role), e("tab\t", role), e("\xff", role),
			e("rampkeeper_grantor", role), e(cluster.Superuser, role), e(sc.broker, role), e("alice", ""),
			e("alice", "pg_execute_server_program"), e("alice", cluster.Superuser), e("alice", "app_there_is_no_such_role"),
			e("alice", "app_"+x63), e("alice", "rampkeeper_canary"), e("alice", sc.broker),
		},
		Secrets: []string{"canary-secret", "SCRAM-SHA-256"},
	}
	for _, odd := range []string{`quo"te`, `semi;colon`, `$$dollar$$`, `back\slash`, `PUBLIC`, `current_user`, "spa ce", "ünïcødé", "'; DROP ROLE x; --", "percent%s%I", "{brace}", strings.Repeat("é", 20)} {
		suffix := name("")
		target.Odd = append(target.Odd, sc.keyFor(t, odd+suffix, "odd"+odd+suffix))
	}
	return target
}

// residue is what the target still knows of an entitlement: nothing but a
// login that is off.
func (sc *scene) residue(t *testing.T, e access.EntitlementKey) []string {
	t.Helper()
	rows, err := sc.admin.Query(t.Context(), `
		SELECT 'book: ' || h.role FROM rampkeeper_target.held h WHERE h.login = $1
		UNION ALL SELECT 'member of ' || r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles l ON l.oid = m.member
			WHERE l.rolname::text = $1 AND r.rolname <> 'rampkeeper_login'
		UNION ALL SELECT 'can log in' FROM pg_roles WHERE rolname::text = $1 AND rolcanlogin
		UNION ALL SELECT 'has a password' FROM pg_authid WHERE rolname::text = $1 AND rolpassword IS NOT NULL
		UNION ALL SELECT 'session' FROM pg_stat_activity WHERE usename::text = $1`, e.Account)
	require.NoError(t, err)
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return left
}
