package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/audit"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

func note(stream string) access.Event {
	return access.Event{Stream: stream, Type: access.AttemptRefused, Actor: alice, Data: json.RawMessage(`{"a": 1}`)}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)
	s := pgtest.Store(t, store.WithClock(func() time.Time { return noon }))
	inTx(t, s, func(tx *store.Tx) error {
		// Not sorted, and in two calls: the order of the log is another one.
		must(t, tx.Record(t.Context(), note("b"), access.Event{Stream: "c", Version: 2, Type: "x.second", Actor: bob}))
		return tx.Record(t.Context(), note("b"), access.Event{Stream: "c", Version: 1, Type: "x.first", Actor: bob}, note("a"))
	})

	rows := eventsOf(t, s, "a", "b", "c")
	require.Empty(t, audit.Verify(records(rows)))
	type short struct {
		Stream  string
		Version int64
		Type    access.EventType
		Data    string
		At      time.Time
		DBUser  string
	}
	var got []short
	for _, row := range rows {
		e, err := row.Decode()
		must(t, err)
		require.WithinDuration(t, time.Now(), e.RecordedAt, time.Minute, "by the database's clock, not ours")
		got = append(got, short{e.Stream, e.Version, e.Type, string(e.Data), e.At, e.DBUser})
	}
	require.Equal(t, []short{
		{"a", 1, "attempt.refused", `{"a":1}`, noon, "rampkeeper_app"},
		{"b", 1, "attempt.refused", `{"a":1}`, noon, "rampkeeper_app"},
		{"b", 2, "attempt.refused", `{"a":1}`, noon, "rampkeeper_app"},
		{"c", 1, "x.first", `{}`, noon, "rampkeeper_app"},
		{"c", 2, "x.second", `{}`, noon, "rampkeeper_app"},
	}, got)
}

// What cannot be an event is refused, by the code or by the database.
func TestRecordRefuses(t *testing.T) {
	t.Parallel()
	s := pgtest.Store(t)
	for name, e := range map[string]access.Event{
		"no stream":        {Type: "a.b", Actor: alice},
		"no type":          {Stream: "s", Actor: alice},
		"no actor":         {Stream: "s", Type: "a.b"},
		"odd type":         {Stream: "s", Type: "A", Actor: alice},
		"negative":         {Stream: "s", Type: "a.b", Actor: alice, Version: -1},
		"a hole":           {Stream: "s", Type: "a.b", Actor: alice, Version: 2},
		"no JSON":          {Stream: "s", Type: "a.b", Actor: alice, Data: json.RawMessage(`{`)},
		"two values":       {Stream: "s", Type: "a.b", Actor: alice, Data: json.RawMessage(`{}{}`)},
		"no object":        {Stream: "s", Type: "a.b", Actor: alice, Data: json.RawMessage(`[]`)},
		"NUL":              {Stream: "s", Type: "a.b", Actor: alice, Data: json.RawMessage(`{"a":"\u0000"}`)},
		"half a character": {Stream: "s", Type: "a.b", Actor: alice, Data: json.RawMessage(`{"a":"\ud800"}`)},
		"a member twice":   {Stream: "s", Type: "a.b", Actor: alice, Data: json.RawMessage(`{"a":1,"a":2}`)},
		"NUL in stream":    {Stream: "s\x00", Type: "a.b", Actor: alice},
	} {
		err := s.InTx(t.Context(), func(tx *store.Tx) error { return tx.Record(t.Context(), e) })
		require.Error(t, err, name)
	}
	require.Empty(t, eventsOf(t, s, "s"))
	// A backslash before u0000 is text like any other.
	inTx(t, s, func(tx *store.Tx) error {
		return tx.Record(t.Context(), access.Event{Stream: "s", Type: "a.b", Actor: alice, Data: json.RawMessage(`{"a":"\\u0000"}`)})
	})
	require.Len(t, eventsOf(t, s, "s"), 1)
}

// Eight writers on the same streams, each naming them in another order, never
// wait for one another in a circle, and the chains hold.
func TestRecordTogether(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := db.Store(t, store.WithMaxConns(8))
	const writers, rounds = 8, 30
	streams := []string{"a", "b", "c", "d", "e"}
	var group errgroup.Group
	for range writers {
		group.Go(func() error {
			for range rounds {
				err := s.InTx(t.Context(), func(tx *store.Tx) error {
					for _, i := range rand.Perm(len(streams)) {
						if err := tx.Record(t.Context(), note(streams[i])); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(t, group.Wait())

	rows := eventsOf(t, s, streams...)
	require.Len(t, rows, writers*rounds*len(streams))
	require.Empty(t, audit.Verify(records(rows)))
	var deadlocks int
	must(t, db.Admin(t).QueryRow(t.Context(), `select deadlocks from pg_stat_database where datname = current_database()`).Scan(&deadlocks))
	require.Zero(t, deadlocks)
}

// A reader that follows the log while eight writers write, some of whom take
// long and some of whom roll back, sees every event once.
func TestFollowingMissesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := db.Store(t, store.WithMaxConns(10))
	const writers, rounds = 8, 40
	errRollback := errors.New("changed my mind")
	var group errgroup.Group
	var mu sync.Mutex
	committed := 0
	for w := range writers {
		group.Go(func() error {
			conn, err := pgx.Connect(t.Context(), db.AppDSN)
			if err != nil {
				return err
			}
			defer conn.Close(context.Background())
			for i := range rounds {
				err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
					for n := range 2 {
						if err := run(t.Context(), tx, event(fmt.Sprintf("w%d-%d-%d", w, i, n), 1)); err != nil {
							return err
						}
						time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
					}
					if rand.IntN(4) == 0 {
						return errRollback
					}
					return nil
				})
				switch {
				case errors.Is(err, errRollback):
				case err != nil:
					return err
				default:
					mu.Lock()
					committed += 2
					mu.Unlock()
				}
			}
			return nil
		})
	}
	over := make(chan error, 1)
	go func() { over <- group.Wait() }()

	seen := map[string]int{}
	var mark store.Mark
	follow := func() (n int) {
		inTx(t, s, func(tx *store.Tx) error {
			rows, err := tx.EventsAfter(t.Context(), mark, store.EventFilter{Limit: 7})
			must(t, err)
			for _, row := range rows {
				seen[row.Stream]++
				mark = row.Mark()
			}
			n = len(rows)
			return nil
		})
		return n
	}
	for done := false; !done; {
		follow()
		select {
		case err := <-over:
			must(t, err)
			done = true
		default:
		}
	}
	// Transactions in other databases of the server hold the last events back.
	require.Eventually(t, func() bool { return follow() == 0 && len(seen) >= committed }, time.Minute, 5*time.Millisecond)
	require.Len(t, seen, committed)
	for stream, n := range seen {
		require.Equal(t, 1, n, stream)
	}
}

// What happened before the mark is not seen again, what happens later is.
func TestEventsEnd(t *testing.T) {
	t.Parallel()
	s := pgtest.Store(t)
	inTx(t, s, func(tx *store.Tx) error { return tx.Record(t.Context(), note("before")) })
	before := eventsOf(t, s, "before")[0]
	var mark store.Mark
	require.Eventually(t, func() bool { // other databases of the server have transactions too
		inTx(t, s, func(tx *store.Tx) (err error) { mark, err = tx.EventsEnd(t.Context()); return err })
		return mark.XID >= before.XID
	}, time.Minute, 10*time.Millisecond)
	inTx(t, s, func(tx *store.Tx) error { return tx.Record(t.Context(), note("after")) })
	require.Eventually(t, func() bool {
		var rows []store.EventRow
		inTx(t, s, func(tx *store.Tx) (err error) {
			rows, err = tx.EventsAfter(t.Context(), mark, store.EventFilter{Limit: 10})
			return err
		})
		return len(rows) == 1 && rows[0].Stream == "after"
	}, time.Minute, 10*time.Millisecond)
}

func inTx(t *testing.T, s *store.Store, fn func(tx *store.Tx) error) {
	t.Helper()
	must(t, s.InTx(t.Context(), fn))
}

func eventsOf(t *testing.T, s *store.Store, streams ...string) (rows []store.EventRow) {
	t.Helper()
	inTx(t, s, func(tx *store.Tx) (err error) {
		rows, err = tx.EventsOf(t.Context(), streams...)
		return err
	})
	return rows
}

func records(rows []store.EventRow) []audit.Record {
	all := make([]audit.Record, len(rows))
	for i, row := range rows {
		all[i] = row.Record
	}
	return all
}
