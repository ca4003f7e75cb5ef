package conformance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func ensureTwice(t *testing.T, s *suite) {
	e := s.Key(t)

	first := s.ensure(t, e)
	second := s.ensure(t, e)
	seen, err := s.Connector.Observe(t.Context(), e)

	require.NoError(t, err)
	require.Equal(t, first.Present, second.Present)
	require.True(t, seen.Present)
	s.remove(t, e)
	s.requireGone(t, e)
}

// removeAbsent is also what happens to a grant that ended before it was ever
// provisioned: nobody has heard of its account.
func removeAbsent(t *testing.T, s *suite) {
	e := s.Key(t)

	s.remove(t, e)
	s.requireGone(t, e)

	s.ensure(t, e)
	s.remove(t, e)
	s.remove(t, e)
	s.requireGone(t, e)
}

func ensureAfterRemove(t *testing.T, s *suite) {
	e := s.Key(t)

	for range 3 {
		s.ensure(t, e)
		s.remove(t, e)
		s.requireGone(t, e)
	}
}

func removedByHand(t *testing.T, s *suite) {
	if s.Take == nil {
		return
	}
	e := s.Key(t)
	s.ensure(t, e)
	s.Take(t, e)

	seen, err := s.Connector.Observe(t.Context(), e)
	require.NoError(t, err)
	require.False(t, seen.Present)

	s.remove(t, e)
	s.requireGone(t, e)
}

func sessionIsCut(t *testing.T, s *suite) {
	if s.Open == nil {
		return
	}
	e := s.Key(t)
	s.ensure(t, e)
	session := s.Open(t, e)
	require.NoError(t, session.Use(t.Context()))
	seen, err := s.Connector.Observe(t.Context(), e)
	require.NoError(t, err)
	require.Equal(t, 1, seen.Sessions)

	o := s.remove(t, e)

	require.Equal(t, 1, o.SessionsEnded)
	require.Zero(t, o.Sessions)
	require.Error(t, session.Use(t.Context()), "the session was open at the end")
	s.requireGone(t, e)
}

func overlap(t *testing.T, s *suite) {
	if s.Second == nil {
		return
	}
	a := s.Key(t)
	b := s.Second(t, a)
	s.ensure(t, a)
	s.ensure(t, b)

	s.remove(t, a)

	s.requireWorks(t, a, false)
	s.requireWorks(t, b, true)
	seen, err := s.Connector.Observe(t.Context(), b)
	require.NoError(t, err)
	require.True(t, seen.Present)
	s.remove(t, b)
	s.requireGone(t, b)
	s.requireGone(t, a)
}

func endMoves(t *testing.T, s *suite) {
	e := s.Key(t)
	s.ensure(t, e)

	for _, d := range []time.Duration{3 * time.Hour, time.Hour} {
		until := time.Now().Add(d).Truncate(time.Second)
		o, err := s.Connector.Ensure(t.Context(), e, until)

		require.NoError(t, err)
		require.True(t, o.Present)
		if !o.Until.IsZero() {
			require.True(t, until.Equal(o.Until), "the target's own end is %s, not %s", o.Until, until)
		}
	}
	s.remove(t, e)
	s.requireGone(t, e)
}
