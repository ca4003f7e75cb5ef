package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
)

// An hour of access, on a real database, in no time. The removal fails three
// times: its retries are at the instants that the backoff says.
func TestHourOfAccess(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		pass(time.Minute)
		id := s.hold(t, s.alice, ordersRead, time.Hour).ID

		pass(poll)
		g := s.grant(t, id)
		require.Equal(t, access.Active, g.State, "provisioned by the next poll, with nobody to wake it")
		require.True(t, s.target.Holds(aliceReads))
		require.Equal(t, time.Hour, g.ExpiresAt.Sub(g.StartedAt))

		pass(time.Until(g.ExpiresAt) - time.Microsecond)
		require.True(t, s.target.Holds(aliceReads), "held to the last microsecond")
		session, err := s.target.Open(aliceReads)
		require.NoError(t, err)

		s.target.FailNext(3)
		pass(10 * time.Second)
		require.Equal(t, []float64{0, 1, 3, 7}, since(g.ExpiresAt, s.target.Calls(fake.Remove)))
		require.False(t, s.target.Holds(aliceReads))
		require.False(t, session.Alive(), "the live session was cut")
		ended := s.grant(t, id)
		require.Equal(t, access.Ended, ended.State)
		require.Equal(t, access.EndExpired, ended.EndReason)
		require.Equal(t, g.ExpiresAt.Add(7*time.Second), ended.EndedAt)

		require.Equal(t, []string{
			"grant.scheduled alice", "request.approved alice", "grant.provisioning system",
			"entitlement.ensured system", "grant.activated system", "grant.revoking system",
			"entitlement.failed system", "entitlement.removed system", "grant.ended system",
		}, s.trail(t))
		require.Equal(t, []string{"ensure 1 succeeded", "remove 2 failed", "remove 3 failed", "remove 4 failed", "remove 5 succeeded"},
			s.rows(t, `select kind, fence, outcome from core.operation order by fence`))
		require.Equal(t, []string{"absent 5 0  true true"}, s.rows(t,
			`select presence, fence, failures, last_error, next_at is null, lease_until is null from core.entitlement`))

		pass(time.Hour)
		require.Len(t, s.target.Calls(fake.Remove), 4, "and nothing more to do")
	})
}
