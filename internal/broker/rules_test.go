package broker

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
)

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
		first := s.hold(t, s.alice, ordersRead, 5*time.Minute+3*time.Second) // between two polls
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
