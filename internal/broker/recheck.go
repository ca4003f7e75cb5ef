package broker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// recheck says why items of a decided request no longer stand, or "" when
// they do. The permits are those of the revision that decided; the guardrails
// of the policy in force now, suspended and removed contracts and current
// facts count as well, so that what is later can only tighten (I6). A nil
// items means all of them. It reads facts with b.facts; adjust may change
// them, for a grant that must not stand in its own way.
func (b *Broker) recheck(ctx context.Context, tx *store.Tx, now *contract.Index, req access.Request, d access.Decision, items []int, adjust func(engine.Facts) engine.Facts) (why string, err error) {
	people, err := peopleByID(ctx, tx, req.Requester)
	if err != nil {
		return "", err
	}
	requester := people[req.Requester]
	if !req.Ask.Extends.IsZero() {
		g, err := tx.Grant(ctx, req.Ask.Extends)
		if err != nil {
			return "", fmt.Errorf("reading the grant to extend: %w", err)
		}
		if why := mayExtend(g, req.Requester, tx.Now); why != nil {
			return access.AsError(why).Message, nil
		}
	}
	pinned := now
	if d.PolicyRevision != now.Revision {
		if pinned, err = b.policyOf(ctx, tx, d.PolicyRevision); err != nil {
			return "", fmt.Errorf("loading the policy that decided: %w", err)
		}
	}
	type look struct {
		part
		ix *contract.Index
	}
	var looks []look
	var limits []string
	for _, part := range partsOf(req.Ask, d, items) {
		if why := notInForce(now, part.ask.Contract); why != "" {
			return why, nil
		}
		looks = append(looks, look{part, pinned})
		if pinned != now {
			looks = append(looks, look{part, guardedBy(now, pinned, part.ask)})
		}
	}
	for _, l := range looks {
		limits = append(limits, limited(l.ix, l.ask)...)
	}
	// All at once, in one order: two requests with the same parts the other way
	// round must not wait for each other.
	if err := tx.LockLimits(ctx, limits); err != nil {
		return "", fmt.Errorf("locking limits: %w", err)
	}
	for _, l := range looks {
		facts, err := b.facts(ctx, tx, l.ix, requester, l.ask)
		if err != nil {
			return "", fmt.Errorf("gathering facts: %w", err)
		}
		if adjust != nil {
			facts = adjust(facts)
		}
		if why := l.differs(engine.Evaluate(l.ix, l.ask, req.Hash, facts)); why != "" {
			return why, nil
		}
	}
	return "", nil
}

// part is the items of a request that one contract governs, as an ask of
// their own that names the contract.
type part struct {
	ask     access.Ask
	decided []access.ItemDecision
	asked   []access.Track // whose seats the votes fill
}

func partsOf(ask access.Ask, d access.Decision, items []int) []part {
	var parts []part
	for i, item := range d.Items {
		if items != nil && !slices.Contains(items, i) || item.Offer == nil {
			continue
		}
		at := slices.IndexFunc(parts, func(p part) bool { return p.ask.Contract == item.Offer.Contract })
		if at < 0 {
			p := part{ask: ask}
			p.ask.Items, p.ask.Contract = nil, item.Offer.Contract
			for _, t := range d.Approvals {
				// An approval of other items alone says nothing about these.
				ours := items == nil || slices.ContainsFunc(t.Items, func(i int) bool { return slices.Contains(items, i) })
				if t.Contract == item.Offer.Contract && ours {
					p.asked = append(p.asked, t)
				}
			}
			parts = append(parts, p)
			at = len(parts) - 1
		}
		parts[at].ask.Items = append(parts[at].ask.Items, item.Item)
		parts[at].decided = append(parts[at].decided, item)
	}
	return parts
}

// differs says what the second look would not give any more.
func (p part) differs(again access.Decision) string {
	if again.Outcome == access.Refuse {
		if len(again.Reasons) == 0 {
			return "Policy no longer allows it."
		}
		return again.Reasons[0].Message
	}
	for i, item := range again.Items {
		if !slices.Equal(item.Entitlements, p.decided[i].Entitlements) {
			return "The account or the permission on the target is not the one that was decided on."
		}
	}
	if seat := engine.Lacking(p.asked, again.Approvals); seat != nil {
		return fmt.Sprintf("Policy now wants more approvals than were asked for: %d more of %s. Ask again.", seat.Count, seat.From)
	}
	return ""
}

// notInForce says why the contract gives nothing any more, whatever it said
// when it decided.
func notInForce(now *contract.Index, name string) string {
	c, ok := now.Contract(name)
	switch {
	case !ok:
		return "The contract " + name + " is no longer in force."
	case c.Spec.State != "" && c.Spec.State != "active":
		return "The contract " + name + " is " + c.Spec.State + " now."
	}
	return ""
}

// guardedBy builds the policy in force now with the pinned contract put in
// the place of every other: what the guardrails and the catalogue of today
// say to the permit of then. The contract keeps its limits and stages, and
// covers exactly what is asked, so that a resource that was labelled anew
// meets the guardrails of its new labels without losing the old permit.
func guardedBy(now, pinned *contract.Index, ask access.Ask) *contract.Index {
	then, ok := pinned.Contract(ask.Contract)
	if !ok {
		return now
	}
	c := *then
	c.Spec.Permits = nil
	for _, item := range ask.Items {
		kind, path, _ := strings.Cut(item.Resource, ":")
		c.Spec.Permits = append(c.Spec.Permits, contract.Permit{
			Roles: []string{item.Role}, Resources: []contract.Selector{{Type: kind, Path: path}},
		})
	}
	set := *now.Set()
	c.Spec.Approvals.Stages, set.Approvers = pinnedApprovers(now, pinned, then.Spec.Approvals.Stages)
	set.Contracts = []contract.Contract{c}
	set.Roles = pinned.Set().Roles
	return contract.Compile(&set, now.Revision, now.Issuer)
}

// pinnedApprovers gives the stages and the sets of approvers to compile them
// with: guardrails mean the sets of today, the pinned contract those of its own
// revision. A set that means others now gets another name for the contract.
func pinnedApprovers(now, pinned *contract.Index, stages []contract.Stage) ([]contract.Stage, []contract.Approvers) {
	sets := slices.Clone(now.Set().Approvers)
	renamed := map[string]string{}
	for _, then := range pinned.Set().Approvers {
		today, ok := now.Approvers(then.Metadata.Name)
		if ok && slices.Equal(today.Spec.Any, then.Spec.Any) {
			continue
		}
		if ok {
			renamed[then.Metadata.Name] = then.Metadata.Name + " of then" // no name in a document holds a blank
			then.Metadata.Name = renamed[then.Metadata.Name]
		}
		sets = append(sets, then)
	}
	stages = slices.Clone(stages)
	for i := range stages {
		stages[i].Seats = slices.Clone(stages[i].Seats)
		for j, seat := range stages[i].Seats {
			if name := renamed[seat.From.Set]; name != "" {
				stages[i].Seats[j].From.Set = name
			}
		}
	}
	return stages, sets
}
