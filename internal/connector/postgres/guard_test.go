package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/cluster"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/postgres"
)

// What a broker's login in wrong hands may try, and what is never handed out.

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
			{"Broker", "GRANT rampkeeper_broker TO %[1]s", "leads to "},
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

// What others put into the schema would run with the owner's rights, and a
// member of the owner has them all.
func TestSetupRefusesWhatOthersPrepared(t *testing.T) {
	t.Parallel()
	s := servers[1].up(t)
	sc := newScene(t, s)
	db, mallory := sc.otherTarget(t), name("mallory")
	sc.sql(t, "CREATE ROLE %s", mallory)
	sc.atEnd(t, "DROP OWNED BY %[1]s; DROP ROLE %[1]s", mallory)
	for what, undo := range map[string]string{
		"CREATE FUNCTION rampkeeper_target.more() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION rampkeeper_target.more() OWNER TO %s": "DROP FUNCTION rampkeeper_target.more() -- %s",
		"ALTER TABLE rampkeeper_target.held OWNER TO %s": "ALTER TABLE rampkeeper_target.held OWNER TO CURRENT_USER -- %s",
	} {
		require.NoError(t, s.exec(t.Context(), db, fill(what, mallory)))
		require.ErrorContains(t, s.exec(t.Context(), db, postgres.SetupSQL()), "look at it first")
		require.NoError(t, s.exec(t.Context(), db, fill(undo, mallory)))
	}
	require.NoError(t, s.exec(t.Context(), db, postgres.SetupSQL()))

	// In a transaction: the other tests' owner must not have a member.
	require.ErrorContains(t, s.exec(t.Context(), db, fill("BEGIN; GRANT rampkeeper_grantor TO %s; ", mallory)+postgres.SetupSQL()), "a member of rampkeeper_grantor")
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
