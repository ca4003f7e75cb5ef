package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

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
