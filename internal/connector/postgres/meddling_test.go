package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// What an administrator of the target may do in the middle of a grant.

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

// A session lives on when its login is dropped, and is found all the same.
func TestDroppedLoginsSessionsAreCut(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		conn := sc.login(t, e)
		conn.sql(t, "SET ROLE %s", e.Permission)
		sc.sql(t, "DROP ROLE %s", e.Account)
		require.NoError(t, conn.Use(t.Context()), "the fact: it goes on")
		seen, err := sc.Observe(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, 1, seen.Sessions)

		o := sc.remove(t, e)

		require.Equal(t, 1, o.SessionsEnded)
		require.Error(t, conn.Use(t.Context()))
		require.Empty(t, sc.residue(t, e))
		sc.ensure(t, e)
		sc.remove(t, e)
	})
}

// A new login of an old name does not make the broker forget the old one,
// whose sessions have the access.
func TestReplacedLoginIsRemovedFirst(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		conn := sc.login(t, e)
		conn.sql(t, "SET ROLE %s", e.Permission)
		sc.sql(t, "DROP ROLE %s", e.Account)

		_, err := sc.Ensure(t.Context(), e, later())
		require.ErrorIs(t, err, connector.ErrRefused)
		require.NotErrorIs(t, err, connector.ErrPermanent)
		require.ErrorContains(t, err, "must be removed first")

		require.Equal(t, 1, sc.remove(t, e).SessionsEnded)
		require.Error(t, conn.Use(t.Context()))
		sc.ensure(t, e)
		sc.remove(t, e)
	})
}

// An administrator's membership from before the grant stays, and is told
// before and after. The login is off all the same.
func TestStandingMembershipBesideAGrant(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		sc := newScene(t, s)
		e := sc.key(t)
		sc.ensure(t, e)
		sc.remove(t, e)
		sc.sql(t, "GRANT %s TO %s", e.Permission, e.Account)
		admin := query[string](t, sc, `SELECT current_user::text`)
		standing := "standing_membership: the login has the same role from " + admin + " too, and keeps that at the end"

		require.Equal(t, []string{standing}, sc.ensure(t, e).Findings)
		seen, err := sc.Observe(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, []string{standing}, seen.Findings)
		conn := sc.login(t, e)
		o := sc.remove(t, e)

		require.Equal(t, 1, o.SessionsEnded)
		require.Error(t, conn.Use(t.Context()))
		require.Equal(t, []string{"effective_access_remains: " + e.Account + " is a member of " + e.Permission + " by another way (" + e.Account + " in " + e.Permission + " granted by " + admin + ")"}, o.Findings)
		require.Equal(t, []string{"member of " + e.Permission}, sc.residue(t, e), "it cannot log in")
	})
}
