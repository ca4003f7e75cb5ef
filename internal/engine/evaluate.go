package engine

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// Evaluate decides an ask. Each item is decided on its own, apart from two
// things: earlier items of the same ask count towards the limits of the
// contract that was chosen for them, and the stages of all items together
// must be satisfiable, since one person fills one seat of a request. One
// refused item refuses the ask.
func Evaluate(ix *contract.Index, ask access.Ask, requestHash access.Digest, f Facts) access.Decision {
	return evaluate(ix, ask, requestHash, f, false)
}

// Explain answers a question: it decides as Evaluate does, but a reason and a
// ticket that are not given yet are no faults. The trace says what is wanted.
func Explain(ix *contract.Index, ask access.Ask, f Facts) access.Decision {
	return evaluate(ix, ask, "", f, true)
}

func evaluate(ix *contract.Index, ask access.Ask, requestHash access.Digest, f Facts, question bool) access.Decision {
	d := access.Decision{
		Outcome:        access.Permit,
		PolicyRevision: ix.Revision,
		RequestHash:    requestHash,
		FactsDigest:    f.Digest(),
		Items:          make([]access.ItemDecision, 0, len(ask.Items)),
	}
	chosen := map[string]int{}
	for at, item := range ask.Items {
		e := evaluation{ix: ix, ask: ask, f: f, at: at, item: item, question: question, chosen: chosen, trace: []access.Clause{}}
		it := e.decide()
		d.Items = append(d.Items, it)
		d.Reasons = append(d.Reasons, it.Reasons...)
		if it.Offer != nil {
			chosen[it.Offer.Contract]++
		}
	}
	if len(ask.Items) == 0 {
		d.Reasons = append(d.Reasons, access.Reason{Code: access.NoContract, Message: "Nothing was asked for.", Fix: "Name a role and a resource."})
	}
	if len(d.Reasons) == 0 {
		d.Approvals = tracks(d.Items)
		d.Reasons = together(d, f)
	}
	if len(d.Reasons) > 0 {
		d.Outcome, d.Approvals = access.Refuse, nil
		return d
	}
	if len(d.Approvals) > 0 {
		d.Outcome = access.Review
	}
	for _, it := range d.Items {
		if d.DecideWithin == 0 || it.Offer.DecideWithin < d.DecideWithin {
			d.DecideWithin = it.Offer.DecideWithin
		}
	}
	return d
}

const (
	subjectRule = "Subject"
	groupsFix   = "Sign in again, so that your groups are known. If that does not help, the identity provider sends none."
)

// evaluation is the decision of one item in the making.
type evaluation struct {
	ix   *contract.Index
	ask  access.Ask
	f    Facts
	at   int // index of the item
	item access.Item
	// question: what the requester has yet to write is not missed.
	question bool
	chosen   map[string]int // how many earlier items each contract was chosen for
	trace    []access.Clause
}

func (e *evaluation) note(rule, path string, v access.Verdict, expected, actual string) {
	e.noteFix(rule, path, v, expected, actual, "")
}

func (e *evaluation) noteFix(rule, path string, v access.Verdict, expected, actual, fix string) {
	e.trace = append(e.trace, access.Clause{Rule: rule, Path: path, Expected: expected, Actual: actual, Verdict: v, Fix: fix})
}

// decide follows the eight steps of the package comment.
func (e *evaluation) decide() access.ItemDecision {
	if !e.f.Subject.GroupsKnown {
		e.noteFix(subjectRule, "/groups", access.Unknown, "known groups", "unknown: no in permits, yes in prohibitions and requirements", groupsFix)
	}
	if refusal, ok := e.catalogued(); !ok {
		return e.refused(refusal)
	}
	if x := e.f.Extends; (x != nil) != !e.ask.Extends.IsZero() || x != nil && (x.Grant != e.ask.Extends || len(e.ask.Items) != 1) {
		return e.refused(access.Reason{
			Code: access.FactUnavailable, Item: e.at,
			Message: "An extension is about one grant and its one item, and this is not what is known of it.",
			Fix:     "Ask anew instead of extending.",
		})
	}
	gs, denials := e.guardrails()
	offers, failures := e.offers(gs)
	if len(denials) > 0 {
		return e.refused(denials...)
	}
	offer, refusals := e.choose(offers, failures)
	if len(refusals) > 0 {
		return e.refused(refusals...)
	}
	entitlements, refusals := e.entitlements()
	if len(refusals) > 0 {
		return e.refused(refusals...)
	}
	it := access.ItemDecision{Item: e.item, Outcome: access.Permit, Offer: &offer, Entitlements: entitlements, Trace: e.trace}
	if len(offer.Stages) > 0 {
		it.Outcome = access.Review
	}
	for _, o := range offers {
		if o.Contract != offer.Contract {
			it.Others = append(it.Others, o.Contract)
		}
	}
	return it
}

func (e *evaluation) refused(reasons ...access.Reason) access.ItemDecision {
	return access.ItemDecision{Item: e.item, Outcome: access.Refuse, Reasons: reasons, Trace: e.trace}
}

// catalogued says whether role and resource exist and go together.
func (e *evaluation) catalogued() (access.Reason, bool) {
	r := access.Reason{Item: e.at, Fix: "Look the exact name up in the catalogue: ramp catalog."}
	if _, ok := e.ix.Resource(e.item.Resource); !ok {
		e.noteFix("Resource/"+e.item.Resource, "", access.Fail, "in the catalogue", "missing", r.Fix)
		r.Code, r.Message = access.ResourceUnknown, fmt.Sprintf("There is no resource %s in the catalogue.", e.item.Resource)
		return r, false
	}
	if _, ok := e.ix.Role(e.item.Role); !ok {
		e.noteFix("Role/"+e.item.Role, "", access.Fail, "in the catalogue", "missing", r.Fix)
		r.Code, r.Message = access.NoContract, fmt.Sprintf("There is no role %s in the catalogue.", e.item.Role)
		return r, false
	}
	return access.Reason{}, true
}

// choose takes the best offer, or the one that the ask names.
func (e *evaluation) choose(offers []access.Offer, failures []failure) (access.Offer, []access.Reason) {
	var all, mine, named []access.Reason // mine are of contracts that are for the subject
	for _, f := range failures {
		all = append(all, f.Reason)
		if f.mine {
			mine = append(mine, f.Reason)
			if f.Contract == e.ask.Contract {
				named = append(named, f.Reason)
			}
		}
	}
	switch {
	case len(offers) == 0 && len(mine) == 0:
		return access.Offer{}, all
	case e.ask.Contract == "" && len(offers) == 0:
		return access.Offer{}, mine
	case e.ask.Contract == "":
		return offers[0], nil
	}
	names := make([]string, len(offers))
	for i, o := range offers {
		if o.Contract == e.ask.Contract {
			return o, nil
		}
		names[i] = o.Contract
	}
	if len(named) > 0 {
		return access.Offer{}, named
	}
	r := access.Reason{
		Code: access.ContractNotAmongThem, Item: e.at,
		Message: fmt.Sprintf("Contract %s makes no offer for %s on %s.", e.ask.Contract, e.item.Role, e.item.Resource),
		Fix:     "Leave the contract out.",
	}
	if len(names) > 0 {
		r.Fix = "Leave the contract out, or name one of: " + strings.Join(names, ", ") + "."
	}
	return access.Offer{}, []access.Reason{r}
}

// entitlements says what the role means on the target, for the subject.
func (e *evaluation) entitlements() ([]access.EntitlementKey, []access.Reason) {
	rule := "Role/" + e.item.Role
	list, err := e.ix.Entitlements(e.item.Role, e.item.Resource)
	if err != nil {
		e.note(rule, "/spec/entitlements", access.Fail, "a permission for the resource", err.Error())
		return nil, []access.Reason{{
			Code: access.FactUnavailable, Item: e.at,
			Message: fmt.Sprintf("Role %s has no permission to give on %s: %s.", e.item.Role, e.item.Resource, err),
			Fix:     "Ask the owners of the policy to mend the role.",
		}}
	}
	keys := make([]access.EntitlementKey, 0, len(list))
	for _, x := range list {
		account := e.f.Accounts[x.Connector]
		if account == "" {
			fix := fmt.Sprintf("Ask the operator how your account on %s is found, or to add one.", x.Connector)
			e.noteFix(rule, "/spec/entitlements", access.Unknown, "an account on "+x.Connector, "none known", fix)
			return nil, []access.Reason{{
				Code: access.FactUnavailable, Item: e.at, Fix: fix,
				Message: fmt.Sprintf("%s is on %s, where no account is known for you.", e.item.Resource, x.Connector),
			}}
		}
		key := access.EntitlementKey{Connector: x.Connector, Account: account, Permission: x.Permission}
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	e.note(rule, "/spec/entitlements", access.Pass, "an account on the target", count(len(keys), "permission"))
	return keys, nil
}

// tracks merges the stages of the items: equal stages of one contract are
// asked once.
func tracks(items []access.ItemDecision) []access.Track {
	var out []access.Track
next:
	for i, it := range items {
		o := it.Offer
		if len(o.Stages) == 0 {
			continue
		}
		for t := range out {
			if out[t].Contract == o.Contract && reflect.DeepEqual(out[t].Stages, o.Stages) {
				out[t].Items = append(out[t].Items, i)
				continue next
			}
		}
		out = append(out, access.Track{Contract: o.Contract, Items: []int{i}, DeniesNeeded: o.DeniesNeeded, Stages: o.Stages})
	}
	return out
}

// together refuses an ask whose items could each be approved, but not all by
// different people.
func together(d access.Decision, f Facts) []access.Reason {
	p := unfillable(d.Approvals, f.Subject.ID, f.People)
	if p == nil {
		return nil
	}
	track := d.Approvals[p.track]
	return []access.Reason{{
		Code: access.UnsatisfiableQuorum, Item: track.Items[0], Contract: track.Contract,
		Message: fmt.Sprintf("Together the items need more people than there are: one person fills one seat of a request, and nobody is left for %d of %s in stage %s of contract %s.",
			p.missing(), p.want.From, track.Stages[p.stage].Name, track.Contract),
		Fix: "Ask for the items in separate requests.",
	}}
}

// SeatWho gives those named by every seat that a decision about the ask could
// ask for: whose people the broker must load into Facts.People.
func SeatWho(ix *contract.Index, ask access.Ask) []access.Who {
	var out []access.Who
	add := func(seats []contract.Seat) {
		for _, s := range seats {
			out = append(out, ix.SeatWho(s)...)
		}
	}
	for _, item := range ask.Items {
		for _, c := range ix.Contracts(item.Role, item.Resource) {
			for _, s := range c.Spec.Approvals.Stages {
				if applies(s, item.Role) {
					add(s.Seats)
				}
			}
		}
		for _, g := range ix.Guardrails(item.Role, item.Resource) {
			if g.Spec.Require != nil {
				add(g.Spec.Require.Seats)
			}
		}
	}
	out = slices.DeleteFunc(out, func(w access.Who) bool { return w == access.Who{} })
	slices.SortFunc(out, func(a, b access.Who) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Group, b.Group))
	})
	return slices.Compact(out)
}

// applies says whether a stage is asked for with the role.
func applies(s contract.Stage, role string) bool {
	return s.When == nil || slices.ContainsFunc(s.When.Roles, func(p string) bool { return contract.MatchRole(p, role) })
}
