package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// A grant that nobody could start in its time lapses.
func TestLapse(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		pass(2 * time.Hour)
		s.run(t, s.b)
		pass(time.Second)
		require.Equal(t, access.Lapsed, s.grant(t, g.ID).State)
		require.Empty(t, s.target.Calls())
	})
}

// What cannot be checked waits, and lapses in the end: here the connector has
// left the configuration.
func TestWhatCannotBeCheckedWaits(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		s.run(t, s.broker(func(c *Config) { c.Connectors = nil }))
		pass(time.Hour)
		require.Equal(t, access.Scheduled, s.grant(t, g.ID).State)
		pass(time.Hour)
		require.Equal(t, access.Lapsed, s.grant(t, g.ID).State)
	})
}

// Policy that became stricter stops a grant that has not started (T9).
func TestPolicyCancelsBeforeTheStart(t *testing.T) {
	t.Parallel()
	const freeze = `
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: freeze}
spec:
  match: {resources: [{type: postgres/database, labels: {env: prod}}]}
  deny: {reason: nothing changes in production today}
`
	onStage(t, func(t *testing.T, s *stage) {
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		s.apply(t, reads, changes, elsewhere, freeze)
		s.run(t, s.b)
		pass(time.Second)
		cancelled := s.grant(t, g.ID)
		require.Equal(t, access.Cancelled, cancelled.State)
		require.Equal(t, access.EndByPolicy, cancelled.EndReason)
		require.Empty(t, s.target.Calls())
	})
}

func TestActivate(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		a := ask(ordersRead)
		a.StartAt = time.Now().Add(time.Hour)
		out, err := s.b.Submit(t.Context(), s.alice, a, Key{})
		require.NoError(t, err)
		id := out.Request.Grants[0].ID

		_, err = s.b.Activate(t.Context(), s.alice, id)
		require.Equal(t, &access.Error{
			Code: access.StateConflict, Current: "scheduled",
			Message: "This grant starts by itself at " + stamp(a.StartAt) + ".",
		}, access.AsError(err))
		_, err = s.b.Activate(t.Context(), s.oprah, id)
		require.Equal(t, "forbidden", refusedAs(err))
		require.Equal(t, []string{"release"}, allowed(s.view(t, s.alice, id).Can))

		pass(time.Hour)
		require.Equal(t, []string{"activate", "release"}, allowed(s.view(t, s.alice, id).Can))
		view, err := s.b.Activate(t.Context(), s.alice, id)
		require.NoError(t, err)
		require.Equal(t, access.Provisioning, view.State)
		again, err := s.b.Activate(t.Context(), s.alice, id)
		require.NoError(t, err)
		require.Equal(t, view, again)
		s.run(t, s.b)
		pass(0)
		require.Equal(t, access.Active, s.grant(t, id).State)
		pass(time.Hour)
		_, err = s.b.Activate(t.Context(), s.alice, id)
		require.Equal(t, "state_conflict ended", refusedAs(err))
	})
}

// One approval was enough when it was given, and is not any more.
func TestGuardrailWantsMoreOfTheSameBeforeTheStart(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		req := s.approve(t, s.submit(t, s.alice, ordersAdmin), s.olive)
		s.person(t, "oscar", "owners")
		s.apply(t, reads, changes, elsewhere, twoOwners)
		s.run(t, s.b)
		pass(time.Second)
		cancelled := s.grant(t, req.Grants[0].ID)
		require.Equal(t, access.Cancelled, cancelled.State)
		require.Equal(t, access.EndByPolicy, cancelled.EndReason)
		require.Empty(t, s.target.Calls())
	})
}

// The approval of one item is none of another.
func TestApprovalsOfOtherItemsDoNotStandIn(t *testing.T) {
	t.Parallel()
	both := replace(t, changes, "{roles: [pg/admin]", "{roles: [pg/admin, pg/readonly]")
	both = replace(t, both, "stages: [", "stages: [{name: reading, when: {roles: [pg/readonly]}, seats: [{from: {group: owners}}]}, ")
	both = replace(t, both, "{name: owner,", "{name: owner, when: {roles: [pg/admin]},")
	onStage(t, func(t *testing.T, s *stage) {
		s.person(t, "oscar", "owners")
		s.apply(t, both)
		req := s.approve(t, s.submit(t, s.alice, ordersAdmin, ordersRead), s.olive, s.everybody["oscar"])
		require.Equal(t, access.Approved, req.State)
		s.apply(t, both, twoOwners)
		s.run(t, s.b)
		pass(time.Second)
		states := map[string]access.GrantState{}
		for _, g := range req.Grants {
			states[g.Role] = s.grant(t, g.ID).State
		}
		require.Equal(t, map[string]access.GrantState{"pg/admin": access.Cancelled, "pg/readonly": access.Active}, states)
	})
}
