package broker

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
)

// The hazards of DESIGN.md, "The loops", one test each.

var alanReads = entitlement("target", "alan", "ro_orders")

// Resetting the count of failures, as a success does, must not give out a
// fence again: a stale worker would be believed.
func TestHazardFenceIsNotTheFailureCounter(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		s.target.FailNext(3)
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		pass(20 * time.Second)
		require.Equal(t, access.Active, s.grant(t, g.ID).State)
		require.Equal(t, []string{"4 0"}, s.rows(t, `select fence, failures from core.entitlement`))

		s.target.FailNext(2)
		_, err := s.b.Release(t.Context(), s.alice, g.ID, "")
		require.NoError(t, err)
		pass(20 * time.Second)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
		require.Equal(t, []string{"7 0"}, s.rows(t, `select fence, failures from core.entitlement`))
	})
}

// A target that fails has a pace of its own; another one's grants end on time.
func TestHazardOneTargetsErrorSetsNoPace(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		bad := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		good := s.hold(t, s.alan, otherRead, 4*time.Minute)
		pass(poll)
		s.target.SetDown(true)
		pass(10 * time.Minute)

		require.Equal(t, access.Revoking, s.grant(t, bad.ID).State)
		require.True(t, s.grant(t, bad.ID).Overdue)
		g := s.grant(t, good.ID)
		require.Equal(t, access.Ended, g.State)
		require.Equal(t, g.ExpiresAt, g.EndedAt, "to the microsecond")
		at := s.grant(t, bad.ID).ExpiresAt
		require.Equal(t, []float64{0, 1, 3, 7, 15, 31, 63, 127, 255}, since(at, s.target.Calls(fake.Remove)))
	})
}

// One removal that hangs holds one slot: the others of its batch, and those
// that come later, are not kept waiting for it.
func TestHazardNeverWaitForTheWholeBatch(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		slow := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		quick := s.hold(t, s.alan, ordersRead, 2*time.Minute)
		later := s.hold(t, s.alan, otherRead, 2*time.Minute+10*time.Second)
		pass(poll)
		s.target.Plan(fake.TimeoutBefore)
		pass(time.Until(s.grant(t, later.ID).ExpiresAt))

		states := map[access.GrantID]access.GrantState{}
		for _, id := range []access.GrantID{slow.ID, quick.ID, later.ID} {
			states[id] = s.grant(t, id).State
		}
		hangs, ends := slow.ID, quick.ID
		if states[slow.ID] == access.Ended { // either of the two may meet the fault
			hangs, ends = ends, hangs
		}
		require.Equal(t, map[access.GrantID]access.GrantState{hangs: access.Revoking, ends: access.Ended, later.ID: access.Ended}, states)
		pass(time.Minute)
		require.Equal(t, access.Ended, s.grant(t, hangs).State)
	})
}

// However many calls of the provisioner hang, a removal has slots of its own.
func TestHazardProvisioningNeverDelaysARemoval(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		b := s.broker(func(c *Config) { c.Slots = 1 })
		s.run(t, b)
		old := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		pass(poll)
		pass(time.Until(s.grant(t, old.ID).ExpiresAt) - 15*time.Second)
		s.target.Plan(fake.TimeoutBefore.For(fake.Ensure))
		stuck := s.hold(t, s.alan, ordersRead, 2*time.Minute)
		pass(16 * time.Second)

		require.Equal(t, access.Provisioning, s.grant(t, stuck.ID).State)
		g := s.grant(t, old.ID)
		require.Equal(t, access.Ended, g.State)
		require.Equal(t, g.ExpiresAt, g.EndedAt)
	})
}

// A grant that is revoked while a worker makes its access: the worker's lease
// stands, and the removal comes when it is done. Two calls at once could land
// in either order.
func TestHazardEarlyRevokeDoesNotStealALease(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		release := s.target.Hang()
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		pass(poll)
		require.Len(t, s.target.Calls(), 1)

		view, err := s.b.Release(t.Context(), s.alice, g.ID, "not needed after all")
		require.NoError(t, err)
		require.Equal(t, access.Revoking, view.State)
		require.Equal(t, []string{"true"}, s.rows(t, `select lease_until > $1 from core.entitlement`, time.Now()))
		pass(15 * time.Second)
		require.Len(t, s.target.Calls(), 1, "nobody calls beside the worker")
		require.Equal(t, access.Revoking, s.grant(t, g.ID).State)

		release()
		pass(0)
		require.False(t, s.target.Holds(aliceReads))
		ended := s.grant(t, g.ID)
		require.Equal(t, access.Ended, ended.State)
		require.Equal(t, access.EndByRequester, ended.EndReason)
		require.True(t, ended.ActivatedAt.IsZero(), "never active")
	})
}

// Whether the access was ever made is not known for sure, so it is removed.
func TestHazardExpiredBeforeProvisionedIsStillRemoved(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		s.target.SetDown(true)
		g := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		pass(poll)
		require.Equal(t, access.Provisioning, s.grant(t, g.ID).State)
		s.target.Grant(aliceReads, time.Time{}) // a late effect of what seemed to fail
		pass(3 * time.Minute)
		require.Equal(t, access.Revoking, s.grant(t, g.ID).State)

		s.target.SetDown(false)
		pass(5 * time.Minute)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
		require.False(t, s.target.Holds(aliceReads))
		removals := s.target.Calls(fake.Remove)
		require.Equal(t, s.grant(t, g.ID).ExpiresAt, removals[0].At.UTC(), "on time, whatever the backoff of provisioning was")
	})
}

// Lease, expiry and backoff go by the database's clock, whatever this
// process's clock says.
func TestHazardTheDatabaseClockDecides(t *testing.T) {
	t.Parallel()
	s := newScene(t) // whose database is at noon, years from here
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	s.b.poll = 10 * time.Millisecond
	ended.Go(func() { _ = s.b.Run(ctx, nil) })
	defer ended.Wait()
	defer stop()
	becomes := func(id access.GrantID, state access.GrantState) {
		t.Helper()
		require.Eventually(t, func() bool { return s.grant(t, id).State == state }, 10*time.Second, 10*time.Millisecond)
	}

	g := s.hold(t, s.alice, ordersRead, time.Hour)
	becomes(g.ID, access.Active)
	require.Equal(t, noon, s.grant(t, g.ID).StartedAt)
	s.target.FailNext(1)
	s.clock.pass(time.Hour)
	becomes(g.ID, access.Revoking)
	require.Eventually(t, func() bool { return len(s.target.Calls(fake.Remove)) == 1 }, 10*time.Second, 10*time.Millisecond)
	time.Sleep(1200 * time.Millisecond)
	require.Len(t, s.target.Calls(fake.Remove), 1, "the backoff is over here, but not there")
	s.clock.pass(time.Second)
	becomes(g.ID, access.Ended)
	require.Equal(t, noon.Add(time.Hour+time.Second), s.grant(t, g.ID).EndedAt)
	invariants(t, s.admin)
}
