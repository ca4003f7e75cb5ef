package broker

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
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

// witness looks at the database from inside each call of a target.
type witness struct {
	*fake.Target
	look func(kind access.OperationKind, e access.EntitlementKey)
}

func (w *witness) Ensure(ctx context.Context, e access.EntitlementKey, until time.Time) (connector.Observation, error) {
	w.look(access.OpEnsure, e)
	return w.Target.Ensure(ctx, e, until)
}

func (w *witness) Remove(ctx context.Context, e access.EntitlementKey) (connector.Observation, error) {
	w.look(access.OpRemove, e)
	return w.Target.Remove(ctx, e)
}

// R1: whatever is called is on record before, with the end of its grant.
func TestOperationIsOnRecordBeforeTheCall(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		var seen []string
		w := &witness{Target: s.target, look: func(kind access.OperationKind, e access.EntitlementKey) {
			seen = append(seen, s.rows(t, `
				select o.kind, o.outcome, o.deadline > $1, o.deadline <= $1 + interval '30 seconds', e.lease_until > o.deadline, o.fence = e.fence,
				  g.state, g.expires_at > g.started_at
				from core.operation o
				join core.entitlement e on e.id = o.entitlement_id
				join core.grant_entitlement ge on ge.entitlement_id = e.id
				join core.grant g on g.id = ge.grant_id
				where e.account = $2 and o.kind = $3 and o.outcome = 'open'`, time.Now(), e.Account, string(kind))...)
		}}
		b := s.broker(func(c *Config) {
			c.Connectors = connector.NewRegistry(map[string]connector.Entry{"target": {Connector: w}})
		})
		s.run(t, b)
		s.hold(t, s.alice, ordersRead, 2*time.Minute)
		pass(5 * time.Minute)
		require.Equal(t, []string{
			"ensure open true true true true provisioning true",
			"remove open true true true true revoking true",
		}, seen)
	})
}

// R2: two grants on one entitlement. It survives the end of the first, which
// ends at once, and goes with the last.
func TestSharedEntitlementGoesWithTheLast(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		first := s.hold(t, s.alice, ordersRead, 5*time.Minute)
		last := s.hold(t, s.alice, ordersRead, 8*time.Minute)
		pass(poll)
		s.target.Plan(fake.TimeoutBefore.For(fake.Ensure)) // no trouble there keeps the first from ending
		pass(time.Until(s.grant(t, first.ID).ExpiresAt))

		ended := s.grant(t, first.ID)
		require.Equal(t, access.Ended, ended.State)
		require.Equal(t, ended.ExpiresAt, ended.EndedAt)
		require.Equal(t, access.Active, s.grant(t, last.ID).State)
		require.True(t, s.target.Holds(aliceReads))
		require.Empty(t, s.target.Calls(fake.Remove))
		require.Equal(t, []string{"true"}, s.rows(t, `select convert_from(entry, 'UTF8')::json->'data'->'entitlements'->0->>'released'
			from audit.event where event_type = 'grant.ended'`))

		pass(time.Until(s.grant(t, last.ID).ExpiresAt))
		require.Equal(t, access.Ended, s.grant(t, last.ID).State)
		require.False(t, s.target.Holds(aliceReads))
		require.Len(t, s.target.Calls(fake.Remove), 1)
	})
}

// R2: the first is revoked early, which takes nothing from the other.
func TestSharedEntitlementSurvivesAnEarlyRevoke(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		first := s.hold(t, s.alice, ordersRead, 5*time.Minute)
		s.hold(t, s.alice, ordersRead, 8*time.Minute)
		pass(poll)
		view, err := s.b.Revoke(t.Context(), s.oprah, first.ID, "")
		require.NoError(t, err)
		require.Equal(t, access.Ended, view.State, "released in the same transaction")
		pass(time.Minute)
		require.True(t, s.target.Holds(aliceReads))
		require.Empty(t, s.target.Calls(fake.Remove))
	})
}

// R3: the answer to a call was lost after its effect. Nothing is confirmed
// until the call can land no more, and then it is read back.
func TestQuiesce(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		s.target.Plan(fake.TimeoutAfter)
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		pass(poll)
		started := s.grant(t, g.ID).StartedAt
		pass(30 * time.Second)
		require.Equal(t, access.Provisioning, s.grant(t, g.ID).State)
		require.Equal(t, []string{"unknown uncertain"}, s.rows(t,
			`select e.presence, o.outcome from core.entitlement e join core.operation o on o.entitlement_id = e.id`))
		pass(5 * time.Second)
		active := s.grant(t, g.ID)
		require.Equal(t, access.Active, active.State)
		require.Equal(t, 35*time.Second, active.ActivatedAt.Sub(started), "30 s until the deadline, 5 s of skew")
	})
}

// R3: an effect lands long after its call broke. The grant is gone by then;
// the removal comes after the last instant at which it could land.
func TestQuiesceBeforeRemoval(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		s.target.Plan(fake.Late(29 * time.Second))
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		pass(poll)
		_, err := s.b.Release(t.Context(), s.alice, g.ID, "")
		require.NoError(t, err)
		pass(20 * time.Second)
		require.Equal(t, access.Revoking, s.grant(t, g.ID).State, "it may be absent now, but not for sure")
		pass(20 * time.Second)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
		require.False(t, s.target.Holds(aliceReads))
	})
}

// R4: removal is tried as long as it takes, at most five minutes apart.
func TestRemovalNeverGivesUp(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		b := s.broker(func(c *Config) { c.Poll = time.Hour })
		g := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		s.run(t, b)
		pass(time.Second)
		require.Equal(t, access.Active, s.grant(t, g.ID).State)
		s.target.SetDown(true)
		pass(6 * time.Hour)
		calls := s.target.Calls(fake.Remove)
		require.Greater(t, len(calls), 6*12)
		require.Equal(t, access.Backoff(len(calls)), calls[len(calls)-1].At.Sub(calls[len(calls)-2].At))
		require.Equal(t, access.Revoking, s.grant(t, g.ID).State)
		s.target.SetDown(false)
		pass(5 * time.Minute)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
	})
}

// A target that says yes and does nothing is found out by reading back.
func TestLyingTarget(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		s.target.Plan(fake.Lie)
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		pass(poll)
		require.Equal(t, access.Provisioning, s.grant(t, g.ID).State)
		require.Equal(t, []string{"absent 1"}, s.rows(t, `select presence, failures from core.entitlement`))
		pass(time.Second)
		require.Equal(t, access.Active, s.grant(t, g.ID).State)

		s.target.Plan(fake.Lie)
		_, err := s.b.Release(t.Context(), s.alice, g.ID, "")
		require.NoError(t, err)
		pass(poll)
		require.Equal(t, access.Revoking, s.grant(t, g.ID).State)
		pass(time.Second)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
		require.False(t, s.target.Holds(aliceReads))
		require.Len(t, s.target.Calls(fake.Remove), 2)
	})
}

// What the target says will never work is given up, and partial effects are
// removed.
func TestPermanentFailure(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		s.target.Plan(fake.Permanent, fake.Permanent.For(fake.Remove))
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		pass(poll)
		require.Equal(t, access.Revoking, s.grant(t, g.ID).State, "removal is tried again whatever the target says")
		pass(time.Second)
		ended := s.grant(t, g.ID)
		require.Equal(t, access.Ended, ended.State)
		require.Equal(t, access.EndFailedProvision, ended.EndReason)
	})
}

// Two brokers on one database do everything once.
func TestTwoBrokers(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		s.run(t, s.broker(nil))
		g := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		s.hold(t, s.alan, ordersRead, 2*time.Minute)
		pass(5 * time.Minute)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
		require.Len(t, s.target.Calls(fake.Ensure), 2)
		require.Len(t, s.target.Calls(fake.Remove), 2)
		require.False(t, s.target.Holds(alanReads))
	})
}

// A worker that was away for longer than its lease is not believed when it
// comes back, and what it may have done is looked at.
func TestZombieWorker(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		release := s.target.Hang()
		g := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		s.run(t, s.b)
		pass(time.Second)
		require.Len(t, s.target.Calls(fake.Ensure), 1)
		s.run(t, s.broker(func(c *Config) {
			c.Connectors = connector.NewRegistry(map[string]connector.Entry{"target": {Connector: s.other}, "other": {Connector: s.other}})
		}))
		pass(5 * time.Minute) // the second broker reaches a healthy replica of the target
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)

		removals := func() int { return len(s.target.Calls(fake.Remove)) + len(s.other.Calls(fake.Remove)) }
		before := removals()
		release()
		pass(poll)
		require.Greater(t, removals(), before, "one more look after the zombie came back")
		require.Equal(t, []string{"absent true"}, s.rows(t, `select presence, next_at is null from core.entitlement`))
	})
}

// Waking goes through the listener; losing it costs a poll at most.
func TestLostNotify(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.b.poll = 200 * time.Millisecond
	wake := make(chan string)
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.b.Run(ctx, wake) })
	defer ended.Wait()
	defer stop()
	close(wake) // the listener is gone
	g := s.hold(t, s.alice, ordersRead, time.Hour)
	require.Eventually(t, func() bool { return s.grant(t, g.ID).State == access.Active }, 10*time.Second, 10*time.Millisecond)
}

// A wake-up starts a grant without waiting for the poll.
func TestWake(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.b.poll = time.Hour
	wake := make(chan string, 1)
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.b.Run(ctx, wake) })
	defer ended.Wait()
	defer stop()
	g := s.hold(t, s.alice, ordersRead, time.Hour)
	wake <- access.StreamOf(g.ID)
	require.Eventually(t, func() bool {
		nudge := access.StreamOf(g.ID) // as the listener repeats it for what the loops themselves do
		select {
		case wake <- nudge:
		default:
		}
		return s.grant(t, g.ID).State == access.Active
	}, 10*time.Second, 10*time.Millisecond)
}
