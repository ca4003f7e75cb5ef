package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// drafting is the offer of one contract in the making.
type drafting struct {
	*evaluation
	c       *contract.Contract
	gs      []*contract.Guardrail
	o       access.Offer
	reasons []access.Reason
	rule    string // of the contract, in traces
	capRule string // what bounds the duration
	capPath string
}

// offer makes the contract's offer, tightened by the guardrails, and checks
// the ask against it. The offer stands if there are no reasons.
func (e *evaluation) offer(c *contract.Contract, gs []*contract.Guardrail) (access.Offer, []access.Reason) {
	name, t := c.Metadata.Name, c.Spec.Time
	d := &drafting{
		evaluation: e, c: c, gs: gs,
		rule: "Contract/" + name, capRule: "Contract/" + name, capPath: "/spec/time/duration/max",
		o: access.Offer{
			Contract: name, ContractDigest: c.Digest, Precedence: c.Spec.Precedence,
			Duration: e.ask.Duration, MinDuration: t.Duration.Min.Seconds(), MaxDuration: t.Duration.Max.Seconds(),
			DecideWithin: t.DecideWithin.Seconds(), StartWithin: t.StartWithin.Seconds(),
			NotAfter: c.Spec.Validity.NotAfter, DeniesNeeded: max(1, c.Spec.Approvals.DeniesNeeded),
		},
	}
	if d.o.DecideWithin == 0 {
		d.o.DecideWithin = DefaultDecideWithin
	}
	if d.o.StartWithin == 0 {
		d.o.StartWithin = DefaultStartWithin
	}
	for _, g := range gs {
		d.o.Guardrails = append(d.o.Guardrails, g.Metadata.Name)
		if r := g.Spec.Require; r != nil && r.MaxDuration != 0 && r.MaxDuration.Seconds() < d.o.MaxDuration {
			d.o.MaxDuration = r.MaxDuration.Seconds()
			d.capRule, d.capPath = "Guardrail/"+g.Metadata.Name, "/spec/require/maxDuration"
		}
	}

	if d.o.Duration == 0 {
		d.o.Duration = d.usual(t.Duration.Default.Seconds())
	}

	d.duration()
	d.start()
	d.validity()
	d.justification()
	d.ticket()
	d.limits()
	d.approvals()
	return d.o, d.reasons
}

// usual is how long an ask is for that does not say, as a question may: the
// contract's default, or an hour, within what the contract allows.
func (d *drafting) usual(said access.Seconds) access.Seconds {
	said = cmp.Or(said, 3600)
	if x := d.f.Extends; x != nil {
		return max(1, min(said, d.longest(x)-d.elapsed()))
	}
	return max(1, d.o.MinDuration, min(said, d.o.MaxDuration))
}

// fail keeps one failure of a check, with what would work.
func (d *drafting) fail(code access.ReasonCode, message, fix string) {
	d.reasons = append(d.reasons, access.Reason{Code: code, Item: d.at, Contract: d.c.Metadata.Name, Message: message, Fix: fix})
}

// approvals finds the stages: those of the contract unless an auto rule
// holds, and what guardrails add.
func (d *drafting) approvals() {
	var own []contract.Stage
	if d.o.Auto = d.auto(); d.o.Auto == "" {
		for i, s := range d.c.Spec.Approvals.Stages {
			if applies(s, d.item.Role) {
				own = append(own, s)
				continue
			}
			d.note(d.rule, fmt.Sprintf("/spec/approvals/stages/%d/when", i), access.Skipped, "stage "+s.Name+" for roles "+strings.Join(s.When.Roles, ", "), d.item.Role)
		}
	}
	for _, s := range own {
		stage := access.Stage{Name: s.Name}
		for _, seat := range s.Seats {
			stage.Seats = append(stage.Seats, d.seat(seat))
		}
		if len(stage.Seats) > 0 {
			d.o.Stages = append(d.o.Stages, stage)
		}
	}
	if floor, ok := d.floorStage(d.gs, own); ok {
		d.o.Stages = append(d.o.Stages, floor)
	}
	if len(d.o.Stages) == 0 {
		return
	}

	track := []access.Track{{Stages: d.o.Stages}}
	p := unfillable(track, d.f.Subject.ID, d.f.People)
	if p == nil {
		d.note(d.rule, "/spec/approvals/stages", access.Pass, "enough people for every seat, without the requester", count(seats(d.o.Stages), "seat")+" can be filled")
		return
	}
	stage := d.o.Stages[p.stage].Name
	fix := fmt.Sprintf("Ask the owners of contract %s to add people to %s, other than you.", d.c.Metadata.Name, p.want.From)
	d.noteFix(d.rule, "/spec/approvals/stages", access.Fail,
		fmt.Sprintf("stage %s: %d of %s, other than the requester", stage, p.want.Count, p.want.From), fmt.Sprintf("%d can be found", p.taken), fix)
	d.fail(access.UnsatisfiableQuorum,
		fmt.Sprintf("This could never be approved: stage %s of contract %s wants %d of %s, and without you and those whom other seats need there are %d.", stage, d.c.Metadata.Name, p.want.Count, p.want.From, p.taken), fix)
}

// auto gives the first auto rule that holds, by name.
func (d *drafting) auto() string {
	for i, rule := range d.c.Spec.Approvals.Auto {
		t, why, fix := yes, []string{}, ""
		if of := rule.Subjects; of != nil {
			if t = subjectsCover(d.ix, *of, d.f.Subject); t != yes {
				why = append(why, "subject: "+d.actual(of.Any))
			}
		}
		if len(rule.Roles) > 0 && !slices.ContainsFunc(rule.Roles, func(p string) bool { return contract.MatchRole(p, d.item.Role) }) {
			t, why = no, append(why, "role: "+d.item.Role)
		}
		if most := rule.MaxDuration.Seconds(); most != 0 && d.total() > most {
			if t == yes {
				fix = "Up to " + most.String() + " is granted at once."
			}
			t, why = no, append(why, "duration: "+d.total().String())
		}
		verdict := access.Skipped // that it does not hold is no fault
		switch t {
		case yes:
			verdict, why = access.Pass, []string{"holds"}
		case unknown:
			verdict = access.Unknown
		case no:
		}
		d.noteFix(d.rule, fmt.Sprintf("/spec/approvals/auto/%d", i), verdict, "auto rule "+rule.Name, strings.Join(why, "; "), fix)
		if t == yes {
			return rule.Name
		}
	}
	return ""
}
