package fake_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/conformance"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
)

var key = access.EntitlementKey{Connector: "fake", Account: "alice", Permission: "read"}

type session struct{ *fake.Session }

func (s session) Use(context.Context) error {
	if !s.Alive() {
		return errors.New("cut")
	}
	return nil
}

func TestConformance(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	conformance.Run(t, func(*testing.T) conformance.Target {
		target := fake.New()
		return conformance.Target{
			Connector: target,
			Key: func(*testing.T) access.EntitlementKey {
				return access.EntitlementKey{Connector: "fake", Account: fmt.Sprintf("person%d", n.Add(1)), Permission: "read"}
			},
			Second: func(_ *testing.T, first access.EntitlementKey) access.EntitlementKey {
				first.Permission = "write"
				return first
			},
			Works: func(_ *testing.T, e access.EntitlementKey) bool { return target.Holds(e) },
			Open: func(t *testing.T, e access.EntitlementKey) conformance.Session {
				s, err := target.Open(e)
				require.NoError(t, err)
				return session{s}
			},
			Take: func(_ *testing.T, e access.EntitlementKey) { target.Take(e) },
			Residue: func(_ *testing.T, e access.EntitlementKey) []string {
				if slices.Contains(target.Held(), e) {
					return []string{e.Permission}
				}
				return nil
			},
		}
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault    fake.Fault
		err      error
		took     time.Duration
		present  bool // after the call
		observed bool // in what the call said
	}{
		{fake.OK, nil, 0, true, true},
		{fake.Fail, connector.ErrRefused, 0, false, false},
		{fake.RefuseAfter, connector.ErrRefused, 0, true, false},
		{fake.Permanent, connector.ErrPermanent, 0, false, false},
		{fake.TimeoutBefore, context.DeadlineExceeded, time.Minute, false, false},
		{fake.TimeoutAfter, context.DeadlineExceeded, time.Minute, true, false},
		{fake.Lie, nil, 0, false, true},
	} {
		t.Run(fmt.Sprint(tt.fault), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				target := fake.New()
				target.Plan(tt.fault)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				begin := time.Now()

				o, err := target.Ensure(ctx, key, begin.Add(time.Hour))

				require.ErrorIs(t, err, tt.err)
				require.Equal(t, tt.took, time.Since(begin))
				require.Equal(t, tt.observed, o.Present)
				require.Equal(t, tt.present, target.Holds(key))
				require.Equal(t, []fake.Call{{Verb: fake.Ensure, Key: key, Until: begin.Add(time.Hour), At: begin, Err: err}}, target.Calls())
			})
		})
	}
}

func TestLateEffect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		target := fake.New()
		target.Plan(fake.Late(time.Minute))

		_, err := target.Ensure(t.Context(), key, time.Now().Add(time.Hour))

		require.Error(t, err)
		require.NotErrorIs(t, err, connector.ErrRefused, "it may still land")
		time.Sleep(time.Minute - time.Nanosecond)
		synctest.Wait()
		require.False(t, target.Holds(key))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.True(t, target.Holds(key))
	})
}

func TestDownAndHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		target := fake.New()
		target.SetDown(true)
		_, err := target.Observe(t.Context(), key)
		require.ErrorIs(t, err, connector.ErrRefused)
		target.SetDown(false)

		release := target.Hang()
		ended := make(chan error, 1)
		go func() {
			_, err := target.Ensure(t.Context(), key, time.Now())
			ended <- err
		}()
		synctest.Wait()
		require.False(t, target.Holds(key))
		release()
		release()
		require.NoError(t, <-ended)
		require.True(t, target.Holds(key))
	})
}

func TestFaultOfOneVerb(t *testing.T) {
	t.Parallel()
	target := fake.New()
	target.Plan(fake.Fail.For(fake.Remove))
	until := time.Now().Add(time.Hour)

	_, err := target.Ensure(t.Context(), key, until)
	require.NoError(t, err)
	_, err = target.Remove(t.Context(), key)
	require.ErrorIs(t, err, connector.ErrRefused)
	require.Equal(t, until, target.Until(key))
	_, err = target.Remove(t.Context(), key)
	require.NoError(t, err)
	require.Len(t, target.Calls(fake.Remove), 2)
}
