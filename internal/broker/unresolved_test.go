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

// What was verified once is not so for ever: an operation whose effect nobody
// knows stands between it and now.

// dying runs a broker's loops with a connector that dies at a step.
func (s *stage) dying(t *testing.T, step string, during func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &process{Target: s.target, dies: step, cancel: cancel}
	victim := s.broker(func(c *Config) {
		c.Connectors = connector.NewRegistry(map[string]connector.Entry{"target": {Connector: p}})
	})
	victim.at = p.at
	ended := make(chan struct{})
	go func() { defer close(ended); _ = victim.Run(ctx, nil) }()
	during()
	require.True(t, p.dead.Load(), "it was killed")
	<-ended
}

// An entitlement that was verified absent once, and whose next Ensure landed
// while its worker died, is not absent: the grant ends when a removal says so.
func TestAbsentOnceIsNotAbsentAfterALostEnsure(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"after ensure", "called"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			onStage(t, func(t *testing.T, s *stage) {
				stop := s.run(t, s.b)
				first := s.hold(t, s.alice, ordersRead, 2*time.Minute)
				pass(3 * time.Minute)
				require.Equal(t, access.Ended, s.grant(t, first.ID).State)
				require.Equal(t, []string{"absent"}, s.rows(t, `select presence from core.entitlement`))
				stop()

				second := s.hold(t, s.alice, ordersRead, 10*time.Minute)
				s.dying(t, step, func() { pass(time.Minute) })
				require.True(t, s.target.Holds(aliceReads), "its Ensure has landed")

				s.target.SetDown(true)
				_, err := s.b.Release(t.Context(), s.alice, second.ID, "")
				require.NoError(t, err)
				s.run(t, s.broker(nil))
				pass(10 * time.Minute)
				require.Equal(t, access.Revoking, s.grant(t, second.ID).State, "nobody has seen it gone")
				s.target.SetDown(false)
				pass(6 * time.Minute)
				require.Equal(t, access.Ended, s.grant(t, second.ID).State)
				require.False(t, s.target.Holds(aliceReads))
			})
		})
	}
}

// both means two permissions, one of which pg/readonly means too.
const both = `
apiVersion: rampkeeper/v1
kind: Role
metadata: {name: pg/both}
spec: {title: Both, entitlements: {postgres/database: [{permission: "ro_{{resource.name}}"}, {permission: "rw_{{resource.name}}"}]}}
---
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: both}
spec:
  subjects: {any: [{group: engineers}]}
  permits: [{roles: [pg/both], resources: [{type: postgres/database, path: prod/orders}]}]
  time: {duration: {min: 1m, max: 1h}, startWithin: 2h}
`

// An entitlement that was verified present once, and whose next Remove landed
// while its worker died, is not present: a grant of two entitlements is
// confirmed when both were made for it.
func TestPresentOnceIsNotPresentAfterALostRemove(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.apply(t, reads, changes, elsewhere, both)
		stop := s.run(t, s.b)
		first := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		pass(time.Minute)
		require.Equal(t, access.Active, s.grant(t, first.ID).State)
		stop()
		s.dying(t, "after remove", func() { pass(2 * time.Minute) })
		require.Equal(t, []string{"present"}, s.rows(t, `select presence from core.entitlement`))
		require.False(t, s.target.Holds(aliceReads), "its Remove has landed")

		second := s.hold(t, s.alice, access.Item{Role: "pg/both", Resource: ordersRead.Resource}, 10*time.Minute)
		require.NoError(t, s.b.startDue(t.Context())) // before anybody removes again what is wanted again
		_, err := s.admin.Exec(t.Context(), `update core.entitlement set next_at = $1 where permission = 'ro_orders'`, time.Now().Add(time.Minute))
		require.NoError(t, err) // it has to wait for a slot
		s.run(t, s.broker(nil))
		pass(15 * time.Second)
		require.True(t, s.target.Holds(entitlement("target", "alice", "rw_orders")), "the other one is made")
		require.Equal(t, access.Provisioning, s.grant(t, second.ID).State)
		pass(time.Minute)
		require.Equal(t, access.Active, s.grant(t, second.ID).State)
		require.True(t, s.target.Holds(aliceReads))
	})
}

// A target that refuses may have done it before it refused: only looking says
// what is there.
func TestRefusedIsNotWithoutEffect(t *testing.T) {
	t.Parallel()

	t.Run("Ensure", func(t *testing.T) {
		t.Parallel()
		onStage(t, func(t *testing.T, s *stage) {
			s.run(t, s.b)
			first := s.hold(t, s.alice, ordersRead, 2*time.Minute)
			pass(3 * time.Minute)
			require.Equal(t, access.Ended, s.grant(t, first.ID).State)

			for range 20 { // it is tried again, and refused, until it is released
				s.target.Plan(fake.RefuseAfter.For(fake.Ensure))
			}
			second := s.hold(t, s.alice, ordersRead, 10*time.Minute)
			pass(poll)
			require.True(t, s.target.Holds(aliceReads))
			require.Equal(t, []string{"unknown"}, s.rows(t, `select presence from core.entitlement`))
			s.target.SetDown(true)
			_, err := s.b.Release(t.Context(), s.alice, second.ID, "")
			require.NoError(t, err)
			pass(10 * time.Minute)
			require.Equal(t, access.Revoking, s.grant(t, second.ID).State, "nobody has seen it gone")
			s.target.SetDown(false)
			pass(6 * time.Minute)
			require.Equal(t, access.Ended, s.grant(t, second.ID).State)
			require.False(t, s.target.Holds(aliceReads))
		})
	})
	t.Run("Remove", func(t *testing.T) {
		t.Parallel()
		onStage(t, func(t *testing.T, s *stage) {
			s.run(t, s.b)
			g := s.hold(t, s.alice, ordersRead, 2*time.Minute)
			pass(time.Minute)
			s.target.Plan(fake.RefuseAfter.For(fake.Remove), fake.Fail.For(fake.Remove))
			_, err := s.b.Release(t.Context(), s.alice, g.ID, "")
			require.NoError(t, err)
			pass(poll)
			require.False(t, s.target.Holds(aliceReads))
			require.Equal(t, []string{"failed unknown"}, s.rows(t, `
				select o.outcome, e.presence from core.entitlement e join core.operation o on o.entitlement_id = e.id
				where o.kind = 'remove' order by o.fence limit 1`))
			pass(time.Minute)
			require.Equal(t, access.Ended, s.grant(t, g.ID).State)
		})
	})
}
