package broker

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
)

// Two brokers on one database do everything once.
func TestTwoBrokers(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		s.run(t, s.broker(nil))
		g := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		s.hold(t, s.alan, ordersRead, 2*time.Minute)
		pass(5 * time.Minute)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
		require.Len(t, s.target.Calls(fake.Ensure), 2)
		require.Len(t, s.target.Calls(fake.Remove), 2)
		require.False(t, s.target.Holds(alanReads))
	})
}

// A worker that was away for longer than its lease is not believed when it
// comes back, and what it may have done is looked at.
func TestZombieWorker(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		release := s.target.Hang()
		g := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		s.run(t, s.b)
		pass(time.Second)
		require.Len(t, s.target.Calls(fake.Ensure), 1)
		s.run(t, s.broker(func(c *Config) {
			c.Connectors = connector.NewRegistry(map[string]connector.Entry{"target": {Connector: s.other}, "other": {Connector: s.other}})
		}))
		pass(5 * time.Minute) // the second broker reaches a healthy replica of the target
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)

		removals := func() int { return len(s.target.Calls(fake.Remove)) + len(s.other.Calls(fake.Remove)) }
		before := removals()
		release()
		pass(poll)
		require.Greater(t, removals(), before, "one more look after the zombie came back")
		require.Equal(t, []string{"absent true"}, s.rows(t, `select presence, next_at is null from core.entitlement`))
		trail := s.trail(t)
		require.Equal(t, "grant.ended system", trail[len(trail)-1], "what the zombie saw is not believed")
	})
}

// Waking goes through the listener; losing it costs a poll at most.
func TestLostNotify(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.b.poll = 200 * time.Millisecond
	wake := make(chan string)
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.b.Run(ctx, wake) })
	defer ended.Wait()
	defer stop()
	close(wake) // the listener is gone
	g := s.hold(t, s.alice, ordersRead, time.Hour)
	require.Eventually(t, func() bool { return s.grant(t, g.ID).State == access.Active }, 10*time.Second, 10*time.Millisecond)
}

// A wake-up starts a grant without waiting for the poll.
func TestWake(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.b.poll = time.Hour
	wake := make(chan string, 1)
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.b.Run(ctx, wake) })
	defer ended.Wait()
	defer stop()
	g := s.hold(t, s.alice, ordersRead, time.Hour)
	wake <- access.StreamOf(g.ID)
	require.Eventually(t, func() bool {
		nudge := access.StreamOf(g.ID) // as the listener repeats it for what the loops themselves do
		select {
		case wake <- nudge:
		default:
		}
		return s.grant(t, g.ID).State == access.Active
	}, 10*time.Second, 10*time.Millisecond)
}

const hasty = `
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: hasty}
spec:
  subjects: {any: [{group: engineers}]}
  permits: [{roles: [pg/admin], resources: [{type: postgres/database, path: test/other}]}]
  time: {duration: {min: 1m, max: 1h}, decideWithin: 30s}
  approvals: {stages: [{name: owner, seats: [{from: {group: owners}}]}]}
`

var otherAdmin = access.Item{Role: "pg/admin", Resource: otherRead.Resource}

// Calls that end all the time make the loop claim more; they put off no expiry.
func TestBusyLoopExpiresOnTime(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		w := &witness{Target: s.target, look: func(access.OperationKind, access.EntitlementKey) { time.Sleep(700 * time.Millisecond) }}
		s.run(t, s.broker(func(c *Config) {
			c.Connectors = connector.NewRegistry(map[string]connector.Entry{"target": {Connector: w}, "other": {Connector: s.other}})
		}))
		var ids []access.GrantID
		for i := range 20 {
			who := s.person(t, fmt.Sprintf("engineer%02d", i), "engineers")
			ids = append(ids, s.hold(t, who, ordersRead, 2*time.Minute+time.Duration(i)*time.Second).ID)
		}
		pass(5 * time.Minute)
		for _, id := range ids {
			g := s.grant(t, id)
			require.Equal(t, g.ExpiresAt, g.RevokingAt)
			require.Equal(t, 700*time.Millisecond, g.EndedAt.Sub(g.ExpiresAt))
		}
	})
}

// A queue of calls that lasts longer than the poll does not put off what only
// the poll looks at, such as a request whose time to decide is over.
func TestBusyLoopStillPolls(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.apply(t, reads, changes, elsewhere, hasty)
		w := &witness{Target: s.target, look: func(access.OperationKind, access.EntitlementKey) { time.Sleep(3 * time.Second) }}
		for i := range 20 {
			s.hold(t, s.person(t, fmt.Sprintf("engineer%02d", i), "engineers"), ordersRead, 10*time.Minute)
		}
		waits := s.submit(t, s.alice, otherAdmin)
		s.run(t, s.broker(func(c *Config) {
			c.Slots = 1
			c.Connectors = connector.NewRegistry(map[string]connector.Entry{"target": {Connector: w}, "other": {Connector: s.other}})
		}))
		pass(30*time.Second + poll)
		require.Less(t, len(s.target.Calls(fake.Ensure)), 20, "it is still busy")
		require.Equal(t, access.LapsedAsk, s.state(t, waits.ID))
	})
}
