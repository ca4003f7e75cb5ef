package broker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Run runs the loops until ctx ends: the reaper takes access away, the
// provisioner makes it, the housekeeper clears up. All their goroutines have
// ended when it returns. Any number of brokers may run on one database.
//
// wake carries the names of audit streams that changed, as store.Listen gives
// them; it is a hint and may be nil. What the loops rely on is the clock of
// the database, at the latest every Poll.
func (b *Broker) Run(ctx context.Context, wake <-chan string) error {
	reaper := newLoop(b, "reaper", false)
	provisioner := newLoop(b, "provisioner", true)
	reaper.steps = []step{b.expireGrants, reaper.sweepSettled, reaper.claimAll}
	provisioner.steps = []step{b.endForbidden, b.startDue, b.sweepRequests, provisioner.claimAll}
	reaper.other, provisioner.other = provisioner, reaper

	var all sync.WaitGroup
	all.Go(func() { reaper.run(ctx) })
	all.Go(func() { provisioner.run(ctx) })
	all.Go(func() { b.keepHouse(ctx) })
	all.Go(func() { spread(ctx, wake, reaper, provisioner) })
	all.Wait()
	return ctx.Err()
}

// spread wakes the loops when a grant or a request changes. Entitlements
// change by the loops' own work, after which they look anyway.
func spread(ctx context.Context, wake <-chan string, loops ...*loop) {
	for {
		select {
		case <-ctx.Done():
			return
		case stream, ok := <-wake:
			if !ok {
				wake = nil // the listener is gone; the clock goes on
				continue
			}
			// The empty name says that hints were lost.
			if stream == "" || strings.HasPrefix(stream, "grant:") || strings.HasPrefix(stream, "request:") || stream == access.PolicyStream {
				for _, l := range loops {
					l.look()
				}
			}
		}
	}
}

// step is one part of a pass. Its error does not keep the others from running.
type step func(context.Context) error

// loop looks for what is due, again and again, and never waits for a target:
// each operation has a goroutine of its own, and each connector a number of
// slots of its own, so that a target which hangs delays only itself. The two
// loops share no slots, so that no trouble with provisioning delays a removal.
type loop struct {
	b       *Broker
	name    string
	present bool // works on entitlements that are wanted present
	steps   []step
	other   *loop

	wake    chan struct{} // something is due: look at everything
	freed   chan struct{} // a slot is free: claim more
	workers sync.WaitGroup

	mu   sync.Mutex
	busy map[string]int // calls under way, by connector

	// By the database's clock, and owned by run: when the last pass began, when
	// the next one is due, when the last sweep was.
	began, due, swept time.Time
}

func newLoop(b *Broker, name string, present bool) *loop {
	return &loop{
		b: b, name: name, present: present, busy: map[string]int{},
		wake: make(chan struct{}, 1), freed: make(chan struct{}, 1),
	}
}

// look makes the loop look soon. It never waits.
func (l *loop) look() { nudge(l.wake) }

func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // it is going to look anyway
	}
}

func (l *loop) run(ctx context.Context) {
	defer l.workers.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.freed:
			timer.Reset(l.refill(ctx))
		case <-l.wake:
			timer.Reset(l.pass(ctx))
		case <-timer.C:
			timer.Reset(l.pass(ctx))
		}
	}
}

// pass runs every step once and gives how long the loop may sleep. What fails
// sets no pace: its entitlement has an instant of its own.
func (l *loop) pass(ctx context.Context) time.Duration {
	if !l.present {
		defer l.b.metrics.reaping()()
	}
	began, err := l.b.now(ctx)
	if err != nil {
		return l.failed(ctx, err)
	}
	l.began = began
	var errs []error
	for _, s := range l.steps {
		if err := s(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	sleep, err := l.rest(ctx, began)
	if err = errors.Join(append(errs, err)...); err != nil {
		l.failed(ctx, err)
	} else if !l.present {
		l.b.metrics.reaperSuccess.Set(float64(began.UnixMilli()) / 1000)
	}
	return sleep
}

// refill claims more when a call is over, which may also have made something
// due. It never puts the next pass off: under load a call is over all the time.
func (l *loop) refill(ctx context.Context) time.Duration {
	due := l.due
	began, err := l.b.now(ctx)
	if err == nil {
		err = l.claimAll(ctx)
	}
	sleep, restErr := l.rest(ctx, began)
	if err = errors.Join(err, restErr); err != nil {
		l.failed(ctx, err)
	}
	if due.Before(l.due) {
		sleep = max(0, sleep-l.due.Sub(due))
		l.due = due
	}
	return sleep
}

// rest gives how long the loop may sleep: until something is due that was not
// when it began to look, or until the poll.
func (l *loop) rest(ctx context.Context, began time.Time) (time.Duration, error) {
	sleep := l.b.poll
	var now, next time.Time
	err := l.b.loopStore.InTx(ctx, func(tx *store.Tx) (err error) {
		now = tx.Now
		next, err = tx.NextDue(ctx, began)
		return err
	})
	if err != nil {
		return sleep, err
	}
	if !next.IsZero() {
		sleep = max(0, min(sleep, next.Sub(now)))
	}
	l.due = now.Add(sleep)
	return sleep, nil
}

func (l *loop) failed(ctx context.Context, err error) time.Duration {
	if ctx.Err() == nil {
		l.b.log.ErrorContext(ctx, "a pass failed; the next one goes on", "loop", l.name, "err", err)
	}
	return l.b.poll
}

// now gives the time of the database, the only clock that decides.
func (b *Broker) now(ctx context.Context) (now time.Time, err error) {
	err = b.loopStore.InTx(ctx, func(tx *store.Tx) error {
		now = tx.Now
		return nil
	})
	return now, err
}

// claimAll claims for every connector that has a free slot, until nothing
// more is due or the slots are taken.
func (l *loop) claimAll(ctx context.Context) error {
	for {
		slots, free := l.free()
		if free == 0 {
			return nil
		}
		jobs, err := l.b.claim(ctx, l.present, slots)
		if err != nil || len(jobs) == 0 {
			return err
		}
		for _, j := range jobs {
			name := j.entitlement.Connector
			l.take(name, 1)
			l.workers.Go(func() {
				defer func() {
					l.take(name, -1)
					nudge(l.freed)
					l.other.look() // what is wanted otherwise now is the other's
				}()
				l.b.work(ctx, j)
			})
		}
	}
}

func (l *loop) free() (slots []store.Slots, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range l.b.connectors.Names() {
		if n := l.b.slots - l.busy[name]; n > 0 {
			slots = append(slots, store.Slots{Connector: name, Free: n})
			total += n
		}
	}
	return slots, total
}

func (l *loop) take(connector string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy[connector] += n
}
