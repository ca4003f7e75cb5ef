package store_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

func raise(code string) string {
	return `do $$ begin raise exception 'as ordered' using errcode = '` + code + `'; end $$`
}

// A transaction that the database gave up for another one runs again, a few
// times; any other failure does not.
func TestInTxRunsAgain(t *testing.T) {
	t.Parallel()
	s := pgtest.Store(t)
	for _, tt := range []struct {
		code     string
		failures int // before it succeeds
		runs     int
		fails    bool
	}{
		{"40P01", 2, 3, false},
		{"40001", 4, 5, false},
		{"40001", 99, 5, true},
		{"23505", 99, 1, true},
		{"57014", 99, 1, true},
	} {
		runs := 0
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			runs++
			must(t, tx.Record(t.Context(), note("retried")))
			if runs <= tt.failures {
				return tx.Exec(t.Context(), raise(tt.code), nil)
			}
			return nil
		})
		require.Equal(t, tt.runs, runs, tt.code)
		require.Equal(t, tt.fails, err != nil, tt.code)
	}
	require.Len(t, eventsOf(t, s, "retried"), 2, "the events of runs that failed are gone")
}

// An error of the use case leaves nothing behind and comes back as it is.
func TestInTxRollsBack(t *testing.T) {
	t.Parallel()
	s := pgtest.Store(t)
	refused := &access.Error{Code: access.Forbidden, Message: "no"}
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		must(t, tx.Exec(t.Context(), `insert into core.principal (id, groups_known, claims_at, first_seen, last_seen) values ('a|b', false, @now, @now, @now)`, pgx.NamedArgs{"now": tx.Now}))
		must(t, tx.Record(t.Context(), note("s")))
		return refused
	})
	require.Equal(t, refused, err)
	inTx(t, s, func(tx *store.Tx) error {
		people, err := tx.People(t.Context(), "a|b")
		must(t, err)
		require.Empty(t, people)
		return nil
	})
	require.Empty(t, eventsOf(t, s, "s"))
	require.Panics(t, func() {
		_ = s.InTx(t.Context(), func(*store.Tx) error { panic("a fault of ours") })
	})
	require.NoError(t, s.Ping(t.Context()), "the connection went back")
}

// An error that was swallowed inside does not turn into a commit.
func TestInTxSwallowedError(t *testing.T) {
	t.Parallel()
	s := pgtest.Store(t)
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		_ = tx.Exec(t.Context(), raise("23505"), nil)
		return nil
	})
	require.ErrorIs(t, err, pgx.ErrTxCommitRollback)
}

func TestNow(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	inTx(t, db.Store(t), func(tx *store.Tx) error {
		require.WithinDuration(t, time.Now(), tx.Now, time.Minute)
		require.Equal(t, time.UTC, tx.Now.Location())
		return nil
	})
	fixed := time.Date(2030, 1, 2, 3, 4, 5, 6789, time.FixedZone("", 3600))
	inTx(t, db.Store(t, store.WithClock(func() time.Time { return fixed })), func(tx *store.Tx) error {
		require.Equal(t, time.Date(2030, 1, 2, 2, 4, 5, 6000, time.UTC), tx.Now)
		return nil
	})
}

// What a client may read of the database's failures.
func TestErrorsForClients(t *testing.T) {
	t.Parallel()
	s := pgtest.Store(t, store.WithTimeouts(100*time.Millisecond, 50*time.Millisecond))
	code := func(err error) access.Code { return access.AsError(err).Code }

	err := s.InTx(t.Context(), func(tx *store.Tx) error { return tx.Exec(t.Context(), `select pg_sleep(5)`, nil) })
	require.Equal(t, access.NotReady, code(err), "a statement that takes too long")

	err = s.InTx(t.Context(), func(tx *store.Tx) error { return tx.Exec(t.Context(), `select 1/0`, nil) })
	require.Equal(t, access.Internal, code(err), "a fault of ours")
	require.ErrorContains(t, err, "division by zero", "for the log")

	err = s.InTx(t.Context(), func(tx *store.Tx) error { return tx.Exec(t.Context(), `select 1 from principal`, nil) })
	require.Equal(t, access.Internal, code(err), "a name without its schema is not found")

	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.InTx(over, func(*store.Tx) error { return nil }), context.Canceled)
}

// Every constraint that clients hear about exists.
func TestConstraintsExist(t *testing.T) {
	t.Parallel()
	r := newRows(t)
	inSchema := column(t, r, `
		select k.conname::text from pg_constraint k
		union all select i.indexrelid::regclass::text from pg_index i
		union all select m[1] from pg_proc p, regexp_matches(p.prosrc, 'constraint = ''([a-z_]+)''', 'g') m where p.pronamespace in ('core'::regnamespace, 'audit'::regnamespace)`)
	for _, name := range store.SchemaConstraints() {
		if !contains(inSchema, name) {
			t.Errorf("%s is not in the schema", name)
		}
	}
}

func contains(all []string, name string) bool {
	for _, s := range all {
		if s == name || s == "core."+name {
			return true
		}
	}
	return false
}

// A database that acknowledges what a crash may lose is refused.
func TestOpenRefusesAsyncCommit(t *testing.T) {
	t.Parallel()
	_, err := store.Open(t.Context(), pgtest.New(t).AppDSN) // test servers have it off
	require.ErrorContains(t, err, "synchronous_commit")
}

// The find that tests of the loops rest on: in a synctest bubble the clock is
// fake, the database is real, and the clock stands still during a query.
func TestBubble(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	synctest.Test(t, func(t *testing.T) {
		pool := pgtest.Reopen(t, db)
		defer pool.Close()
		s := store.New(pool, store.WithClock(time.Now))
		start := time.Now()
		require.Equal(t, 2000, start.UTC().Year())
		inTx(t, s, func(tx *store.Tx) error {
			require.Equal(t, start.UTC(), tx.Now)
			return tx.Exec(t.Context(), `select pg_sleep(0.2)`, nil)
		})
		require.Equal(t, start, time.Now())
		time.Sleep(24 * time.Hour)
		inTx(t, s, func(tx *store.Tx) error {
			require.Equal(t, start.UTC().Add(24*time.Hour), tx.Now)
			return nil
		})
	})
}

func TestListen(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := db.Store(t)
	ctx, cancel := context.WithCancel(t.Context())
	hints := s.Listen(ctx)
	require.Empty(t, <-hints, "connected: anything may have happened")
	inTx(t, s, func(tx *store.Tx) error { return tx.Record(t.Context(), note("a stream")) })
	require.Equal(t, "a stream", <-hints)

	_, err := db.Admin(t).Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen rampkeeper' and datname = current_database()`)
	must(t, err)
	require.Empty(t, <-hints, "connected again")
	inTx(t, s, func(tx *store.Tx) error { return tx.Record(t.Context(), note("another")) })
	require.Equal(t, "another", <-hints)
	cancel()
	_, open := <-hints
	require.False(t, open)
}
