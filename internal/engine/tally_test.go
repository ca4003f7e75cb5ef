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

func TestVotesOfPeopleWhoLeftCountForNothing(t *testing.T) {
	t.Parallel()
	bob := access.Subject{ID: id("bob"), GroupsKnown: true, Groups: []string{"red"}}
	x := election{
		d: access.Decision{Approvals: []access.Track{{Contract: "c", Stages: []access.Stage{{Name: "owner", Seats: []access.Seat{
			{From: "group red", Count: 1, Who: []access.Who{{Group: "red"}}},
		}}}}}},
		people: map[access.PrincipalID]access.Subject{bob.ID: bob},
		votes:  []access.Vote{{Voter: bob.ID, Decision: access.Approve}},
	}
	seat := engine.SeatTally{Filled: []access.PrincipalID{bob.ID}}
	require.Equal(t, engine.Tally{State: engine.Filled, Tracks: []engine.TrackTally{{OpenStage: -1, Seats: []engine.SeatTally{seat}}}}, x.count())

	bob.Groups = nil
	x.people = map[access.PrincipalID]access.Subject{bob.ID: bob}
	left := x.count()
	bob.Groups, bob.GroupsKnown = []string{"red"}, false
	x.people = map[access.PrincipalID]access.Subject{bob.ID: bob}
	unknown := x.count()
	x.people = nil
	gone := x.count()

	seat = engine.SeatTally{Filled: []access.PrincipalID{}, Missing: 1}
	want := engine.Tally{State: engine.Open, Tracks: []engine.TrackTally{{Seats: []engine.SeatTally{seat}}}}
	require.Equal(t, want, left)
	require.Equal(t, want, unknown)
	require.Equal(t, want, gone)
}

func TestCanVoteSaysWhy(t *testing.T) {
	t.Parallel()
	group := func(name string, n int) access.Seat {
		return access.Seat{From: "group " + name, Count: n, Who: []access.Who{{Group: name}}}
	}
	person := func(name string, groups ...string) access.Subject {
		return access.Subject{ID: id(name), GroupsKnown: true, Groups: groups}
	}
	d := access.Decision{Approvals: []access.Track{{Contract: "c", DeniesNeeded: 1, Stages: []access.Stage{
		{Name: "owner", Seats: []access.Seat{group("red", 1)}},
		{Name: "security", Seats: []access.Seat{group("blue", 1)}},
	}}}}
	yes := func(names ...string) (votes []access.Vote) {
		for _, n := range names {
			votes = append(votes, access.Vote{Voter: id(n), Decision: access.Approve})
		}
		return votes
	}
	people := map[access.PrincipalID]access.Subject{}
	for _, s := range []access.Subject{person("bob", "red"), person("cid", "red"), person("dee", "blue"), person("eve", "blue")} {
		people[s.ID] = s
	}
	unknown := person("gus", "red")
	unknown.GroupsKnown = false

	for _, tt := range []struct {
		name  string
		voter access.Subject
		says  access.VoteDecision
		votes []access.Vote
		want  *access.Error
	}{
		{"FirstStage", person("bob", "red"), access.Approve, nil, nil},
		{"SecondStageAfterFirst", person("dee", "blue"), access.Approve, yes("bob"), nil},
		{"DenyBeforeItsStageOpens", person("dee", "blue"), access.Deny, nil, nil},
		{"DenyWhereAllIsFull", person("cid", "red"), access.Deny, yes("bob"), nil},
		{"Requester", person("ann", "red"), access.Approve, nil, &access.Error{
			Code: access.SelfApproval, Message: "Nobody decides on a request of their own. Someone else has to; you can withdraw it.",
		}},
		{"RequesterDenies", person("ann", "red"), access.Deny, nil, &access.Error{
			Code: access.SelfApproval, Message: "Nobody decides on a request of their own. Someone else has to; you can withdraw it.",
		}},
		{"Stranger", person("fay", "green"), access.Deny, nil, &access.Error{
			Code: access.NotAnApprover, Message: "No stage of this request names you or a group of yours as an approver.",
		}},
		{"GroupsUnknown", unknown, access.Approve, nil, &access.Error{
			Code: access.NotAnApprover, Message: "Your groups are unknown, so you count as nobody's approver. Sign in again; if that does not help, the identity provider sends no groups.",
		}},
		{"TooEarly", person("dee", "blue"), access.Approve, nil, &access.Error{
			Code: access.StateConflict, Current: "pending", Message: "Stage security opens after stage owner has its approvals. Vote then.",
		}},
		{"SeatTaken", person("cid", "red"), access.Approve, yes("bob"), &access.Error{
			Code: access.StateConflict, Current: "pending", Message: "This request already has all it needs from the people you could stand for. It still waits for 1 of group blue.",
		}},
		{"Twice", person("bob", "red"), access.Deny, yes("bob"), &access.Error{
			Code: access.StateConflict, Current: "pending", Message: "You have voted on this request already, and a vote stays as it is.",
		}},
		{"AllFull", person("cid", "red"), access.Deny, yes("bob", "dee"), &access.Error{
			Code: access.StateConflict, Current: "approved", Message: "This request already has all the approvals it needs.",
		}},
		{"Denied", person("cid", "red"), access.Approve, []access.Vote{{Voter: id("dee"), Decision: access.Deny}}, &access.Error{
			Code: access.StateConflict, Current: "denied", Message: "This request was denied already.",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, engine.CanVote(d, id(requester), tt.votes, people, tt.voter, tt.says))
		})
	}
}

// One who could stand for either stage makes room when someone comes who can
// only stand for the first.
func TestPeopleMoveToLaterStages(t *testing.T) {
	t.Parallel()
	both := access.Subject{ID: id("bob"), GroupsKnown: true, Groups: []string{"red", "blue"}}
	first := access.Subject{ID: id("cid"), GroupsKnown: true, Groups: []string{"red"}}
	d := access.Decision{Approvals: []access.Track{{Contract: "c", DeniesNeeded: 1, Stages: []access.Stage{
		{Name: "owner", Seats: []access.Seat{{From: "group red", Count: 1, Who: []access.Who{{Group: "red"}}}}},
		{Name: "security", Seats: []access.Seat{{From: "group blue", Count: 1, Who: []access.Who{{Group: "blue"}}}}},
	}}}}
	votes := []access.Vote{{Voter: both.ID, Decision: access.Approve}}
	people := map[access.PrincipalID]access.Subject{both.ID: both, first.ID: first}

	require.Nil(t, engine.CanVote(d, id(requester), votes, people, first, access.Approve))
	votes = append(votes, access.Vote{Voter: first.ID, Decision: access.Approve})

	require.Equal(t, engine.Tally{State: engine.Filled, Tracks: []engine.TrackTally{{OpenStage: -1, Seats: []engine.SeatTally{
		{Stage: 0, Filled: []access.PrincipalID{first.ID}},
		{Stage: 1, Filled: []access.PrincipalID{both.ID}},
	}}}}, engine.Count(d, id(requester), votes, people))
}
