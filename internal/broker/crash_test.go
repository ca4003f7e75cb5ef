package broker

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
)

// process is a broker that dies at a step, as if it were killed: whatever
// goroutine comes to that step, or to any later one, does nothing more, and
// neither does the process's connector.
type process struct {
	*fake.Target
	dies   string
	after  int // how many times it lives through the step
	dead   atomic.Bool
	cancel context.CancelFunc
}

func (p *process) at(step string) {
	if step == p.dies && p.after == 0 {
		p.dead.Store(true)
		p.cancel()
	} else if step == p.dies {
		p.after--
	}
	if p.dead.Load() {
		runtime.Goexit() // deferred calls run, and find the connection to the database cut
	}
}

func (p *process) Ensure(ctx context.Context, e access.EntitlementKey, until time.Time) (connector.Observation, error) {
	p.at("before ensure")
	o, err := p.Target.Ensure(ctx, e, until)
	p.at("after ensure")
	return o, err
}

func (p *process) Remove(ctx context.Context, e access.EntitlementKey) (connector.Observation, error) {
	p.at("before remove")
	o, err := p.Target.Remove(ctx, e)
	p.at("after remove")
	return o, err
}

func (p *process) Observe(ctx context.Context, e access.EntitlementKey) (connector.Observation, error) {
	p.at("before observe")
	return p.Target.Observe(ctx, e)
}

// A broker that is killed at any durable step, or in a call, is taken over by
// another: the grant still ends, no earlier than it should, nothing stays on
// the target, and no end is computed anew.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		dies  string
		after int
		// late is how long after its due time the grant may end: a lease and
		// the skew at most, where the killed one had a call under way.
		late time.Duration
	}{
		{"started", 0, 0},
		{"claimed", 0, 0},
		{"before ensure", 0, 0},
		{"after ensure", 0, 0},
		{"before observe", 0, 0},
		{"called", 0, 0},
		{"finished", 0, 0},
		{"expired", 13, 0},
		{"before remove", 0, time.Minute},
		{"after remove", 0, time.Minute},
		{"before observe", 1, time.Minute},
		{"claimed", 1, time.Minute},
		{"called", 1, time.Minute},
		{"finished", 1, 0},
	} {
		t.Run(fmt.Sprintf("%s %d", tt.dies, tt.after), func(t *testing.T) {
			t.Parallel()
			onStage(t, func(t *testing.T, s *stage) {
				ctx, cancel := context.WithCancel(t.Context())
				p := &process{Target: s.target, dies: tt.dies, after: tt.after, cancel: cancel}
				victim := s.broker(func(c *Config) {
					c.Connectors = connector.NewRegistry(map[string]connector.Entry{"target": {Connector: p}})
				})
				victim.at = p.at
				g := s.hold(t, s.alice, ordersRead, 2*time.Minute)
				ended := make(chan struct{})
				go func() { defer close(ended); _ = victim.Run(ctx, nil) }()

				pass(2*time.Minute + 5*time.Second)
				require.True(t, p.dead.Load(), "it was killed")
				<-ended
				s.run(t, s.broker(nil))
				pass(3 * time.Minute)

				after := s.grant(t, g.ID)
				require.Equal(t, access.Ended, after.State)
				require.Equal(t, access.EndExpired, after.EndReason)
				require.Equal(t, 2*time.Minute, after.ExpiresAt.Sub(after.StartedAt), "the end was never computed anew")
				require.False(t, s.target.Holds(aliceReads))
				for _, c := range s.target.Calls(fake.Remove) {
					require.False(t, c.At.Before(after.ExpiresAt), "removed before its end")
				}
				require.LessOrEqual(t, after.EndedAt.Sub(after.ExpiresAt), 5*time.Second+tt.late)
			})
		})
	}
}
