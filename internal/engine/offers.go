package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// What a contract that does not say gets.
const (
	DefaultStartWithin  access.Seconds = 24 * 60 * 60
	DefaultDecideWithin access.Seconds = 8 * 60 * 60
)

// failure is a reason why a contract makes no offer.
type failure struct {
	access.Reason
	mine bool // the contract is for the subject, who may know of it
}

// offers gives what the contracts offer for the item, best first, and why the
// others offer nothing.
func (e *evaluation) offers(gs []*contract.Guardrail) (offers []access.Offer, failures []failure) {
	cs := e.ix.Contracts(e.item.Role, e.item.Resource)
	exclusive := false
	for _, c := range cs {
		exclusive = exclusive || c.Spec.Exclusive && inForce(c, e.f.Now)
	}
	for _, c := range cs {
		rule := "Contract/" + c.Metadata.Name
		reason, standing := e.candidate(c, exclusive)
		t := e.noteSubjects(rule, "/spec/subjects", c.Spec.Subjects)
		switch {
		case !standing:
			failures = append(failures, failure{reason, t == yes && reason.Code == access.ContractExpired})
			continue
		case t != yes:
			failures = append(failures, failure{e.notFor(c, t), false})
			continue
		}
		o, reasons := e.offer(c, gs)
		if len(reasons) == 0 {
			offers = append(offers, o)
		}
		for _, r := range reasons {
			failures = append(failures, failure{r, true})
		}
	}
	if len(cs) == 0 {
		e.note("Contract", "/spec/permits", access.Fail, e.item.Role+" on "+e.item.Resource, "no contract has a permit for it")
		failures = append(failures, failure{Reason: access.Reason{
			Code: access.NoContract, Item: e.at,
			Message: fmt.Sprintf("No contract permits %s on %s.", e.item.Role, e.item.Resource),
			Fix:     "See what you can ask for: ramp catalog. Or ask the owners of the resource for a contract.",
		}})
	}
	slices.SortStableFunc(offers, func(a, b access.Offer) int {
		return cmp.Or(
			cmp.Compare(b.Precedence, a.Precedence),
			cmp.Compare(seats(a.Stages), seats(b.Stages)),
			cmp.Compare(b.MaxDuration, a.MaxDuration),
			cmp.Compare(a.Contract, b.Contract),
		)
	})
	return offers, failures
}

// candidate says whether the contract is in force and not set aside, before
// its subjects are looked at.
func (e *evaluation) candidate(c *contract.Contract, exclusive bool) (access.Reason, bool) {
	name, rule, now := c.Metadata.Name, "Contract/"+c.Metadata.Name, e.f.Now
	r := access.Reason{Code: access.NoContract, Item: e.at, Contract: name, Fix: "Ask the owners of the contract."}
	from, until := c.Spec.Validity.NotBefore, c.Spec.Validity.NotAfter
	e.note(rule, fmt.Sprintf("/spec/permits/%d", e.permit(c)), access.Pass, "a permit for the role on the resource", e.item.Role+" on "+e.item.Resource)
	switch state := cmp.Or(c.Spec.State, "active"); {
	case state != "active":
		r.Message = fmt.Sprintf("Contract %s is %s.", name, state)
		if state == "suspended" {
			r.Code = access.ContractExpired
		}
		e.noteFix(rule, "/spec/state", access.Fail, "active", state, r.Fix)
		return r, false
	case now.Before(from):
		r.Code, r.Message = access.ContractExpired, fmt.Sprintf("Contract %s is not valid before %s.", name, stamp(from))
		r.Fix = "Ask again from then on."
		e.noteFix(rule, "/spec/validity/notBefore", access.Fail, stamp(from), stamp(now), r.Fix)
		return r, false
	case !until.IsZero() && !now.Before(until):
		r.Code, r.Message = access.ContractExpired, fmt.Sprintf("Contract %s was valid until %s.", name, stamp(until))
		r.Fix = "Ask the owners of the contract to renew it."
		e.noteFix(rule, "/spec/validity/notAfter", access.Fail, stamp(until), stamp(now), r.Fix)
		return r, false
	case exclusive && !c.Spec.Exclusive:
		r.Message = fmt.Sprintf("Contract %s is set aside: an exclusive contract governs %s on %s.", name, e.item.Role, e.item.Resource)
		e.note(rule, exclusivePath, access.Fail, "exclusive, as another contract here is", "not exclusive")
		return r, false
	case e.f.Extends != nil && name != e.f.Extends.Contract:
		r.Message = fmt.Sprintf("Contract %s is not the one of the grant: an extension stays with %s.", name, e.f.Extends.Contract)
		r.Fix = "Ask anew instead of extending."
		e.note(rule, "/metadata/name", access.Fail, e.f.Extends.Contract, name)
		return r, false
	}
	e.note(rule, "/spec/state", access.Pass, "active and valid", "it is")
	return access.Reason{}, true
}

const exclusivePath = "/spec/exclusive"

func inForce(c *contract.Contract, now time.Time) bool {
	v := c.Spec.Validity
	return cmp.Or(c.Spec.State, "active") == "active" && !now.Before(v.NotBefore) && (v.NotAfter.IsZero() || now.Before(v.NotAfter))
}

// permit gives the index of the first permit that covers the item.
func (e *evaluation) permit(c *contract.Contract) int {
	res, _ := e.ix.Resource(e.item.Resource)
	return slices.IndexFunc(c.Spec.Permits, func(p contract.Permit) bool {
		return slices.ContainsFunc(p.Roles, func(r string) bool { return contract.MatchRole(r, e.item.Role) }) &&
			slices.ContainsFunc(p.Resources, func(s contract.Selector) bool { return s.Matches(res) })
	})
}

// notFor is the refusal of a contract whose subjects do not match.
func (e *evaluation) notFor(c *contract.Contract, t truth) access.Reason {
	of := c.Spec.Subjects
	r := access.Reason{
		Code: access.NotEligible, Item: e.at, Contract: c.Metadata.Name,
		Message: fmt.Sprintf("Contract %s is not for this subject: it is for %s", c.Metadata.Name, atomsText(of.Any)),
		Fix:     "Someone it is for has to ask, or its owners have to change it.",
	}
	if len(of.All) > 0 {
		r.Message += ", who are also " + atomsText(of.All)
	}
	if len(of.None) > 0 {
		r.Message += ", but not for " + atomsText(of.None)
	}
	r.Message += "."
	if t == unknown {
		r.Code = access.FactUnavailable
		r.Message += " The subject's groups are unknown, which counts as not belonging."
		r.Fix = groupsFix
	}
	return r
}

func seats(stages []access.Stage) int {
	n := 0
	for _, s := range stages {
		for _, seat := range s.Seats {
			n += seat.Count
		}
	}
	return n
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
