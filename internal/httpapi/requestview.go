package httpapi

import (
	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/broker"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

// request shows a request.
func (s operations) request(v broker.RequestView) api.Request {
	named := func(id access.PrincipalID) api.Person { return person(id, v.People[id], "") }
	r := api.Request{
		ID: v.ID, Number: v.Number, State: v.State, StateReason: v.StateReason,
		Requester:       subject(v.Requester),
		DurationSeconds: int64(v.Ask.Duration), Duration: v.Ask.Duration.String(),
		Reason: v.Ask.Reason, Ticket: v.Ask.Ticket, StartAt: v.Ask.StartAt, Contract: v.Ask.Contract, Extends: v.Ask.Extends,
		RequestHash: v.Hash, Version: v.Version, CreatedAt: v.CreatedAt, DecideBy: v.DecideBy, DecidedAt: v.DecidedAt,
		Decision:  v.Decision,
		Approvals: approvals(v, named),
		Votes:     each(v.Votes, func(x broker.VoteView) api.Vote { return vote(x, v.ReasonHidden) }),
		Grants: each(v.Grants, func(g access.Grant) api.Grant {
			return s.bareGrant(g, v.Requester)
		}),
		Can: cans(v.Can),
	}
	if v.ReasonHidden {
		r.Reason = ""
	}
	for i, item := range v.Ask.Items {
		shown := api.RequestItem{Role: item.Role, Resource: item.Resource}
		if i < len(v.Decision.Items) && v.Decision.Items[i].Offer != nil {
			shown.Contract = v.Decision.Items[i].Offer.Contract
		}
		r.Items = append(r.Items, shown)
	}
	return r
}

func vote(v broker.VoteView, hidden bool) api.Vote {
	shown := api.Vote{
		ID: v.ID, Voter: person(v.Voter, v.VoterName, ""), Decision: v.Decision, Reason: v.Reason, CastAt: v.CastAt, Counts: v.Counts,
	}
	if hidden {
		shown.Reason = ""
	}
	return shown
}

// approvals joins the seats that the decision asks for with the count of
// votes and with who could fill what is open.
func approvals(v broker.RequestView, named func(access.PrincipalID) api.Person) []api.Approval {
	var out []api.Approval
	for t, track := range v.Decision.Approvals {
		shown := api.Approval{Contract: track.Contract, Items: list(track.Items), Stages: []api.ApprovalStage{}}
		var count engine.TrackTally
		if t < len(v.Tally.Tracks) {
			count = v.Tally.Tracks[t]
		} else {
			count.OpenStage = -1
		}
		for i, stage := range track.Stages {
			st := api.ApprovalStage{Name: stage.Name, Open: v.State == access.Pending && i == count.OpenStage, Seats: []api.ApprovalSeat{}}
			for k, seat := range stage.Seats {
				st.Seats = append(st.Seats, approvalSeat(v, seat, count, [3]int{t, i, k}, named))
			}
			shown.Stages = append(shown.Stages, st)
		}
		out = append(out, shown)
	}
	return out
}

func approvalSeat(v broker.RequestView, seat access.Seat, count engine.TrackTally, at [3]int, named func(access.PrincipalID) api.Person) api.ApprovalSeat {
	shown := api.ApprovalSeat{From: seat.From, Count: seat.Count, Missing: seat.Count, Filled: []api.Person{}}
	for _, c := range count.Seats {
		if c.Stage == at[1] && c.Seat == at[2] {
			shown.Missing, shown.Filled = c.Missing, each(c.Filled, named)
		}
	}
	for _, o := range v.Open {
		if [3]int{o.Track, o.Stage, o.Seat} == at {
			shown.Eligible = each(o.Eligible, named)
		}
	}
	return shown
}
