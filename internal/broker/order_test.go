package broker

import (
	"context"
	"fmt"
	"sync"
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

// Requests for the same things in another order do not wait for each other in
// a circle.
func TestOppositeOrdersDoNotDeadlock(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.apply(t, replace(t, reads, "path: prod/orders}", "path: prod/orders}, {type: postgres/database, path: prod/queue}"))
	ctx := context.Background()
	var all sync.WaitGroup
	errs := make([]error, 20)
	for i := range len(errs) / 2 {
		who := s.person(t, fmt.Sprintf("person%d", i), "engineers")
		for j, items := range [][]access.Item{{ordersRead, queueRead}, {queueRead, ordersRead}} {
			a := ask(items...)
			a.Duration += access.Seconds(j)
			all.Go(func() { _, errs[2*i+j] = s.b.Submit(ctx, who, a, Key{}) })
		}
	}
	all.Wait()
	require.Equal(t, make([]error, len(errs)), errs)
	require.Equal(t, []string{"40"}, s.rows(t, `select count(*) from core.grant`))
	require.Eventually(t, func() bool { // the count is published now and then
		return fmt.Sprint(s.rows(t, `select xact_commit > 20 and deadlocks = 0 from pg_stat_database where datname = current_database()`)) == "[true]"
	}, 10*time.Second, 100*time.Millisecond)
}
