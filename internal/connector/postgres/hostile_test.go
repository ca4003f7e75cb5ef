package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/cluster"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/postgres"
)

// What a person with access may try so as to keep it, and what a broker's
// login in wrong hands may try.

// An open transaction that changed the person's own password holds the row
// that the removal must change.
func TestRemovalIsNotBlockedByTheLoginsOwnTransaction(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		conn := sc.login(t, e)
		conn.sql(t, "BEGIN; ALTER ROLE %s PASSWORD 'mine'", e.Account)
		begin := time.Now()

		sc.remove(t, e)

		require.Less(t, time.Since(begin), 5*time.Second)
		require.Empty(t, sc.residue(t, e))
	})
}

// Whoever is connected can take any advisory lock there is.
func TestRemovalIsNotBlockedByAdvisoryLocks(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		other := e
		other.Permission = sc.permission(t, name("app"))
		sc.ensure(t, e)
		sc.ensure(t, other)
		conn := sc.login(t, e)
		_, err := conn.Exec(t.Context(), "LOCK TABLE rampkeeper_target.login")
		require.Error(t, err)
		_, err = conn.Exec(t.Context(), "SELECT rampkeeper_target.remove($1, $2, now())", e.Account, e.Permission)
		require.Error(t, err)

		sc.remove(t, e)
		sc.remove(t, other)
	})
}

// Up to 14 people could lend their login to others; from 15 on PostgreSQL
// refuses. Where an administrator did it, no more is given to that login, and
// the record says that others' sessions were left alone.
func TestSharedLogin(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e, bob := sc.key(t), name("bob")
		sc.sql(t, "CREATE ROLE %s LOGIN", bob)
		sc.atEnd(t, "DROP ROLE %s", bob)
		sc.ensure(t, e)
		_, err := sc.login(t, e).Exec(t.Context(), fill("GRANT %s TO %s", e.Account, bob))
		require.ErrorContains(t, err, "42501", "the fact")
		sc.sql(t, "GRANT %s TO %s", e.Account, bob)

		_, err = sc.Ensure(t.Context(), e, later())
		require.ErrorIs(t, err, connector.ErrPermanent)
		require.ErrorContains(t, err, "would reach others")
		o := sc.remove(t, e)

		require.Equal(t, []string{"shared_login: others can act as " + e.Account + ", and their sessions are not ended: " + bob}, o.Findings)
	})
}

// A name is not a role: the book keeps the oid.
func TestRenamedLoginIsStillRemoved(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		conn := sc.login(t, e)
		hidden, role := name("hidden"), name("hidden")
		sc.sql(t, "ALTER ROLE %s RENAME TO %s", e.Account, hidden)
		sc.atEnd(t, "DROP OWNED BY %[1]s; DROP ROLE %[1]s", hidden)
		sc.sql(t, "ALTER ROLE %s RENAME TO %s", e.Permission, role)
		sc.atEnd(t, "DROP OWNED BY %[1]s; DROP ROLE %[1]s", role)

		o := sc.remove(t, e)

		require.Equal(t, 1, o.SessionsEnded)
		require.Error(t, conn.Use(t.Context()))
		require.Empty(t, sc.residue(t, access.EntitlementKey{Account: hidden}))
	})
}

// A process that dies between the revocation and the cut leaves sessions; the
// next attempt knows, and until then nobody calls the access absent.
func TestCrashBetweenRevokeAndCut(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		other := e
		other.Permission = sc.permission(t, name("app"))
		sc.ensure(t, e)
		sc.ensure(t, other)
		conn := sc.login(t, e)
		conn.sql(t, "SET ROLE %s", e.Permission)
		_, err := sc.asBroker(t).Exec(t.Context(), "SELECT rampkeeper_target.remove($1, $2, now() + '1 min')", e.Account, e.Permission)
		require.NoError(t, err)

		seen, err := sc.Observe(t.Context(), e)
		require.NoError(t, err)
		require.True(t, seen.Present, "a session still has it")
		require.NoError(t, conn.Use(t.Context()))

		sc.remove(t, e)
		require.Error(t, conn.Use(t.Context()))
		sc.remove(t, other)
	})
}

// A call that was under way for too long does nothing when it arrives.
func TestLateCallDoesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		broker := sc.asBroker(t)

		_, err := broker.Exec(t.Context(), "SELECT rampkeeper_target.ensure($1, $2, now() + '1 h', true, clock_timestamp() - interval '1 ms')", e.Account, e.Permission)
		require.ErrorContains(t, err, "RKD01")

		// It waits for somebody else's work on the login, and meanwhile its
		// time is up.
		tx, err := sc.admin.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "INSERT INTO rampkeeper_target.login VALUES ($1)", e.Account)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err = sc.Ensure(ctx, e, later())
		require.Error(t, err)
		require.NotErrorIs(t, err, connector.ErrRefused, "its effect is unknown")
		time.Sleep(100 * time.Millisecond)
		require.NoError(t, tx.Rollback(t.Context()))

		time.Sleep(300 * time.Millisecond)
		require.False(t, query[bool](t, sc, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname::text = $1)`, e.Account))
	})
}

func (sc *scene) asBroker(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), sc.server.dsn(sc.broker, database))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Logins that the broker neither made nor was given are not its to touch.
func TestForeignLoginsAreNotTouched(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		service := sc.key(t)
		sc.sql(t, "CREATE ROLE %s LOGIN", service.Account)
		conn := sc.connect(t, service, s.dsn(service.Account, database))
		before := query[string](t, sc, `SELECT to_jsonb(a) #>> '{}' FROM pg_authid a WHERE rolname::text = $1`, service.Account)

		_, err := sc.Ensure(t.Context(), service, later())
		require.ErrorIs(t, err, connector.ErrPermanent)
		require.ErrorContains(t, err, "was not made by Rampkeeper and not adopted")
		o := sc.remove(t, service)
		require.Zero(t, o.SessionsEnded)
		_, err = sc.Credential(t.Context(), service, later())
		require.ErrorIs(t, err, connector.ErrRefused)
		_, err = sc.asBroker(t).Exec(t.Context(), "SELECT rampkeeper_target.drop_login($1, now() + '1 min')", service.Account)
		require.ErrorContains(t, err, "RKR01")

		require.Equal(t, before, query[string](t, sc, `SELECT to_jsonb(a) #>> '{}' FROM pg_authid a WHERE rolname::text = $1`, service.Account))
		_, err = conn.Exec(t.Context(), "SELECT 1")
		require.NoError(t, err, "its session lives")
	})
}

// What an administrator granted stays granted, and is told.
func TestStandingMembershipIsNotTaken(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.sql(t, "CREATE ROLE %s LOGIN", e.Account)
		sc.sql(t, "GRANT %s TO %s", e.Permission, e.Account)

		o := sc.remove(t, e)

		require.Contains(t, o.Findings[len(o.Findings)-1], "effective_access_remains: "+e.Account+" is a member of "+e.Permission+" by another way")
		require.True(t, query[bool](t, sc, `SELECT pg_has_role($1, $2, 'MEMBER')`, e.Account, e.Permission))
	})
}

// A role that leads too far is refused even where an administrator prepared
// it and the configuration allows it.
func TestDangerousRolesAreNotHandedOut(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		for _, tt := range []struct{ name, prepare, says string }{
			{"Superuser", "ALTER ROLE %[1]s SUPERUSER", "is a superuser"},
			{"CreateRole", "ALTER ROLE %[1]s CREATEROLE", "may create roles"},
			{"CreateDB", "ALTER ROLE %[1]s CREATEDB", "may create databases"},
			{"Replication", "ALTER ROLE %[1]s REPLICATION", "may replicate"},
			{"BypassRLS", "ALTER ROLE %[1]s BYPASSRLS", "bypasses row security"},
			{"Login", "ALTER ROLE %[1]s LOGIN", "can log in"},
			{"Program", "GRANT pg_execute_server_program TO %[1]s", "leads to pg_execute_server_program"},
			{"Files", "GRANT pg_write_server_files TO %[1]s", "leads to pg_write_server_files"},
			{"Signal", "GRANT pg_signal_backend TO %[1]s", "leads to pg_signal_backend"},
			{"Broker", "GRANT rampkeeper_broker TO %[1]s", "leads to rampkeeper_broker"},
			{"Admin", "GRANT rampkeeper_canary TO %[1]s WITH ADMIN OPTION", "may itself hand out rampkeeper_canary"},
			{"NotPrepared", "REVOKE %[1]s FROM rampkeeper_grantor", "has not prepared it"},
			{"SuperuserBehind", "GRANT " + cluster.Superuser + " TO %[1]s", "is a superuser"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				e := sc.key(t)
				sc.sql(t, tt.prepare, e.Permission)

				_, err := sc.Ensure(t.Context(), e, later())

				require.ErrorIs(t, err, connector.ErrPermanent)
				require.ErrorContains(t, err, tt.says)
				require.False(t, query[bool](t, sc, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname::text = $1)`, e.Account))
			})
		}
	})
}

// The configuration is a second lock.
func TestRolesThatTheConfigurationDoesNotName(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.keyFor(t, name("person"), name("secret"))

		_, err := sc.Ensure(t.Context(), e, later())

		require.ErrorIs(t, err, connector.ErrPermanent)
		require.ErrorContains(t, err, "no pattern of allowed fits it")
	})
}

// The broker's login can call the functions and nothing else, and they check
// what they are given.
func TestBrokersLoginHasNoOtherPower(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		broker := sc.asBroker(t)
		for _, sql := range []string{
			"SELECT rampkeeper_target.set_password($1, 'plain', now() + '1 min')",
			"SELECT rampkeeper_target.set_password($1, 'md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', now() + '1 min')",
			"SELECT rampkeeper_target.ensure($1, 'app', 'infinity', true, now() + '1 min')",
			"SELECT rampkeeper_target.drop_login($1, now() + '1 min')",
			"SELECT rampkeeper_target.why_not($1)",
			"SELECT rampkeeper_target.lock_login($1)",
			"SELECT $1::text, rolpassword FROM pg_authid",
			"UPDATE rampkeeper_target.held SET until = 'infinity' WHERE login = $1",
			"SELECT i::text || $1 FROM public." + sc.tables[e.Permission],
		} {
			_, err := broker.Exec(t.Context(), sql, e.Account)
			require.Error(t, err, sql)
		}
		sc.remove(t, e)
	})
}

// The script may be run as often as one likes.
func TestSetupTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	s := servers[1].up(t)
	sc := newScene(t, s)
	const look = `SELECT md5(string_agg(x, ',' ORDER BY x)) FROM (
		SELECT r.rolname || r.xmin::text FROM pg_authid r WHERE r.rolname LIKE 'rampkeeper\_%' AND r.rolname NOT LIKE 'rampkeeper\_canary\_%'
		UNION ALL SELECT m.roleid::regrole::text || m.member::regrole::text || m.xmin::text FROM pg_auth_members m
			WHERE m.member::regrole::text = 'rampkeeper_grantor' AND m.roleid::regrole::text LIKE ANY ('{pg_%,rampkeeper_login,rampkeeper_canary}')
		UNION ALL SELECT p.oid::regprocedure::text || p.proacl::text || p.proowner::regrole::text || p.prosrc FROM pg_proc p WHERE p.pronamespace = 'rampkeeper_target'::regnamespace
		UNION ALL SELECT nspacl::text FROM pg_namespace WHERE nspname = 'rampkeeper_target') AS all_of(x)`
	before := query[string](t, sc, look)

	require.NoError(t, s.exec(t.Context(), database, postgres.SetupSQL()))

	require.Equal(t, before, query[string](t, sc, look))
}

// A session that blocks what the broker does for its login delays nobody
// else, and its own removal only for moments.
func TestBlockedGrantsDoNotDelayRemovals(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		sc.Connector = sc.also(t, s, func(cfg *postgres.Config) { cfg.MaxConns = 1 })
		blocked, free := sc.key(t), sc.key(t)
		sc.ensure(t, blocked)
		sc.ensure(t, free)
		conn := sc.login(t, blocked)
		conn.sql(t, "BEGIN; ALTER ROLE %s PASSWORD 'mine'", blocked.Account)
		ended := make(chan error, 1)
		go func() {
			_, err := sc.Ensure(context.Background(), blocked, later())
			ended <- err
		}()
		require.Eventually(t, func() bool {
			return query[bool](t, sc, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename::text = $1 AND wait_event_type = 'Lock')`, sc.broker)
		}, 5*time.Second, 10*time.Millisecond, "the grant waits for the login's row")
		begin := time.Now()

		sc.remove(t, free)

		require.Less(t, time.Since(begin), 2*time.Second)
		sc.remove(t, blocked)
		require.Less(t, time.Since(begin), 10*time.Second)
		err := <-ended
		if err != nil {
			require.ErrorIs(t, err, connector.ErrRefused)
		}
		sc.remove(t, blocked)
	})
}
