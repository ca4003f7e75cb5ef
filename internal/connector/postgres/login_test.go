package postgres_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/postgres"
)

// Only the last permission turns the login off; each one's removal ends the
// sessions that are there.
func TestLoginStaysOnUntilTheLastPermission(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		a := sc.key(t)
		b := a
		b.Permission = sc.permission(t, name("app"))
		early, late := time.Now().Add(time.Hour).Truncate(time.Second), time.Now().Add(2*time.Hour).Truncate(time.Second)
		_, err := sc.Ensure(t.Context(), a, late)
		require.NoError(t, err)
		o, err := sc.Ensure(t.Context(), b, early)
		require.NoError(t, err)
		if !s.given {
			require.True(t, o.Until.Equal(late), "the login's end is the later one")
		}
		cred := sc.credential(t, a)
		old := sc.connect(t, b, cred.DSN)

		require.Equal(t, 1, sc.remove(t, a).SessionsEnded)

		require.Error(t, old.Use(t.Context()))
		again := sc.connect(t, b, cred.DSN)
		require.NoError(t, again.Use(t.Context()), "the same password works for what is left")
		require.True(t, query[bool](t, sc, `SELECT rolvaliduntil = $2 FROM pg_roles WHERE rolname::text = $1`, a.Account, early))
		_, err = again.Exec(t.Context(), fill("SELECT FROM public.%s", sc.tables[a.Permission]))
		require.ErrorContains(t, err, "permission denied")

		sc.remove(t, b)
		require.Empty(t, sc.residue(t, a))
		_, err = pgx.Connect(t.Context(), cred.DSN)
		require.Error(t, err)
	})
}

// A password dies with the last permission and with the next password.
func TestCredential(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		_, err := sc.Credential(t.Context(), e, later())
		require.ErrorIs(t, err, connector.ErrRefused, "there is nothing to hand over yet")
		sc.ensure(t, e)
		first := sc.credential(t, e)
		require.Equal(t, e.Account, first.Username)
		require.Equal(t, !s.given, !first.Until.IsZero(), "an end is named where the server keeps it")
		require.Equal(t, map[string]string{"PGPASSWORD": first.Password}, first.Env)
		require.Len(t, first.Command, 2)
		require.NotContains(t, first.Command[1], first.Password, "others can see a command's arguments")
		require.NoError(t, sc.connect(t, e, first.DSN).Use(t.Context()))

		second := sc.credential(t, e)
		require.NoError(t, sc.connect(t, e, second.DSN).Use(t.Context()))
		if !s.given {
			_, err = pgx.Connect(t.Context(), first.DSN)
			require.ErrorContains(t, err, "password authentication failed")
		}

		sc.remove(t, e)
		sc.ensure(t, e)
		if !s.given {
			_, err = pgx.Connect(t.Context(), second.DSN)
			require.ErrorContains(t, err, "password authentication failed", "an old password does not come back to life")
		}
		sc.remove(t, e)
	})
}

// What is handed over works with psql, where there is one.
func TestCredentialWorksWithPsql(t *testing.T) {
	t.Parallel()
	psql, err := exec.LookPath("psql")
	if err != nil {
		psql = "/usr/lib/postgresql/15/bin/psql"
	}
	if _, err := os.Stat(psql); err != nil {
		return // servers come without a client
	}
	sc := newScene(t, servers[1].up(t))
	e := sc.keyFor(t, name("odd name ü'\"&+"), name("app"))
	sc.ensure(t, e)
	cred := sc.credential(t, e)

	cmd := exec.CommandContext(t.Context(), psql, append(cred.Command[1:], "-XAtc", "SELECT current_user")...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+cred.Env["PGPASSWORD"])
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, e.Account+"\n", string(out))

	out, err = exec.CommandContext(t.Context(), psql, cred.DSN, "-XAtc", "SELECT current_user").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, e.Account+"\n", string(out))
}

// Adopted logins are people's own: they get and lose roles, and that is all.
func TestAdoptedLogin(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		sc.Connector = sc.also(t, s, func(cfg *postgres.Config) { cfg.CreateLogins, cfg.PasswordAuth = false, false })
		e := sc.key(t)
		_, err := sc.Ensure(t.Context(), e, later())
		require.ErrorContains(t, err, "this connector makes none")
		sc.sql(t, "CREATE ROLE %s LOGIN PASSWORD 'their own'", e.Account)
		sc.sql(t, "GRANT rampkeeper_adopted TO %s", e.Account)

		sc.ensure(t, e)
		cred := sc.credential(t, e)
		require.Equal(t, connector.Credential{Username: e.Account, DSN: cred.Command[1], Command: cred.Command}, cred)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		cfg, err := pgx.ParseConfig(cred.DSN)
		require.NoError(t, err)
		cfg.Password = "their own"
		conn, err := pgx.ConnectConfig(ctx, cfg)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(context.Background()) })

		require.Equal(t, 1, sc.remove(t, e).SessionsEnded)

		require.Error(t, conn.Ping(ctx))
		conn, err = pgx.ConnectConfig(ctx, cfg)
		require.NoError(t, err, "it is still their login")
		_, err = conn.Exec(ctx, fill("SELECT FROM public.%s", sc.tables[e.Permission]))
		require.ErrorContains(t, err, "permission denied")
		require.NoError(t, conn.Close(ctx))
	})
}

func TestAdoptedLoginsThatMustNotBeTouched(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		sc.Connector = sc.also(t, s, func(cfg *postgres.Config) { cfg.CreateLogins, cfg.PasswordAuth = false, false })
		other := name("other")
		sc.sql(t, "CREATE ROLE %s", other)
		sc.atEnd(t, "DROP ROLE %s", other)
		for prepare, says := range map[string]string{
			"ALTER ROLE %[1]s SUPERUSER": "superuser",
			"CREATE TABLE public.%[1]s (); ALTER TABLE public.%[1]s OWNER TO %[1]s": "owns objects",
			"GRANT %[1]s TO " + other: "would reach others",
		} {
			e := sc.key(t)
			sc.sql(t, "CREATE ROLE %s LOGIN", e.Account)
			sc.sql(t, "GRANT rampkeeper_adopted TO %s", e.Account)
			sc.sql(t, prepare, e.Account)

			_, err := sc.Ensure(t.Context(), e, later())

			require.ErrorIs(t, err, connector.ErrPermanent)
			require.ErrorContains(t, err, says)
		}
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	for password, want := range map[bool]access.ExpiryClass{true: access.ExpiryNative, false: access.ExpiryReaper} {
		c, err := postgres.New(postgres.Config{Name: "orders", URL: "postgres://localhost/x", Allowed: []string{"app_*"}, CreateLogins: true, PasswordAuth: password})
		require.NoError(t, err)
		c.Close()

		class, _ := c.Expiry()

		require.Equal(t, want, class)
	}
}
