package engine

import (
	"fmt"
	"slices"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// CanVote says why the voter may not say v now, or nil. People holds what is
// known now of those who voted before. An approval is taken if it fills one
// more seat of the stages that are open; a denial from everyone whom any
// stage names.
func CanVote(d access.Decision, requester access.PrincipalID, votes []access.Vote, people map[access.PrincipalID]access.Subject, voter access.Subject, v access.VoteDecision) *access.Error {
	named := slices.ContainsFunc(d.Approvals, func(t access.Track) bool { return inTrack(t, voter) })
	switch {
	case voter.ID == requester:
		return &access.Error{Code: access.SelfApproval, Message: "Nobody decides on a request of their own. Someone else has to; you can withdraw it."}
	case !named && !voter.GroupsKnown:
		return &access.Error{Code: access.NotAnApprover, Message: "Your groups are unknown, so you count as nobody's approver. Sign in again; if that does not help, the identity provider sends no groups."}
	case !named:
		return &access.Error{Code: access.NotAnApprover, Message: "No stage of this request names you or a group of yours as an approver."}
	}
	for _, vote := range votes {
		if vote.Voter == voter.ID {
			return &access.Error{Code: access.StateConflict, Message: "You have voted on this request already, and a vote stays as it is.", Current: string(access.Pending)}
		}
	}
	tally := Count(d, requester, votes, people)
	switch {
	case tally.State == Denied:
		return &access.Error{Code: access.StateConflict, Message: "This request was denied already.", Current: string(access.Denied)}
	case tally.State == Filled:
		return &access.Error{Code: access.StateConflict, Message: "This request already has all the approvals it needs.", Current: string(access.Approved)}
	case v == access.Deny:
		return nil
	}

	before, _ := sides(requester, votes, people)
	after := others(append(slices.Clone(before), voter), requester)
	open := func(track, stage int) bool {
		at := tally.Tracks[track].OpenStage
		return at < 0 || stage <= at
	}
	switch {
	case seated(d.Approvals, after, open) > seated(d.Approvals, before, open):
		return nil
	case seated(d.Approvals, after, every) > seated(d.Approvals, before, every):
		return &access.Error{Code: access.StateConflict, Message: waitText(d, tally, voter), Current: string(access.Pending)}
	default:
		return &access.Error{
			Code:    access.StateConflict,
			Message: "This request already has all it needs from the people you could stand for. It still waits for " + waitsFor(d, tally) + ".",
			Current: string(access.Pending),
		}
	}
}

func seated(tracks []access.Track, people []access.Subject, include func(track, stage int) bool) int {
	n := 0
	for _, p := range fill(tracks, people, include) {
		n += p.taken
	}
	return n
}

// waitText says which stage the voter's seat belongs to and which one is
// before it.
func waitText(d access.Decision, tally Tally, voter access.Subject) string {
	for t, tt := range tally.Tracks {
		for _, st := range tt.Seats {
			stages := d.Approvals[t].Stages
			if st.Missing > 0 && st.Stage > tt.OpenStage && covers(stages[st.Stage].Seats[st.Seat], voter) {
				return fmt.Sprintf("Stage %s opens after stage %s has its approvals. Vote then.", stages[st.Stage].Name, stages[tt.OpenStage].Name)
			}
		}
	}
	return "The stage that you could help opens after " + waitsFor(d, tally) + "."
}

// waitsFor names the seats that are open and empty.
func waitsFor(d access.Decision, tally Tally) string {
	text := ""
	for t, tt := range tally.Tracks {
		for _, st := range tt.Seats {
			if st.Missing == 0 || st.Stage != tt.OpenStage {
				continue
			}
			if text != "" {
				text += " and "
			}
			text += fmt.Sprintf("%d of %s", st.Missing, d.Approvals[t].Stages[st.Stage].Seats[st.Seat].From)
		}
	}
	return text
}
