package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
)

func TestShorten(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		req := s.approve(t, s.submit(t, s.alice, ordersAdmin), s.olive)
		id := req.Grants[0].ID
		_, err := s.b.Shorten(t.Context(), s.alice, id, NewEnd{Duration: 60})
		require.Equal(t, "state_conflict scheduled", refusedAs(err))
		pass(poll)
		g := s.grant(t, id)

		for name, tt := range map[string]struct {
			who access.Caller
			by  NewEnd
			err string
		}{
			"later":          {s.alice, NewEnd{At: g.ExpiresAt.Add(time.Second)}, "state_conflict active"},
			"the same":       {s.alice, NewEnd{At: g.ExpiresAt}, "state_conflict active"},
			"in the past":    {s.alice, NewEnd{At: g.StartedAt}, "validation_failed"},
			"nothing":        {s.alice, NewEnd{}, "validation_failed"},
			"both":           {s.alice, NewEnd{At: g.StartedAt, Duration: 60}, "validation_failed"},
			"negative":       {s.alice, NewEnd{Duration: -1}, "validation_failed"},
			"an operator":    {s.oprah, NewEnd{Duration: 60}, "forbidden"},
			"a stranger":     {s.mallory, NewEnd{Duration: 60}, "not_found"},
			"another worker": {s.alan, NewEnd{Duration: 60}, "not_found"},
		} {
			_, err := s.b.Shorten(t.Context(), tt.who, id, tt.by)
			require.Equal(t, tt.err, refusedAs(err), name)
		}

		view, err := s.b.Shorten(t.Context(), s.olive, id, NewEnd{Duration: 20 * 60})
		require.NoError(t, err)
		require.Equal(t, g.StartedAt.Add(20*time.Minute), view.ExpiresAt)
		pass(poll)
		held := entitlement("target", "alice", "admin_orders")
		require.Equal(t, view.ExpiresAt, s.target.Until(held).UTC(), "the target was told")
		view, err = s.b.Shorten(t.Context(), s.alice, id, NewEnd{At: g.StartedAt.Add(10 * time.Minute)})
		require.NoError(t, err)
		pass(time.Until(view.ExpiresAt))
		ended := s.grant(t, id)
		require.Equal(t, access.Ended, ended.State)
		require.Equal(t, view.ExpiresAt, ended.EndedAt)
		_, err = s.b.Shorten(t.Context(), s.alice, id, NewEnd{Duration: 60})
		require.Equal(t, "state_conflict ended", refusedAs(err))
	})
}

// An extension has a decision and votes of its own (T12); the target learns
// the new end, and the old one takes nothing away.
func TestExtendedGrantOutlivesItsOldEnd(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		req := s.approve(t, s.submit(t, s.alice, ordersAdmin), s.olive)
		pass(poll)
		id := req.Grants[0].ID
		g := s.grant(t, id)
		out, err := s.b.Extend(t.Context(), s.alice, id, 30*60, "not done yet", "", Key{})
		require.NoError(t, err)
		require.Equal(t, g.ExpiresAt, s.grant(t, id).ExpiresAt, "nothing moves before the votes")
		s.approve(t, out.Request, s.olive)
		require.Equal(t, g.ExpiresAt.Add(30*time.Minute), s.grant(t, id).ExpiresAt)

		pass(time.Until(g.ExpiresAt) + time.Minute)
		held := entitlement("target", "alice", "admin_orders")
		require.Equal(t, access.Active, s.grant(t, id).State)
		require.Equal(t, g.ExpiresAt.Add(30*time.Minute), s.target.Until(held).UTC())
		pass(30 * time.Minute)
		require.Equal(t, access.Ended, s.grant(t, id).State)
		require.Len(t, s.target.Calls(fake.Remove), 1)
	})
}
