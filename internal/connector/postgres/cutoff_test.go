package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/postgres"
)

// Calls that are cut off, come late or fail half-way.

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

// Whatever fails after the target has changed leaves the effect in doubt: a
// definite answer would say that nothing was done.
func TestFailureAfterAChangeIsUncertain(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		db := sc.otherTarget(t)
		c := sc.also(t, s, func(cfg *postgres.Config) { cfg.URL, cfg.StatementTimeout = s.dsn(sc.broker, db), 2*time.Second })
		for _, tt := range []struct{ name, function, fault, verb string }{
			{"EnsureThenTimeout", "status", "RAISE EXCEPTION USING ERRCODE = '57014'", "ensure"},
			{"EnsureThenNoRight", "status", "RAISE EXCEPTION USING ERRCODE = '42501'", "ensure"},
			{"EnsureNotKept", "status", "kind := 'made'; can_login := true; granted := false; removing := false; others := 0; sessions := 0; standing := ''", "ensure"},
			{"RemoveThenCutTimeout", "cut", "RAISE EXCEPTION USING ERRCODE = '57014'", "remove"},
			{"RemoveThenCutRefused", "cut", "RAISE EXCEPTION USING ERRCODE = 'RKR01'", "remove"},
			{"RemoveThenNotSettled", "settle", "RAISE EXCEPTION USING ERRCODE = 'RKD01'", "remove"},
			{"RemoveThenNoFunction", "status", "RAISE EXCEPTION USING ERRCODE = '42883'", "remove"},
			{"RemoveNotKept", "status", "kind := 'made'; can_login := true; granted := true; removing := false; others := 0; sessions := 0; standing := ''", "remove"},
			{"RemoveThenSessionsStay", "cut", "pids := '{1}'; done := false", "remove"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				require.NoError(t, s.exec(t.Context(), db, postgres.SetupSQL()), "as it was")
				e := sc.key(t)
				if tt.verb == "remove" {
					_, err := c.Ensure(t.Context(), e, later())
					require.NoError(t, err)
				}
				require.NoError(t, s.exec(t.Context(), db, `DO $do$
					DECLARE f record;
					BEGIN
						SELECT p.oid, p.proname, pg_get_function_arguments(p.oid) AS args, pg_get_function_result(p.oid) AS result INTO STRICT f
							FROM pg_proc p WHERE p.pronamespace = 'rampkeeper_target'::regnamespace AND p.proname = '`+tt.function+`';
						EXECUTE format('CREATE OR REPLACE FUNCTION rampkeeper_target.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$BEGIN `+strings.ReplaceAll(tt.fault, "'", "''")+`; END$f$', f.proname, f.args, f.result);
					END $do$`))

				var err error
				if tt.verb == "ensure" {
					_, err = c.Ensure(t.Context(), e, later())
				} else {
					_, err = c.Remove(t.Context(), e)
				}

				require.Error(t, err)
				require.NotErrorIs(t, err, connector.ErrRefused)
				require.NotErrorIs(t, err, connector.ErrPermanent)
				require.Equal(t, tt.verb == "ensure", query[bool](t, sc, `SELECT coalesce(bool_or(pg_has_role(oid, $2::name, 'MEMBER')), false) FROM pg_roles WHERE rolname::text = $1`, e.Account, e.Permission), "the fact: it had changed")
			})
		}
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
