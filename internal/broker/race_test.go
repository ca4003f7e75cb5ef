package broker

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// TestOneWinner lets everything that ends a request happen at the same time.
func TestOneWinner(t *testing.T) {
	t.Parallel()
	for round := range 6 {
		s := newScene(t)
		req := s.submit(t, s.alice, ordersAdmin)
		if round%2 == 1 {
			s.clock.pass(4*time.Hour - time.Nanosecond) // the clock is of no help to anybody
		}
		deeds := []func(ctx context.Context) error{
			func(context.Context) error { _, err := s.vote(t, s.olive, req, access.Approve); return err },
			func(context.Context) error { _, err := s.vote(t, s.oscar, req, access.Deny); return err },
			func(ctx context.Context) error { _, err := s.b.Withdraw(ctx, s.alice, req.ID); return err },
			func(ctx context.Context) error {
				s.clock.pass(time.Nanosecond)
				if err := s.b.sweepRequests(ctx); err != nil {
					return err
				}
				return &access.Error{Code: access.StateConflict} // says nothing of winning
			},
		}
		var (
			wg   sync.WaitGroup
			errs = make([]error, len(deeds))
		)

		for i, deed := range deeds {
			wg.Go(func() { errs[i] = deed(t.Context()) })
		}
		wg.Wait()

		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			require.Equal(t, access.StateConflict, access.AsError(err).Code, "%v", err)
		}
		wrote := s.wrote(t)
		state := s.state(t, req.ID)
		if state == access.LapsedAsk {
			require.Zero(t, won)
		} else {
			require.Equal(t, 1, won, "%v", errs)
		}
		require.NotEqual(t, access.Pending, state)
		require.Equal(t, state == access.Approved, len(wrote.Grants) == 1)
		ends := slices.DeleteFunc(wrote.Audit, func(e string) bool {
			return slices.Contains([]string{"request.submitted alice", "vote.cast olive", "vote.cast oscar", "grant.scheduled olive"}, e)
		})
		require.Len(t, ends, 1, "one event ends it")
	}
}

// TestLastVotesAtOnce fills the last seat by several people at the same time.
func TestLastVotesAtOnce(t *testing.T) {
	t.Parallel()

	t.Run("OfOneRequest", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		req := s.submit(t, s.alice, queueAdmin)
		voters := []access.Caller{s.olive, s.oscar, s.otto}
		errs := make([]error, len(voters))
		var wg sync.WaitGroup

		for i, who := range voters {
			wg.Go(func() { _, errs[i] = s.vote(t, who, req, access.Approve) })
		}
		wg.Wait()

		late := 0
		for _, err := range errs {
			if access.IsCode(err, access.StateConflict) {
				late++
			} else {
				require.NoError(t, err)
			}
		}
		require.Equal(t, 1, late, "two are enough")
		wrote := s.wrote(t)
		require.Equal(t, []string{"alice approved approve 4"}, wrote.Requests)
		require.Equal(t, []string{"0 scheduled pg/admin pair"}, wrote.Grants)
		require.Len(t, wrote.Votes, 2)
	})
	t.Run("OfRequestsForTheLastPlace", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.apply(t, replace(t, changes, "approvals:", "limits: {activeTotal: 1}\n  approvals:"))
		reqs := []RequestView{s.submit(t, s.alice, ordersAdmin), s.submit(t, s.alan, ordersAdmin)}
		var wg sync.WaitGroup

		for _, req := range reqs {
			wg.Go(func() {
				_, err := s.vote(t, s.olive, req, access.Approve)
				require.NoError(t, err)
			})
		}
		wg.Wait()

		require.Len(t, s.wrote(t).Grants, 1)
		require.ElementsMatch(t, []access.RequestState{access.Approved, access.Invalidated},
			[]access.RequestState{s.state(t, reqs[0].ID), s.state(t, reqs[1].ID)})
	})
}
