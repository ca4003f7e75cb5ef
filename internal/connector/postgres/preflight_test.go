package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/cluster"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/postgres"
)

// verdicts gives the checks by name, and the details of those that failed.
func verdicts(checks []connector.Check) (passed []string, failed map[string]string) {
	failed = map[string]string{}
	for _, c := range checks {
		if c.OK {
			passed = append(passed, c.Name)
		} else {
			failed[c.Name] = c.Detail
		}
	}
	return passed, failed
}

func TestPreflight(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		role := sc.permission(t, name("app"))
		sc2 := sc.also(t, s, func(cfg *postgres.Config) { cfg.Allowed = []string{role} })

		checks, err := sc2.Preflight(t.Context())

		require.NoError(t, err)
		passed, failed := verdicts(checks)
		require.Empty(t, failed)
		want := []string{
			"connect", "identity", "tls", "clock", "broker's login has no attributes", "broker's login is in rampkeeper_broker only",
			"refused: making a role", "refused: joining pg_execute_server_program", "refused: becoming rampkeeper_grantor",
			"refused: writing the books", "refused: changing the functions", "refused: handing out pg_execute_server_program",
			"refused: handing out rampkeeper_grantor", "refused: granting to itself", "refused: setting its own password by the functions",
			"connections", "prepared roles", "canary: grant",
		}
		if !s.given {
			want = append(want, "canary: the password lets in", "canary: a wrong password does not", "canary: VALID UNTIL keeps out")
		}
		require.Equal(t, append(want, "canary: remove", "canary: nothing is left"), passed)
		require.Zero(t, query[int](t, sc, `SELECT count(*)::int FROM pg_roles WHERE rolname = 'rampkeeper_must_not_exist'`))
	})
}

// Whoever asked may go away in the middle.
func TestPreflightThatIsCutOffLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		db := sc.otherTarget(t)
		c := sc.also(t, s, func(cfg *postgres.Config) { cfg.URL = s.dsn(sc.broker, db) })
		books, err := pgxpool.New(t.Context(), s.dsn(cluster.Superuser, db))
		require.NoError(t, err)
		t.Cleanup(books.Close)
		met := false
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			_, err := c.Preflight(ctx)
			ended <- err
		}()
		left := func() (n int) {
			require.NoError(t, books.QueryRow(t.Context(), "SELECT count(*)::int FROM rampkeeper_target.login").Scan(&n))
			return n
		}
		for !met && len(ended) == 0 {
			met = left() > 0
		}
		require.True(t, met, "the canary was there")
		cancel()

		require.NoError(t, <-ended)

		require.Zero(t, left())
	})
}

// A connector that was accepted for what it is not: each of these is named,
// with what to do about it.
func TestPreflightRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		role := sc.permission(t, name("app"))
		allowed := func(cfg *postgres.Config) { cfg.Allowed = []string{role} }
		for _, tt := range []struct {
			name, prepare, check, says string
			change                     func(*postgres.Config)
		}{
			{"Superuser", "", "broker's login has no attributes", "whoever gets its password owns the server", func(cfg *postgres.Config) {
				cfg.URL = s.dsn(cluster.Superuser, database)
			}},
			{"CreateRole", "ALTER ROLE %s CREATEROLE", "broker's login has no attributes", "NOCREATEROLE", allowed},
			{"OtherRole", "GRANT pg_read_all_data TO %s", "broker's login is in rampkeeper_broker only", "pg_read_all_data", allowed},
			{"NoPreparedRole", "", "prepared roles", "WITH ADMIN OPTION", func(cfg *postgres.Config) { cfg.Allowed = []string{"nothing_fits"} }},
			{"NotABroker", "REVOKE rampkeeper_broker FROM %s", "connect", "rampkeeper_broker", allowed},
			{"OtherServer", "", "connect", "another server than the pinned one", func(cfg *postgres.Config) { cfg.SystemIdentifier = "1" }},
			{"NoBundle", "", "connect", "target-setup.sql", func(cfg *postgres.Config) { cfg.URL = s.dsn(sc.broker, "postgres") }},
			{"Down", "", "connect", "cannot be reached", func(cfg *postgres.Config) { cfg.URL = "postgres://u:canary-secret@127.0.0.1:1/db" }},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				mine := newScene(t, s)
				if tt.prepare != "" {
					mine.sql(t, tt.prepare, mine.broker)
				}
				c := mine.also(t, s, tt.change)

				checks, err := c.Preflight(t.Context())

				require.NoError(t, err)
				_, failed := verdicts(checks)
				require.Contains(t, failed[tt.check], tt.says, "%v", checks)
				for _, check := range checks {
					require.NotContains(t, check.Detail, "canary-secret")
				}
			})
		}
	})
}

// On 15 the reason is worse than on later versions, and said.
func TestPreflightSaysWhyCreateRoleIsDangerous(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		sc.sql(t, "ALTER ROLE %s CREATEROLE", sc.broker)

		checks, err := sc.Preflight(t.Context())

		require.NoError(t, err)
		_, failed := verdicts(checks)
		old := query[int](t, sc, `SELECT current_setting('server_version_num')::int`) < 160000
		require.Equal(t, old, strings.Contains(failed["broker's login has no attributes"], "pg_execute_server_program"))
		require.Contains(t, failed, "refused: making a role", "it is found by trying, too")
	})
}

// password_auth is a promise about pg_hba.conf; it is tried, not believed.
func TestPreflightFindsThatPasswordsAreNotAskedFor(t *testing.T) {
	t.Parallel()
	s := servers[0].up(t)
	require.True(t, s.given, "this server trusts every login")
	sc := newScene(t, s, func(cfg *postgres.Config) { cfg.PasswordAuth = true })

	checks, err := sc.Preflight(t.Context())

	require.NoError(t, err)
	_, failed := verdicts(checks)
	require.Contains(t, failed["canary: a wrong password does not"], "it asks for none")
	require.Contains(t, failed["canary: VALID UNTIL keeps out"], "after its VALID UNTIL")
}

func TestIdentityIsPinned(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		id, err := sc.Identity(t.Context())
		require.NoError(t, err)
		require.Equal(t, query[string](t, sc, `SELECT system_identifier::text FROM pg_control_system()`), id.SystemIdentifier)

		other := sc.also(t, s, func(cfg *postgres.Config) { cfg.SystemIdentifier = "7" + id.SystemIdentifier })
		_, err = other.Ensure(t.Context(), e, later())
		require.ErrorIs(t, err, connector.ErrRefused)
		require.ErrorIs(t, err, connector.ErrPermanent)
		require.ErrorContains(t, err, id.SystemIdentifier)
		sc.ensure(t, e)
		_, err = other.Remove(t.Context(), e)
		require.ErrorIs(t, err, connector.ErrRefused)
		seen, err := sc.Observe(t.Context(), e)
		require.NoError(t, err)
		require.True(t, seen.Present, "nothing was removed on a server that is not the pinned one")
		sc.remove(t, e)
	})
}

func TestDownIsADefiniteAnswer(t *testing.T) {
	t.Parallel()
	c, err := postgres.New(postgres.Config{Name: "orders", URL: "postgres://u:canary-secret@127.0.0.1:1/db", Allowed: []string{"app_*"}})
	require.NoError(t, err, "a target that is down does not keep the broker from starting")
	defer c.Close()
	sc := &scene{Connector: c}
	begin := time.Now()

	_, err = sc.Remove(t.Context(), e("alice", "app_ro"))

	require.ErrorIs(t, err, connector.ErrRefused, "nothing was sent")
	require.NotErrorIs(t, err, connector.ErrPermanent)
	require.NotContains(t, err.Error(), "canary-secret")
	require.Less(t, time.Since(begin), 10*time.Second)
}
