package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

func TestVote(t *testing.T) {
	t.Parallel()

	const submitted = "request.submitted alice"
	type ballot struct {
		who string
		say access.VoteDecision
		err access.Code
	}
	for _, tt := range []struct {
		name  string
		item  access.Item
		votes []ballot
		want  written
	}{
		{"Approved", ordersAdmin, []ballot{{"olive", access.Approve, ""}}, written{
			Requests: []string{"alice approved approve 3"},
			Votes:    []string{"olive approve"},
			Grants:   []string{"0 scheduled pg/admin changes"},
			Audit:    []string{submitted, "grant.scheduled olive", "vote.cast olive", "request.approved olive"},
		}},
		{"Denied", ordersAdmin, []ballot{{"olive", access.Deny, ""}}, written{
			Requests: []string{"alice denied deny 3"},
			Votes:    []string{"olive deny"},
			Grants:   []string{},
			Audit:    []string{submitted, "vote.cast olive", "request.denied olive"},
		}},
		{"Self", ordersAdmin, []ballot{{"alice", access.Approve, access.SelfApproval}}, written{
			Requests: []string{"alice pending submit 1"}, Votes: []string{}, Grants: []string{},
			Audit: []string{submitted, "attempt.refused alice"},
		}},
		{"SelfDenial", ordersAdmin, []ballot{{"alice", access.Deny, access.SelfApproval}}, written{
			Requests: []string{"alice pending submit 1"}, Votes: []string{}, Grants: []string{},
			Audit: []string{submitted, "attempt.refused alice"},
		}},
		{"NotAnApproverWhoSeesIt", ordersAdmin, []ballot{{"audrey", access.Approve, access.NotAnApprover}}, written{
			Requests: []string{"alice pending submit 1"}, Votes: []string{}, Grants: []string{},
			Audit: []string{submitted, "attempt.refused audrey"},
		}},
		{"StrangerSeesNothing", ordersAdmin, []ballot{{"mallory", access.Approve, access.NotFound}}, written{
			Requests: []string{"alice pending submit 1"}, Votes: []string{}, Grants: []string{},
			Audit: []string{submitted, "attempt.refused mallory"},
		}},
		{"SecondVoteIsTooLate", ordersAdmin, []ballot{{"olive", access.Approve, ""}, {"oscar", access.Approve, access.StateConflict}}, written{
			Requests: []string{"alice approved approve 3"},
			Votes:    []string{"olive approve"},
			Grants:   []string{"0 scheduled pg/admin changes"},
			Audit:    []string{submitted, "grant.scheduled olive", "vote.cast olive", "request.approved olive"},
		}},
		{"OnePersonCountsOnce", ledgerAdmin, []ballot{{"olive", access.Approve, ""}, {"olive", access.Approve, access.StateConflict}}, written{
			Requests: []string{"alice pending vote 2"}, Votes: []string{"olive approve"}, Grants: []string{},
			Audit: []string{submitted, "vote.cast olive"},
		}},
		{"NobodyChangesTheirMind", ledgerAdmin, []ballot{{"olive", access.Approve, ""}, {"olive", access.Deny, access.StateConflict}}, written{
			Requests: []string{"alice pending vote 2"}, Votes: []string{"olive approve"}, Grants: []string{},
			Audit: []string{submitted, "vote.cast olive"},
		}},
		{"StagesInOrder", ledgerAdmin, []ballot{{"olive", access.Approve, ""}, {"sue", access.Approve, access.StateConflict}}, written{
			Requests: []string{"alice pending vote 2"}, Votes: []string{"olive approve"}, Grants: []string{},
			Audit: []string{submitted, "vote.cast olive"},
		}},
		{"TwoStages", ledgerAdmin, []ballot{{"olive", access.Approve, ""}, {"oscar", access.Approve, ""}, {"sue", access.Approve, ""}}, written{
			Requests: []string{"alice approved approve 5"},
			Votes:    []string{"olive approve", "oscar approve", "sue approve"},
			Grants:   []string{"0 scheduled pg/admin ledger"},
			Audit: []string{
				submitted, "vote.cast olive", "vote.cast oscar", "grant.scheduled sue", "vote.cast sue", "request.approved sue",
			},
		}},
		{"DenyWins", ledgerAdmin, []ballot{{"olive", access.Approve, ""}, {"oscar", access.Approve, ""}, {"otto", access.Deny, ""}}, written{
			Requests: []string{"alice denied deny 5"},
			Votes:    []string{"olive approve", "oscar approve", "otto deny"},
			Grants:   []string{},
			Audit:    []string{submitted, "vote.cast olive", "vote.cast oscar", "vote.cast otto", "request.denied otto"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			req := s.submit(t, s.alice, tt.item)

			for _, v := range tt.votes {
				s.clock.pass(time.Second)
				view, err := s.vote(t, s.everybody[v.who], req, v.say)
				if v.err != "" {
					require.Equal(t, v.err, access.AsError(err).Code, "%s: %v", v.who, err)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, s.state(t, req.ID), view.State)
			}

			require.Equal(t, tt.want, s.wrote(t))
		})
	}
}

func TestVoteBindsToTheHash(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ordersAdmin)

	_, _, err := s.b.Vote(t.Context(), s.olive, req.ID, Ballot{Decision: access.Approve, RequestHash: access.DigestOf("another")}, Key{})

	require.Equal(t, access.StaleVote, access.AsError(err).Code)
	require.Equal(t, written{
		Requests: []string{"alice pending submit 1"}, Votes: []string{}, Grants: []string{},
		Audit: []string{"request.submitted alice", "attempt.refused olive"},
	}, s.wrote(t))
}

func TestVoteWithFaults(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ordersAdmin)

	_, _, err := s.b.Vote(t.Context(), s.olive, req.ID, Ballot{Decision: "abstain", Reason: "\x00"}, Key{})

	require.Equal(t, access.Invalid, access.AsError(err).Code)
	require.Len(t, access.AsError(err).Details, 3)
}

func TestVoteWithKey(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ledgerAdmin)
	key := Key{Key: "v", BodyHash: access.DigestOf("approve")}
	ballot := Ballot{Decision: access.Approve, RequestHash: req.Hash}
	first, replayed, err := s.b.Vote(t.Context(), s.olive, req.ID, ballot, key)
	require.NoError(t, err)
	require.False(t, replayed)

	second, replayed, err := s.b.Vote(t.Context(), s.olive, req.ID, ballot, key)

	require.NoError(t, err)
	require.True(t, replayed)
	require.Equal(t, first, second)
	require.Equal(t, []string{"olive approve"}, s.wrote(t).Votes)
}

func TestApproverWhoLeftTheGroup(t *testing.T) {
	t.Parallel()

	t.Run("CannotVote", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		req := s.submit(t, s.alice, ledgerAdmin)
		s.clock.pass(time.Second)
		former := s.person(t, "olive")

		_, err := s.vote(t, former, req, access.Approve)

		require.Equal(t, access.NotFound, access.AsError(err).Code, "nothing names her any more")
	})
	t.Run("AnOlderTokenBringsNothingBack", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		req := s.submit(t, s.alice, ledgerAdmin)
		s.clock.pass(time.Second)
		s.person(t, "olive")

		_, err := s.vote(t, s.olive, req, access.Approve)

		require.Equal(t, access.NotFound, access.AsError(err).Code)
	})
	t.Run("NoLongerCounts", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		req := s.submit(t, s.alice, ledgerAdmin)
		s.approve(t, req, s.olive)
		s.clock.pass(time.Second)
		s.person(t, "olive")

		view := s.approve(t, req, s.oscar)

		require.Equal(t, access.Pending, view.State)
		require.Equal(t, 1, view.Tally.Tracks[0].Seats[0].Missing)
		view = s.approve(t, req, s.otto, s.sue)
		require.Equal(t, access.Approved, view.State, "with somebody in her place it goes on")
	})
	t.Run("CountsAgainWhenBack", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		req := s.submit(t, s.alice, queueAdmin)
		s.approve(t, req, s.olive)
		s.clock.pass(time.Second)
		s.person(t, "olive")
		view := s.approve(t, req, s.oscar)
		require.Equal(t, access.Pending, view.State)
		s.clock.pass(time.Second)
		s.person(t, "olive", "owners")

		require.NoError(t, s.b.sweepRequests(t.Context()))

		require.Equal(t, access.Approved, s.state(t, req.ID), "nobody has to vote once more")
		require.Equal(t, []string{"0 scheduled pg/admin pair"}, s.wrote(t).Grants)
	})
}

func TestADenialSaysWhose(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ordersAdmin)

	view, _, err := s.b.Vote(t.Context(), s.olive, req.ID, Ballot{Decision: access.Deny, Reason: "not on a Friday", RequestHash: req.Hash}, Key{})

	require.NoError(t, err)
	require.Equal(t, "Denied by Olive.", view.StateReason, "the reason stays with the vote")
	_, err = s.vote(t, s.oscar, req, access.Approve)
	require.Equal(t, "Olive has denied this request already; there is nothing left to decide.", access.AsError(err).Message)

	req = s.submit(t, s.alan, ordersAdmin)
	s.approve(t, req, s.olive)
	_, err = s.vote(t, s.oscar, req, access.Deny)
	require.Equal(t, "Olive has approved this request already; there is nothing left to decide.", access.AsError(err).Message)
}

func TestVoteAfterDecideBy(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ordersAdmin)
	require.Equal(t, noon.Add(4*time.Hour), req.DecideBy)
	s.clock.pass(4 * time.Hour)

	_, err := s.vote(t, s.olive, req, access.Approve)

	e := access.AsError(err)
	require.Equal(t, access.StateConflict, e.Code)
	require.Equal(t, string(access.LapsedAsk), e.Current)
	require.Equal(t, written{
		Requests: []string{"alice expired expire 2"}, Votes: []string{}, Grants: []string{},
		Audit: []string{"request.submitted alice", "request.expired system"},
	}, s.wrote(t))
}

func TestTally(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ledgerAdmin)

	view := s.approve(t, req, s.olive)

	require.Equal(t, engine.Open, view.Tally.State)
	require.Equal(t, []OpenSeat{{
		Contract: "ledger", Name: "owners", From: view.Open[0].From, Missing: 1,
		Eligible: []access.PrincipalID{s.oscar.ID, s.otto.ID},
	}}, view.Open)
	require.Len(t, view.Votes, 1)
	require.True(t, view.Votes[0].Counts)
	require.Equal(t, "Olive", view.Votes[0].VoterName)
	require.Equal(t, map[access.PrincipalID]string{
		s.alice.ID: "Alice", s.olive.ID: "Olive", s.oscar.ID: "Oscar", s.otto.ID: "Otto",
	}, view.People)
}
