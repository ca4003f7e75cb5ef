package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// What PostgreSQL really does, each fact found by trying, and each the reason
// for something that the connector does.

// REVOKE, NOLOGIN and even DROP ROLE leave a session that did SET ROLE at
// work; only ending it helps.
func TestSessionInsideSetRoleIsCut(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		inside := sc.login(t, e)
		inside.sql(t, "SET ROLE %s", e.Permission)
		sc.sql(t, "REVOKE %s FROM %s GRANTED BY rampkeeper_grantor", e.Permission, e.Account)
		sc.sql(t, "ALTER ROLE %s NOLOGIN", e.Account)
		require.NoError(t, inside.Use(t.Context()), "the fact: it goes on")
		begin := time.Now()

		o := sc.remove(t, e)

		require.Equal(t, 1, o.SessionsEnded)
		require.Error(t, inside.Use(t.Context()))
		require.Less(t, time.Since(begin), 5*time.Second)
	})
}

func TestOpenCursorIsCut(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		conn := sc.login(t, e)
		conn.sql(t, "BEGIN; DECLARE c CURSOR FOR SELECT i FROM public.%s", conn.table)
		sc.sql(t, "REVOKE %s FROM %s GRANTED BY rampkeeper_grantor", e.Permission, e.Account)
		conn.sql(t, "FETCH 1 FROM c") // the fact: it keeps fetching

		sc.remove(t, e)

		_, err := conn.Exec(t.Context(), "FETCH 1 FROM c")
		require.Error(t, err)
	})
}

// A statement that runs for long does not outlive the removal.
func TestLongQueryIsCut(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		conn := sc.login(t, e)
		ended := make(chan error, 1)
		go func() {
			_, err := conn.Exec(context.Background(), "SELECT pg_sleep(600)")
			ended <- err
		}()
		require.Eventually(t, func() bool {
			return query[int](t, sc, `SELECT count(*)::int FROM pg_stat_activity WHERE usename::text = $1 AND state = 'active'`, e.Account) == 1
		}, 5*time.Second, 10*time.Millisecond)

		sc.remove(t, e)

		require.Error(t, <-ended)
	})
}

// VALID UNTIL is looked at where a password is, and nowhere else.
func TestValidUntil(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		cred := sc.credential(t, e)
		open := sc.connect(t, e, cred.DSN)

		_, err := sc.Ensure(t.Context(), e, time.Now().Add(-time.Minute))

		require.NoError(t, err)
		require.NoError(t, open.Use(t.Context()), "the fact: an open session goes on")
		conn, err := pgx.Connect(t.Context(), cred.DSN)
		if s.given {
			require.NoError(t, err, "the fact: under trust the login still works")
			require.NoError(t, conn.Close(t.Context()))
		} else {
			require.ErrorContains(t, err, "password authentication failed")
		}
		sc.remove(t, e)
		require.Error(t, open.Use(t.Context()))
		_, err = pgx.Connect(t.Context(), cred.DSN)
		require.Error(t, err, "after the removal no server lets it in")
	})
}

// CREATE ROLE … PASSWORD 'x' is logged by the server, so only a verifier is
// ever sent.
func TestPasswordIsNeverInTheServersLog(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		cred := sc.credential(t, e)
		sc.connect(t, e, cred.DSN)
		require.Len(t, cred.Password, 43)
		stored := query[string](t, sc, `SELECT rolpassword FROM pg_authid WHERE rolname::text = $1`, e.Account)
		require.True(t, strings.HasPrefix(stored, "SCRAM-SHA-256$4096:"))
		if s.log == nil {
			return // nobody can read the log of a server that was given
		}

		require.Eventually(t, func() bool { return s.log.Contains(e.Account) }, 5*time.Second, 20*time.Millisecond, "this server logs every statement")
		require.False(t, s.log.Contains(cred.Password))
	})
}

// Names are cut at 63 bytes: the second person would get the first one's login.
func TestNamesEqualInTheirFirst63Bytes(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		first := sc.keyFor(t, name(strings.Repeat("x", 52)), name("app"))
		require.Len(t, first.Account, 63)
		sc.ensure(t, first)
		second := first
		second.Account += "2"

		_, err := sc.Ensure(t.Context(), second, later())

		require.ErrorIs(t, err, connector.ErrPermanent)
		_, err = sc.Remove(t.Context(), second)
		require.ErrorIs(t, err, connector.ErrPermanent)
		seen, err := sc.Observe(t.Context(), first)
		require.NoError(t, err)
		require.True(t, seen.Present, "the first one's login was not touched")
		sc.remove(t, first)
	})
}

// pgx drops NUL instead of refusing it: "post\x00gres" would become postgres.
func TestNULInAName(t *testing.T) {
	t.Parallel()
	require.Equal(t, `"postgres"`, pgx.Identifier{"post\x00gres"}.Sanitize(), "the fact")
	sc := newScene(t, servers[1].up(t))

	_, err := sc.Ensure(t.Context(), e("ramp\x00keeper", "app_x"), later())

	require.ErrorIs(t, err, connector.ErrPermanent)
	require.ErrorContains(t, err, "control character")
}

// REVOKE of an absent membership succeeds in PostgreSQL; the record says so.
func TestRemovalOfWhatWasRemovedByHand(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		sc.sql(t, "REVOKE %s FROM %s GRANTED BY rampkeeper_grantor", e.Permission, e.Account)

		o := sc.remove(t, e)

		require.Contains(t, o.Findings, "already_absent: the role had been revoked before")
		require.False(t, query[bool](t, sc, `SELECT rolcanlogin FROM pg_roles WHERE rolname::text = $1`, e.Account))
	})
}

// A perfect REVOKE leaves what comes by PUBLIC.
func TestPublicKeepsAccess(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.sql(t, "GRANT SELECT ON public.%s TO PUBLIC", sc.tables[e.Permission])
		sc.ensure(t, e)

		o := sc.remove(t, e)

		require.Equal(t, []string{"effective_access_remains: " + e.Account + " still has SELECT on public." + sc.tables[e.Permission] + " by PUBLIC"}, o.Findings)
		seen, err := sc.Observe(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, o.Findings, seen.Findings)
	})
}

// Another role that an administrator gave keeps access too; another grant of
// the broker is no finding, for it has an end of its own.
func TestOtherRolesKeepAccess(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		other, stray := e, name("stray")
		other.Permission = sc.permission(t, name("app"))
		sc.sql(t, "GRANT SELECT ON public.%s TO %s", sc.tables[e.Permission], other.Permission)
		sc.ensure(t, e)
		sc.ensure(t, other)

		require.Empty(t, sc.remove(t, e).Findings)

		sc.ensure(t, e)
		sc.sql(t, "CREATE ROLE %s", stray)
		sc.atEnd(t, "DROP OWNED BY %[1]s; DROP ROLE %[1]s", stray)
		sc.sql(t, "GRANT %s TO %s", e.Permission, stray)
		sc.sql(t, "GRANT %s TO %s", stray, e.Account)
		o := sc.remove(t, e)
		require.Len(t, o.Findings, 1)
		require.Contains(t, o.Findings[0], "effective_access_remains: "+e.Account+" is a member of "+e.Permission+" by another way")
		sc.remove(t, other)
	})
}

// DROP ROLE fails while the login owns anything, in any database. The login
// is turned off all the same, and what it owns is named.
func TestLoginOwnsObjects(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		for i := range 3 {
			db := database
			if i > 0 {
				db = name("rkdb")
				require.NoError(t, s.exec(t.Context(), "postgres", "CREATE DATABASE "+db))
				t.Cleanup(func() { _ = s.exec(context.Background(), "postgres", "DROP DATABASE "+db+" WITH (FORCE)") })
			}
			require.NoError(t, s.exec(t.Context(), db, fill("CREATE TABLE public.%[1]s (); ALTER TABLE public.%[1]s OWNER TO %[2]s", name("mine"), e.Account)))
		}

		o := sc.remove(t, e)

		require.Len(t, o.Findings, 3)
		for _, f := range o.Findings {
			require.Contains(t, f, "owns_objects: "+e.Account+" owns 1 objects in database ")
		}
		require.Contains(t, strings.Join(o.Findings, "\n"), ": table public.mine_")
		require.False(t, query[bool](t, sc, `SELECT rolcanlogin FROM pg_roles WHERE rolname::text = $1`, e.Account))
	})
}

func TestPreparedTransactionIsFound(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		if s.given {
			return // it need not allow prepared transactions
		}
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		conn := sc.login(t, e)
		gid := name("gid")
		conn.sql(t, "BEGIN; INSERT INTO public.%s VALUES (4)", conn.table)
		_, err := conn.Exec(t.Context(), "PREPARE TRANSACTION '"+gid+"'")
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.exec(context.Background(), database, "ROLLBACK PREPARED '"+gid+"'") })

		o := sc.remove(t, e)

		require.Len(t, o.Findings, 1)
		require.Contains(t, o.Findings[0], "prepared_transactions: "+e.Account+" left 1")
	})
}
