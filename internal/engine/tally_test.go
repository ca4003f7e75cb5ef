package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

// election is a decision that waits for people, and the people.
type election struct {
	d      access.Decision
	people map[access.PrincipalID]access.Subject
	votes  []access.Vote
}

const requester = "ann"

func drawElection(t *rapid.T) election {
	x := election{people: map[access.PrincipalID]access.Subject{}}
	for i := range between(t, "tracks", 1, 2) {
		track := access.Track{Contract: fmt.Sprintf("c%d", i), Items: []int{i}, DeniesNeeded: between(t, "denies", 0, 2)}
		for s := range between(t, "stages", 1, 2) {
			track.Stages = append(track.Stages, access.Stage{Name: fmt.Sprintf("s%d", s), Seats: some(t, "seats", 1, 2, func() access.Seat {
				return access.Seat{From: "some", Count: between(t, "count", 1, 2), Who: some(t, "who", 1, 2, func() access.Who {
					if chance(t, "user", 3) {
						return access.Who{User: id(oneOf(t, "user", users...))}
					}
					return access.Who{Group: oneOf(t, "group", groups...)}
				})}
			})})
		}
		x.d.Approvals = append(x.d.Approvals, track)
	}
	for _, u := range append([]string{"fay", "gus"}, users...) {
		s := drawSubject(t, u)
		x.people[s.ID] = s
		if chance(t, "votes", 6) {
			v := access.Vote{Voter: s.ID, Decision: access.Approve}
			if chance(t, "denies", 1) {
				v.Decision = access.Deny
			}
			x.votes = append(x.votes, v)
		}
	}
	return x
}

func (x election) count() engine.Tally { return engine.Count(x.d, id(requester), x.votes, x.people) }

// canVote asks for one person as things stand.
func (x election) canVote(who access.PrincipalID, v access.VoteDecision) *access.Error {
	return engine.CanVote(x.d, id(requester), x.votes, x.people, x.people[who], v)
}

func (x election) approvers() (out []access.Subject) {
	for _, v := range x.votes {
		if v.Decision == access.Approve && v.Voter != id(requester) {
			out = append(out, x.people[v.Voter])
		}
	}
	return out
}

// chairs lists the seats of the stages that include admits, one entry for
// each person wanted, sorted by stage.
func (x election) chairs(include func(track, stage int) bool) (out []access.Seat) {
	for s := range 2 {
		for t, track := range x.d.Approvals {
			if s < len(track.Stages) && include(t, s) {
				for _, seat := range track.Stages[s].Seats {
					out = append(out, slices.Repeat([]access.Seat{seat}, seat.Count)...)
				}
			}
		}
	}
	return out
}

// most tries every assignment of the people to the chairs and gives the size
// of the largest.
func most(chairs []access.Seat, people []access.Subject) int {
	if len(chairs) == 0 {
		return 0
	}
	best := most(chairs[1:], people) // nobody sits here
	for i, p := range people {
		if slices.ContainsFunc(chairs[0].Who, func(w access.Who) bool { return w.Covers(p) }) {
			best = max(best, 1+most(chairs[1:], slices.Delete(slices.Clone(people), i, i+1)))
		}
	}
	return best
}

func all(int, int) bool { return true }

func TestCountIsTheLargestAssignment(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := drawElection(t)

		tally := x.count()

		filled, first, seen := 0, 0, map[access.PrincipalID]bool{}
		for ti, tt := range tally.Tracks {
			open := -1
			for _, st := range tt.Seats {
				seat := x.d.Approvals[ti].Stages[st.Stage].Seats[st.Seat]
				require.Equal(t, seat.Count, len(st.Filled)+st.Missing)
				filled += len(st.Filled)
				if st.Stage == 0 {
					first += len(st.Filled)
				}
				if st.Missing > 0 && open < 0 {
					open = st.Stage
				}
				for _, who := range st.Filled {
					require.False(t, seen[who], "%s sits twice", who)
					seen[who] = true
					require.NotEqual(t, id(requester), who)
					require.True(t, slices.ContainsFunc(seat.Who, func(w access.Who) bool { return w.Covers(x.people[who]) }))
					require.True(t, slices.ContainsFunc(x.votes, func(v access.Vote) bool { return v.Voter == who && v.Decision == access.Approve }))
				}
			}
			require.Equal(t, open, tt.OpenStage)
		}
		chairs := x.chairs(all)
		require.Equal(t, most(chairs, x.approvers()), filled)
		require.Equal(t, most(x.chairs(func(_, s int) bool { return s == 0 }), x.approvers()), first, "earlier stages come first")
		if tally.State != engine.Denied {
			require.Equal(t, filled == len(chairs), tally.State == engine.Filled)
		}
	})
}

func TestEnoughDeniesWin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := drawElection(t)

		tally := x.count()

		denied := false
		for i, track := range x.d.Approvals {
			n := 0
			for _, v := range x.votes {
				named := false
				for _, st := range track.Stages {
					for _, seat := range st.Seats {
						named = named || slices.ContainsFunc(seat.Who, func(w access.Who) bool { return w.Covers(x.people[v.Voter]) })
					}
				}
				if v.Decision == access.Deny && named && v.Voter != id(requester) {
					n++
				}
			}
			require.Equal(t, n, tally.Tracks[i].Denies)
			denied = denied || n >= 1 && n >= track.DeniesNeeded
		}
		require.Equal(t, denied, tally.State == engine.Denied)
	})
}

func TestOrderOfVotesMeansNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := drawElection(t)
		shuffled := x
		shuffled.votes = rapid.Permutation(x.votes).Draw(t, "votes")
		shuffled.people = maps.Clone(x.people)

		require.Equal(t, x.count(), shuffled.count())
	})
}

func TestCanVoteWhereItHelps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := drawElection(t)
		tally := x.count()
		open := func(track, stage int) bool {
			at := tally.Tracks[track].OpenStage
			return at < 0 || stage <= at
		}
		for who, voter := range x.people {
			named := most(x.chairs(all), []access.Subject{voter}) > 0
			voted := slices.ContainsFunc(x.votes, func(v access.Vote) bool { return v.Voter == who })
			before, after := x.approvers(), append(x.approvers(), voter)
			helps := most(x.chairs(open), after) > most(x.chairs(open), before)
			later := most(x.chairs(all), after) > most(x.chairs(all), before)
			want := access.Code("")
			switch {
			case who == id(requester):
				want = access.SelfApproval
			case !named:
				want = access.NotAnApprover
			case voted, tally.State != engine.Open, !helps:
				want = access.StateConflict
			}

			err := x.canVote(who, access.Approve)

			if want == "" {
				require.Nil(t, err)
			} else {
				require.NotNil(t, err)
				require.Equal(t, want, err.Code)
			}
			if named && !voted && tally.State == engine.Open && who != id(requester) {
				require.Nil(t, x.canVote(who, access.Deny), "whoever a stage names may deny")
				if !helps && later {
					require.Contains(t, err.Message, "opens after")
				} else if !helps {
					require.Contains(t, err.Message, "already has all it needs")
				}
			}
		}
	})
}

// Whatever order people come in, a request that can be approved is, once
// everybody who may vote has.
func TestVotesNeverGetStuck(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := drawElection(t)
		x.votes = nil
		ids := slices.Sorted(maps.Keys(x.people))
		var people []access.Subject
		for _, who := range ids {
			people = append(people, x.people[who])
		}
		order := rapid.Permutation(ids).Draw(t, "order")
		for range order { // later stages open while people wait, so they come again
			for _, who := range order {
				if x.canVote(who, access.Approve) == nil {
					x.votes = append(x.votes, access.Vote{Voter: who, Decision: access.Approve})
				}
			}
		}

		ok, missing := engine.Satisfiable(x.d.Approvals, id(requester), people)

		without := slices.DeleteFunc(slices.Clone(people), func(s access.Subject) bool { return s.ID == id(requester) })
		chairs := x.chairs(all)
		require.Equal(t, most(chairs, without) == len(chairs), ok)
		require.Equal(t, ok, x.count().State == engine.Filled)
		require.Equal(t, ok, missing.From == "")
	})
}

// What was asked and filled fills what is wanted later, if nothing lacks: even
// when the later policy wants more of the same people in another stage.
func TestLacking(t *testing.T) {
	t.Parallel()

	owners := func(counts ...int) []access.Track {
		track := access.Track{Contract: "c"}
		for _, n := range counts {
			track.Stages = append(track.Stages, access.Stage{Seats: []access.Seat{{From: "owners", Count: n, Who: []access.Who{{Group: "owners"}}}}})
		}
		return []access.Track{track}
	}
	require.Nil(t, engine.Lacking(owners(2), owners(1, 1)))
	require.Nil(t, engine.Lacking(owners(1, 1), owners(2)))
	require.Equal(t, owners(1)[0].Stages[0].Seats[0], *engine.Lacking(owners(1), owners(1, 1)))
	require.Equal(t, owners(1)[0].Stages[0].Seats[0], *engine.Lacking(owners(1), append(owners(1), owners(1)...)))

	rapid.Check(t, func(t *rapid.T) {
		asked, later := drawElection(t), drawElection(t)
		if chance(t, "alike", 5) {
			later.d.Approvals = append(slices.Clone(asked.d.Approvals), later.d.Approvals[:between(t, "more", 0, 1)]...)
		}
		if asked.count().State != engine.Filled || engine.Lacking(asked.d.Approvals, later.d.Approvals) != nil {
			return
		}
		asked.d.Approvals = later.d.Approvals
		for _, track := range asked.count().Tracks {
			require.Equal(t, -1, track.OpenStage)
		}
	})
}
