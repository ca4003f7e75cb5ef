package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const listen = `listen rampkeeper`

// How long to wait before connecting again: at first, and at most.
const (
	relistenFirst = 100 * time.Millisecond
	relistenMost  = 5 * time.Second
)

// Listen gives the names of streams in which something happened, and "" when
// anything may have happened: after it connected. It is a hint that makes
// things fast; whoever must know polls. A reader that is slow misses hints.
// The channel is closed when ctx is over and the connection is gone.
func (s *Store) Listen(ctx context.Context) <-chan string {
	hints := make(chan string, 64)
	go func() {
		defer close(hints)
		for wait := relistenFirst; ctx.Err() == nil; wait = min(2*wait, relistenMost) {
			if s.listenOnce(ctx, hints) {
				wait = relistenFirst
			}
			sleep(ctx, wait)
		}
	}()
	return hints
}

// listenOnce listens until the connection ends, and says whether it began.
// Errors are not told: the next attempt and the pool's users meet them too.
func (s *Store) listenOnce(ctx context.Context, hints chan<- string) bool {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return false
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // it is given up either way
	}()
	if _, err := conn.Exec(ctx, listen); err != nil {
		return false
	}
	hint(hints, "")
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return true
		}
		hint(hints, n.Payload)
	}
}

func hint(hints chan<- string, stream string) {
	select {
	case hints <- stream:
	default: // the reader has enough to do
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
