package conformance

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// together moves two entitlements of one account at once, as two loops do.
// An attempt may fail, because the other one came between; after the last
// removals nothing is left.
func together(t *testing.T, s *suite) {
	if s.Second == nil {
		return
	}
	a := s.Key(t)
	b := s.Second(t, a)
	var both sync.WaitGroup
	for _, e := range []access.EntitlementKey{a, b} {
		both.Go(func() {
			for range 4 {
				_, _ = s.Connector.Ensure(t.Context(), e, later())
				_, _ = s.Connector.Remove(t.Context(), e)
			}
		})
	}
	both.Wait()

	s.remove(t, a)
	s.remove(t, b)
	s.requireGone(t, a)
	s.requireGone(t, b)
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
