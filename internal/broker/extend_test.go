package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// started gives a grant of ordersAdmin for half an hour that runs since noon.
func started(t *testing.T, s *scene) access.Grant {
	t.Helper()
	view := s.approve(t, s.submit(t, s.alice, ordersAdmin), s.olive)
	g, err := s.b.startGrant(t.Context(), view.Grants[0].ID)
	require.NoError(t, err)
	require.Equal(t, access.Provisioning, g.State)
	require.Equal(t, noon.Add(30*time.Minute), g.ExpiresAt)
	return g
}

func TestExtend(t *testing.T) {
	t.Parallel()

	t.Run("Approved", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		g := started(t, s)

		out, err := s.b.Extend(t.Context(), s.alice, g.ID, 1800, "it takes longer", "", Key{})
		require.NoError(t, err)
		require.Equal(t, access.Pending, out.Request.State)
		require.Equal(t, g.ID, out.Request.Ask.Extends)
		view := s.approve(t, out.Request, s.oscar)

		require.Equal(t, access.Approved, view.State)
		require.Len(t, view.Grants, 1)
		require.Equal(t, g.ID, view.Grants[0].ID, "the same grant")
		require.Equal(t, noon.Add(time.Hour), view.Grants[0].ExpiresAt)
		require.Equal(t, written{
			Requests: []string{"alice approved approve 3", "alice approved approve 3"},
			Votes:    []string{"olive approve", "oscar approve"},
			Grants:   []string{"0 provisioning pg/admin changes"},
			Audit: []string{
				"request.submitted alice", "grant.scheduled olive", "vote.cast olive", "request.approved olive",
				"grant.provisioning system", "request.submitted alice",
				"grant.extended oscar", "vote.cast oscar", "request.approved oscar",
			},
		}, s.wrote(t))
	})
	t.Run("Denied", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		g := started(t, s)
		out, err := s.b.Extend(t.Context(), s.alice, g.ID, 1800, "", "", Key{})
		require.NoError(t, err)

		view, err := s.vote(t, s.olive, out.Request, access.Deny)

		require.NoError(t, err)
		require.Equal(t, access.Denied, view.State)
		require.Equal(t, g.ExpiresAt, view.Grants[0].ExpiresAt, "it ends when it would have")
	})
	t.Run("MoreThanTheContractAllowsInAll", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		g := started(t, s)

		out, err := s.b.Extend(t.Context(), s.alice, g.ID, 7200, "", "", Key{})

		require.Equal(t, access.PolicyRefused, access.AsError(err).Code)
		require.Equal(t, access.DurationTooLong, access.AsError(err).Reasons[0].Code)
		require.Equal(t, access.Refused, out.Request.State)
	})
	t.Run("BySomebodyElse", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		g := started(t, s)
		for who, code := range map[string]access.Code{
			"olive": access.Forbidden, "audrey": access.Forbidden, "alan": access.NotFound, "mallory": access.NotFound,
		} {
			_, err := s.b.Extend(t.Context(), s.everybody[who], g.ID, 60, "", "", Key{})
			require.Equal(t, code, access.AsError(err).Code, who)
		}
		_, err := s.b.Extend(t.Context(), s.alice, access.GrantID{1}, 60, "", "", Key{})
		require.Equal(t, access.NotFound, access.AsError(err).Code)
		require.Len(t, s.wrote(t).Requests, 1)
	})
	t.Run("BeforeItStarted", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		view := s.approve(t, s.submit(t, s.alice, ordersAdmin), s.olive)

		_, err := s.b.Extend(t.Context(), s.alice, view.Grants[0].ID, 60, "", "", Key{})

		require.Equal(t, access.StateConflict, access.AsError(err).Code)
	})
	t.Run("EndedWhileTheyVoted", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		g := started(t, s)
		out, err := s.b.Extend(t.Context(), s.alice, g.ID, 1800, "", "", Key{})
		require.NoError(t, err)
		s.clock.pass(30 * time.Minute)

		view := s.approve(t, out.Request, s.olive)

		require.Equal(t, access.Invalidated, view.State)
		require.Contains(t, view.StateReason, "end has passed")
		require.Equal(t, g.ExpiresAt, view.Grants[0].ExpiresAt)
	})
	t.Run("ReplayedAfterItEnded", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		g := started(t, s)
		key := Key{Key: "e", BodyHash: access.DigestOf("more")}
		first, err := s.b.Extend(t.Context(), s.alice, g.ID, 1800, "", "", key)
		require.NoError(t, err)
		s.clock.pass(time.Hour)

		second, err := s.b.Extend(t.Context(), s.alice, g.ID, 1800, "", "", key)

		require.NoError(t, err)
		require.True(t, second.Replayed)
		require.Equal(t, first.Request.ID, second.Request.ID)
	})
}
