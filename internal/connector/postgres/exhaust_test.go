package postgres_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector/postgres"
)

// A server takes only so many connections, and nobody may keep the broker out
// by taking them all.

// crowd opens sessions until the server takes no more, and gives how many.
func (sc *scene) crowd(t *testing.T, e access.EntitlementKey) int {
	t.Helper()
	dsn := sc.credential(t, e).DSN
	for n := 0; ; n++ {
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			require.ErrorContains(t, err, "53300")
			return n
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
}

func TestLoginHasFewSessions(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		require.Equal(t, 10, sc.crowd(t, e))

		require.Equal(t, 10, sc.remove(t, e).SessionsEnded)

		require.Empty(t, sc.residue(t, e))
	})
}

// small is a server with few connections, of which a login may have all.
func small(t *testing.T, binDir string, settings map[string]string) *server {
	t.Helper()
	settings["max_connections"] = "20"
	s := &server{name: "small", binDir: binDir, settings: settings}
	t.Cleanup(func() {
		if s.stop != nil {
			s.stop()
		}
	})
	s.up(t)
	require.NoError(t, s.exec(t.Context(), database, "ALTER ROLE rampkeeper_login CONNECTION LIMIT 100"))
	return s
}

// The holder of a grant takes every connection there is: the broker has one
// already.
func TestRemovalFromAFullServer(t *testing.T) {
	t.Parallel()
	sc := newScene(t, small(t, "", map[string]string{}))
	e := sc.key(t)
	sc.ensure(t, e)
	require.Eventually(t, func() bool {
		return query[int](t, sc, `SELECT count(*)::int FROM pg_stat_activity WHERE usename::text = $1`, sc.broker) == 2
	}, 10*time.Second, 10*time.Millisecond, "one for grants, and one that waits for removals")
	n := sc.crowd(t, e)
	require.Greater(t, n, 10)

	o := sc.remove(t, e)

	require.Equal(t, n, o.SessionsEnded)
	seen, err := sc.Observe(t.Context(), e)
	require.NoError(t, err)
	require.False(t, seen.Present)
}

// From 16 on the server keeps connections for the broker.
func TestReservedConnections(t *testing.T) {
	t.Parallel()
	for _, s := range servers[2:] {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			require.NotEqual(t, "15", filepath.Base(s.binDir))
			sc := newScene(t, small(t, s.binDir, map[string]string{"reserved_connections": "4"}))
			e := sc.key(t)
			sc.ensure(t, e)
			n := sc.crowd(t, e)
			fresh := sc.also(t, sc.server)

			o, err := fresh.Remove(t.Context(), e)

			require.NoError(t, err)
			require.Equal(t, n, o.SessionsEnded)
		})
	}
}

func TestPreflightCountsConnections(t *testing.T) {
	t.Parallel()
	sc := newScene(t, small(t, "", map[string]string{}))
	e := sc.key(t)
	sc.ensure(t, e)
	c := sc.also(t, sc.server, func(cfg *postgres.Config) { cfg.Allowed = []string{e.Permission} })

	checks, err := c.Preflight(t.Context())

	require.NoError(t, err)
	_, failed := verdicts(checks)
	require.Contains(t, failed["connections"], "ALTER ROLE rampkeeper_login CONNECTION LIMIT")
	require.Len(t, failed, 1)
}
