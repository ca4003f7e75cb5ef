// Package conformance is the one suite that every connector passes, against
// its real target.
package conformance

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// Target is a connector with what the suite needs to look behind it. Key and
// Residue must be set; a part of the suite whose function is nil is left out,
// because that target has no such thing.
type Target struct {
	Connector connector.Connector
	// Key gives an entitlement of a new account that nobody else uses.
	Key func(t *testing.T) access.EntitlementKey
	// Second gives another permission for the account of the first.
	Second func(t *testing.T, first access.EntitlementKey) access.EntitlementKey
	// Works says whether the entitlement gives access now, by using it.
	Works func(t *testing.T, e access.EntitlementKey) bool
	// Open opens a live session that uses the access.
	Open func(t *testing.T, e access.EntitlementKey) Session
	// Take removes the entitlement behind the connector's back.
	Take func(t *testing.T, e access.EntitlementKey)
	// Refused are keys that must never reach the target.
	Refused []access.EntitlementKey
	// Odd are keys with nasty but legal names, which must work.
	Odd []access.EntitlementKey
	// Residue names what the target still holds of an entitlement's account
	// after everything was removed.
	Residue func(t *testing.T, e access.EntitlementKey) []string
	// Secrets are texts that must not be in any error.
	Secrets []string
}

// Session is a live session on the target.
type Session interface {
	// Use does something that needs the access.
	Use(ctx context.Context) error
}

// Run runs the suite. Each test gets a target of its own from newTarget.
func Run(t *testing.T, newTarget func(*testing.T) Target) {
	t.Helper()
	for _, tt := range []struct {
		name string
		test func(*testing.T, *suite)
	}{
		{"EnsureTwiceIsOnce", ensureTwice},
		{"RemoveOfAbsentSucceeds", removeAbsent},
		{"EnsureAfterRemove", ensureAfterRemove},
		{"RemovedByHand", removedByHand},
		{"SessionIsCut", sessionIsCut},
		{"OneRemovedTheOtherKept", overlap},
		{"BothAtTheSameTime", together},
		{"EndMoves", endMoves},
		{"ContextIsHonoured", contextHonoured},
		{"PartialEffectIsRemoved", partialEffect},
		{"BadNamesAreRefused", badNames},
		{"OddNamesWork", oddNames},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, &suite{Target: newTarget(t)})
		})
	}
}

type suite struct{ Target }

// later is an end that no test lives to see.
func later() time.Time { return time.Now().Add(time.Hour).Truncate(time.Second) }

func (s *suite) ensure(t *testing.T, e access.EntitlementKey) connector.Observation {
	t.Helper()
	o, err := s.Connector.Ensure(t.Context(), e, later())
	require.NoError(t, err)
	require.True(t, o.Present, "read back as present")
	s.requireWorks(t, e, true)
	return o
}

func (s *suite) remove(t *testing.T, e access.EntitlementKey) connector.Observation {
	t.Helper()
	o, err := s.Connector.Remove(t.Context(), e)
	require.NoError(t, err)
	require.False(t, o.Present, "read back as absent")
	return o
}

func (s *suite) requireWorks(t *testing.T, e access.EntitlementKey, want bool) {
	t.Helper()
	if s.Works != nil {
		require.Equal(t, want, s.Works(t, e), "whether %s gives %s access", e.Permission, e.Account)
	}
}

func (s *suite) requireGone(t *testing.T, e access.EntitlementKey) {
	t.Helper()
	o, err := s.Connector.Observe(t.Context(), e)
	require.NoError(t, err)
	require.False(t, o.Present)
	require.Zero(t, o.Sessions)
	require.Empty(t, s.Residue(t, e))
}

// requireTold checks an error: it is definite or not, as said, and tells no
// secret.
func (s *suite) requireTold(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	for _, secret := range s.Secrets {
		require.NotContains(t, err.Error(), secret)
	}
}

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

// together moves two entitlements of one account at once, as two loops do.
// An attempt may be refused; it must not go wrong.
func together(t *testing.T, s *suite) {
	if s.Second == nil {
		return
	}
	a := s.Key(t)
	b := s.Second(t, a)
	ended := make(chan error, 2)
	for _, e := range []access.EntitlementKey{a, b} {
		go func() {
			for range 4 {
				_, err := s.Connector.Ensure(t.Context(), e, later())
				if err != nil && !errors.Is(err, connector.ErrRefused) {
					ended <- err
					return
				}
				_, err = s.Connector.Remove(t.Context(), e)
				if err != nil && !errors.Is(err, connector.ErrRefused) {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)

	s.remove(t, a)
	s.remove(t, b)
	s.requireGone(t, a)
	s.requireGone(t, b)
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

func contextHonoured(t *testing.T, s *suite) {
	e := s.Key(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	begin := time.Now()
	_, err := s.Connector.Ensure(ctx, e, later())
	s.requireTold(t, err)
	_, err = s.Connector.Remove(ctx, e)
	s.requireTold(t, err)
	_, err = s.Connector.Observe(ctx, e)
	s.requireTold(t, err)
	require.Less(t, time.Since(begin), 5*time.Second)

	s.requireGone(t, e)
}

// partialEffect cuts calls off at every stage; whatever was done by then is
// found and undone.
func partialEffect(t *testing.T, s *suite) {
	e := s.Key(t)
	for after := 500 * time.Microsecond; after < 60*time.Millisecond; after = after * 3 / 2 {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		if _, err := s.Connector.Ensure(ctx, e, later()); err != nil {
			s.requireTold(t, err)
		}
		cancel()
		ctx, cancel = context.WithTimeout(t.Context(), after)
		if o, err := s.Connector.Remove(ctx, e); err == nil {
			require.False(t, o.Present)
		} else {
			s.requireTold(t, err)
		}
		cancel()
	}
	s.remove(t, e)
	s.requireGone(t, e)

	s.ensure(t, e)
	s.remove(t, e)
	s.requireGone(t, e)
}

func badNames(t *testing.T, s *suite) {
	for _, e := range s.Refused {
		_, err := s.Connector.Ensure(t.Context(), e, later())

		s.requireTold(t, err)
		require.ErrorIs(t, err, connector.ErrRefused, "%q, %q", e.Account, e.Permission)
		require.ErrorIs(t, err, connector.ErrPermanent, "%q, %q", e.Account, e.Permission)
		if _, err := s.Connector.Remove(t.Context(), e); err != nil {
			require.ErrorIs(t, err, connector.ErrRefused, "%q, %q", e.Account, e.Permission)
		}
	}
}

func oddNames(t *testing.T, s *suite) {
	for _, e := range s.Odd {
		s.ensure(t, e)
		s.remove(t, e)
		s.requireGone(t, e)
	}
}
