package engine

import (
	"slices"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// Standing is a contract's offer to a subject before anything has been asked
// for: what an ask that meets the contract's conditions would get.
type Standing struct {
	Contract *contract.Contract
	// Offer is for the longest time; its Stages are those that are asked when
	// no auto rule holds.
	Offer access.Offer
	// Auto names the rule by which the longest time is granted without the
	// contract's stages, and AutoMax is how long that is.
	Auto    string
	AutoMax access.Seconds
	// Ticket says that the ask needs one.
	Ticket bool
}

// Standings gives the standing offers of all contracts for a role on a
// resource, by contract name; none if a guardrail denies. It looks at
// Facts.Now, Facts.Subject and nothing else of the facts, so an ask may still
// be refused for what it says, for limits or for want of people.
func Standings(ix *contract.Index, item access.Item, f Facts) []Standing {
	e := evaluation{ix: ix, f: Facts{Now: f.Now, Subject: f.Subject}, item: item}
	gs, denials := e.guardrails()
	if len(denials) > 0 {
		return nil
	}
	cs := ix.Contracts(item.Role, item.Resource)
	exclusive := slices.ContainsFunc(cs, func(c *contract.Contract) bool { return c.Spec.Exclusive && inForce(c, f.Now) })
	var out []Standing
	for _, c := range cs {
		if !inForce(c, f.Now) || exclusive && !c.Spec.Exclusive || subjectsCover(ix, c.Spec.Subjects, f.Subject) != yes {
			continue
		}
		e.trace = nil
		e.ask.Duration = c.Spec.Time.Duration.Max.Seconds()
		o, _ := e.offer(c, gs)
		if o.MinDuration > o.MaxDuration {
			continue // a guardrail leaves nothing of it
		}
		s := Standing{Contract: c, Ticket: ticketNeeded(c, gs)}
		s.Auto, s.AutoMax = longestAuto(ix, c, item.Role, f.Subject, o.MaxDuration)
		e.ask.Duration = o.MaxDuration // after the guardrails
		s.Offer, _ = e.offer(c, gs)
		out = append(out, s)
	}
	return out
}

// longestAuto gives the auto rule for the role and subject that reaches
// furthest, the first of several.
func longestAuto(ix *contract.Index, c *contract.Contract, role string, s access.Subject, most access.Seconds) (name string, longest access.Seconds) {
	for _, rule := range c.Spec.Approvals.Auto {
		if rule.Subjects != nil && subjectsCover(ix, *rule.Subjects, s) != yes || !rule.Covers(role) {
			continue
		}
		reach := most
		if rule.MaxDuration != 0 {
			reach = min(most, rule.MaxDuration.Seconds())
		}
		if reach > longest {
			name, longest = rule.Name, reach
		}
	}
	return name, longest
}

func ticketNeeded(c *contract.Contract, gs []*contract.Guardrail) bool {
	if j := c.Spec.Justification; j != nil && j.Ticket != nil && j.Ticket.Required {
		return true
	}
	return slices.ContainsFunc(gs, func(g *contract.Guardrail) bool { return g.Spec.Require != nil && g.Spec.Require.Ticket })
}

// Eligible says whether the document is about the subject, for a permit:
// what is unknown counts as no.
func Eligible(ix *contract.Index, of contract.Subjects, s access.Subject) bool {
	return subjectsCover(ix, of, s) == yes
}
