package broker

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// An extension is counted from the end that the grant has once it is locked,
// not from one that somebody has just brought forward.
func TestExtensionCountsFromTheLockedEnd(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	g := started(t, s)
	out, err := s.b.Extend(t.Context(), s.alice, g.ID, 600, "", "", Key{})
	require.NoError(t, err)

	voted := make(chan error, 1)
	sooner := noon.Add(20 * time.Minute)
	require.NoError(t, s.b.store.InTx(t.Context(), func(tx *store.Tx) error {
		_, locked, err := lockGrant(t.Context(), tx, g.ID)
		require.NoError(t, err)
		go func() {
			_, err := s.vote(t, s.olive, out.Request, access.Approve)
			voted <- err
		}()
		require.Eventually(t, func() bool {
			return fmt.Sprint(s.rows(t, `select count(*) > 0 from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())
				or exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`)) == "[true]"
		}, 10*time.Second, 10*time.Millisecond)
		_, err = s.b.moveGrant(t.Context(), tx, locked, grantMove{
			on: access.OnShorten, actor: s.alice.ID, facts: access.GrantFacts{NewExpiry: sooner},
			set: func(g *access.Grant) { g.ExpiresAt = sooner },
		})
		return err
	}))
	require.NoError(t, <-voted)
	require.Equal(t, sooner.Add(10*time.Minute), s.grant(t, g.ID).ExpiresAt)
}
