package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// guardrails finds those that match the item, and the refusals of those that
// deny it.
func (e *evaluation) guardrails() (matching []*contract.Guardrail, denials []access.Reason) {
	for _, g := range e.ix.Guardrails(e.item.Role, e.item.Resource) {
		rule := "Guardrail/" + g.Metadata.Name
		t := yes
		if of := g.Spec.Match.Subjects; of != nil {
			at := len(e.trace)
			t = e.noteSubjects(rule, "/spec/match/subjects", *of)
			if t == no { // it is about somebody else, which is no fault
				for i := range e.trace[at:] {
					e.trace[at+i].Verdict = access.Skipped
				}
				continue
			}
		} else {
			e.note(rule, "/spec/match", access.Pass, "everyone", "applies")
		}
		matching = append(matching, g)
		if g.Spec.Require != nil {
			e.note(rule, "/spec/require", access.Pass, e.requirements(g), "added to every offer")
		}
		if g.Spec.Deny == nil {
			continue
		}
		r := access.Reason{
			Code: access.GuardrailDeny, Item: e.at,
			Message: fmt.Sprintf("Guardrail %s forbids this: %s.", g.Metadata.Name, strings.TrimRight(g.Spec.Deny.Reason, ". ")),
			Fix:     "No contract can lift a guardrail. Ask for another role or resource, or ask the owners of the guardrail.",
		}
		if t == unknown {
			r.Message += " Your groups are unknown, which counts as a match."
			r.Fix = groupsFix
		}
		e.noteFix(rule, "/spec/deny", access.Fail, "not to match", g.Spec.Deny.Reason, r.Fix)
		denials = append(denials, r)
	}
	return matching, denials
}

// requirements says what a guardrail adds to offers.
func (e *evaluation) requirements(g *contract.Guardrail) string {
	var texts []string
	r := g.Spec.Require
	if r.MaxDuration != 0 {
		texts = append(texts, "at most "+r.MaxDuration.String())
	}
	if r.Ticket {
		texts = append(texts, "a ticket")
	}
	for _, s := range r.Seats {
		seat := e.seat(s)
		texts = append(texts, fmt.Sprintf("%d of %s", seat.Count, seat.From))
	}
	return strings.Join(texts, ", ")
}

// floorStage is the stage of the seats that the guardrails require and the
// stages do not have yet. See the package comment.
func (e *evaluation) floorStage(gs []*contract.Guardrail, own []contract.Stage) (access.Stage, bool) {
	type from = struct {
		Set   string `json:"set,omitempty"`
		Group string `json:"group,omitempty"`
		User  string `json:"user,omitempty"`
	}
	have, need := map[from]int{}, map[from]int{}
	for _, s := range own {
		for _, seat := range s.Seats {
			have[seat.From] += max(1, seat.Count)
		}
	}
	var order []from
	var names []string
	for _, g := range gs {
		if g.Spec.Require == nil {
			continue
		}
		mine := map[from]int{} // two seats of one guardrail from one set add up
		for _, seat := range g.Spec.Require.Seats {
			mine[seat.From] += max(1, seat.Count)
			if mine[seat.From] > have[seat.From] && !slices.Contains(names, g.Metadata.Name) {
				names = append(names, g.Metadata.Name)
			}
			need[seat.From] = max(need[seat.From], mine[seat.From])
			if !slices.Contains(order, seat.From) {
				order = append(order, seat.From)
			}
		}
	}
	slices.SortFunc(order, func(a, b from) int {
		return cmp.Or(cmp.Compare(a.Set, b.Set), cmp.Compare(a.Group, b.Group), cmp.Compare(a.User, b.User))
	})
	stage := access.Stage{Name: strings.Join(names, "+")}
	for _, f := range order {
		if lack := need[f] - have[f]; lack > 0 {
			stage.Seats = append(stage.Seats, e.seat(contract.Seat{From: f, Count: lack}))
		}
	}
	return stage, len(stage.Seats) > 0
}

func (e *evaluation) seat(s contract.Seat) access.Seat {
	from := s.From.Set
	switch {
	case s.From.Group != "":
		from = "group " + s.From.Group
	case s.From.User != "":
		from = "user " + s.From.User
	}
	return access.Seat{From: from, Count: max(1, s.Count), Who: e.ix.SeatWho(s)}
}
