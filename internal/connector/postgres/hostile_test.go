package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/postgres"
)

// What a person with access may try so as to keep it.

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
		seen, err := sc.Observe(t.Context(), free)

		require.NoError(t, err)
		require.False(t, seen.Present)
		require.Less(t, time.Since(begin), 2*time.Second)
		sc.remove(t, blocked)
		require.Less(t, time.Since(begin), 10*time.Second)
		<-ended // granted, or not, or in doubt: the removal came between
		sc.remove(t, blocked)
	})
}
