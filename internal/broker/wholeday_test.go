package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// A day at the office, on a real database, in no time: people ask, overlap,
// forget to decide, plan ahead and give back early, and the target is down for
// ninety minutes around one end. By midnight nothing is left.
func TestDayOfAccess(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		midnight := time.Now()
		at := func(clock string) {
			t.Helper()
			of, err := time.Parse("15:04", clock)
			require.NoError(t, err)
			pass(time.Until(midnight.Add(time.Duration(of.Hour())*time.Hour + time.Duration(of.Minute())*time.Minute)))
		}
		// Each look takes real time; what is due wakes the loops by itself.
		s.run(t, s.broker(func(c *Config) { c.Poll = 5 * time.Minute }))
		state := func(id access.GrantID) string {
			g := s.grant(t, id)
			return string(g.State) + " " + string(g.EndReason)
		}
		alanAdmin := entitlement("target", "alan", "admin_orders")

		at("08:00")
		early := s.hold(t, s.alice, ordersRead, time.Hour)
		change := s.submit(t, s.alan, ordersAdmin)
		at("08:30")
		change = s.approve(t, change, s.olive)
		at("08:40")
		require.True(t, s.target.Holds(aliceReads))
		require.True(t, s.target.Holds(alanAdmin))

		at("09:20")
		require.Equal(t, "ended expired", state(early.ID))
		require.False(t, s.target.Holds(aliceReads))
		first := s.hold(t, s.alice, ordersRead, time.Hour)
		at("09:40")
		second := s.hold(t, s.alice, ordersRead, 59*time.Minute)
		at("10:30")
		require.Equal(t, "ended expired", state(first.ID))
		require.Equal(t, "active ", state(second.ID))
		require.True(t, s.target.Holds(aliceReads), "the second still needs it")
		at("10:55")
		require.False(t, s.target.Holds(aliceReads))
		require.Equal(t, "ended expired", state(change.Grants[0].ID))
		require.False(t, s.target.Holds(alanAdmin))

		unlucky := s.hold(t, s.alice, ordersRead, time.Hour)
		at("11:30")
		s.target.SetDown(true)
		at("12:50")
		require.Equal(t, "revoking expired", state(unlucky.ID))
		require.True(t, s.grant(t, unlucky.ID).Overdue, "nobody says that it is gone")
		at("13:00")
		s.target.SetDown(false)
		at("13:10")
		require.Equal(t, "ended expired", state(unlucky.ID))
		require.False(t, s.target.Holds(aliceReads))

		forgotten := s.submit(t, s.alan, ordersAdmin)
		at("18:00")
		require.Equal(t, access.LapsedAsk, s.state(t, forgotten.ID))

		planned := ask(ordersRead)
		planned.Duration, planned.StartAt = 3600, midnight.Add(19*time.Hour+30*time.Minute)
		out, err := s.b.Submit(t.Context(), s.alice, planned, Key{})
		require.NoError(t, err)
		evening := out.Request.Grants[0].ID
		at("19:20")
		require.Equal(t, "scheduled ", state(evening))
		require.False(t, s.target.Holds(aliceReads))
		at("19:45")
		require.Equal(t, "active ", state(evening))
		_, err = s.b.Release(t.Context(), s.alice, evening, "done")
		require.NoError(t, err)

		at("23:59")
		require.Equal(t, "ended revoked_by_requester", state(evening))
		require.Empty(t, s.target.Held())
		require.Empty(t, s.rows(t, `select 1 from core."grant" where state not in ('ended', 'lapsed', 'cancelled')`))
	})
}
