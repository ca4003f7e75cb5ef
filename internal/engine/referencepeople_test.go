package engine_test

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// refSeatable tries every assignment of different people to the seats.
func refSeatable(w world, seats []string, taken []access.PrincipalID) bool {
	if len(seats) == 0 {
		return true
	}
	for _, p := range w.facts.People {
		if p.ID != w.facts.Subject.ID && !slices.Contains(taken, p.ID) && refFrom(w, seats[0], p) &&
			refSeatable(w, seats[1:], append(slices.Clone(taken), p.ID)) {
			return true
		}
	}
	return false
}

func refFrom(w world, from string, p access.Subject) bool {
	f := strings.Split(from, "/")
	is := func(a contract.Atom) bool {
		return a.User != "" && id(a.User) == p.ID || a.Group != "" && p.GroupsKnown && slices.Contains(p.Groups, a.Group)
	}
	if f[0] == "" {
		return is(contract.Atom{Group: f[1], User: f[2]})
	}
	i := slices.IndexFunc(w.set.Approvers, func(a contract.Approvers) bool { return a.Metadata.Name == f[0] })
	return slices.ContainsFunc(w.set.Approvers[i].Spec.Any, is)
}

// line writes an offer of the engine the way reference does.
func line(o access.Offer) string {
	var stages [][]string
	for _, st := range o.Stages {
		var stage []string
		for _, seat := range st.Seats {
			for range seat.Count {
				stage = append(stage, reFrom(seat.From))
			}
		}
		if strings.HasPrefix(st.Name, "g") { // the floor, whose seats have an order of their own
			sort.Strings(stage)
		}
		stages = append(stages, stage)
	}
	return fmt.Sprintf("%s %d of %d..%d decide %d start %s denies %d auto %v %v by %v", o.Contract, o.Duration, o.MinDuration, o.MaxDuration, o.DecideWithin,
		o.StartWithin.Duration(), o.DeniesNeeded, o.Auto != "", stages, o.Guardrails)
}

// reFrom writes where a seat is from as the reference does.
func reFrom(from string) string {
	if g, ok := strings.CutPrefix(from, "group "); ok {
		return "/" + g + "/"
	}
	if u, ok := strings.CutPrefix(from, "user "); ok {
		return "//" + u
	}
	return from + "//"
}
