package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// TestPolicyIsNotStarved: whoever applies policy while others decide all the
// time waits for those who were there before, and is overtaken by none of
// those who come later. They see the new revision.
func TestPolicyIsNotStarved(t *testing.T) {
	t.Parallel()
	const deciders, long = 8, 100 * time.Millisecond
	db := pgtest.New(t)
	s := db.Store(t, store.WithMaxConns(deciders+1))
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	for i := range deciders {
		group.Go(func() error {
			time.Sleep(time.Duration(i) * long / deciders)
			for ctx.Err() == nil {
				err := s.InTx(t.Context(), func(tx *store.Tx) error {
					if _, err := tx.CurrentRevision(t.Context()); err != nil {
						return err
					}
					time.Sleep(long)
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	time.Sleep(2 * long)
	for range 5 {
		inTx(t, s, func(tx *store.Tx) error {
			began := time.Now()
			_, err := tx.CurrentRevisionForUpdate(t.Context())
			require.Less(t, time.Since(began), 6*long)
			return err
		})
	}
	cancel()
	must(t, group.Wait())
}

// A decision that waited for an apply goes by what was applied.
func TestPolicyIsReadAfterItsLock(t *testing.T) {
	t.Parallel()
	s := pgtest.Store(t)
	locked, seen := make(chan struct{}), make(chan int64, 1)
	go func() {
		<-locked
		_ = s.InTx(t.Context(), func(tx *store.Tx) error {
			n, err := tx.CurrentRevision(t.Context())
			seen <- n
			return err
		})
	}()
	inTx(t, s, func(tx *store.Tx) error {
		n, err := tx.CurrentRevisionForUpdate(t.Context())
		must(t, err)
		require.Zero(t, n)
		close(locked)
		time.Sleep(100 * time.Millisecond) // it waits by now, or comes later
		must(t, tx.Record(t.Context(), access.Event{Stream: access.PolicyStream, Version: 1, Type: access.PolicyApplied, Actor: alice}))
		return tx.InsertRevision(t.Context(), store.PolicyRevision{Revision: 1, Digest: someHash, Author: alice, Issuer: "x"}, nil)
	})
	require.Equal(t, int64(1), <-seen)
}
