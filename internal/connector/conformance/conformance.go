// Package conformance is the one suite that every connector passes, against
// its real target.
package conformance

import (
	"context"
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
