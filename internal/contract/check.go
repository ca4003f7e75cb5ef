package contract

import (
	"fmt"
	"slices"
	"strings"
)

// checker holds the documents of a set against each other.
type checker struct {
	set   *Set
	docs  []loaded
	first map[identity]*parsed // every document by its name, faulty ones too
	// labels are the keys that resources declare.
	labels      map[string]bool
	selectors   []selectorUse
	byKind      map[string][]string // the names in first, sorted
	covered     map[string][]string // the roles that a pattern covers, as they were found
	suggestions int
}

// selectorUse is a selector where a document has it.
type selectorUse struct {
	doc     *parsed
	pointer string
	Selector
}

func check(set *Set, docs []loaded, first map[identity]*parsed) Problems {
	c := &checker{
		set: set, docs: docs, first: first, labels: map[string]bool{},
		byKind: map[string][]string{}, covered: map[string][]string{},
	}
	for id := range first {
		c.byKind[id.kind] = append(c.byKind[id.kind], id.name)
	}
	for _, names := range c.byKind {
		slices.Sort(names)
	}
	for i := range set.Resources {
		for k := range set.Resources[i].Spec.Labels {
			c.labels[k] = true
		}
	}
	for _, d := range docs {
		d.problems = nil
		switch d.kind {
		case "Contract":
			c.contract(d.parsed, &set.Contracts[d.index])
		case "Guardrail":
			c.guardrail(d.parsed, &set.Guardrails[d.index])
		}
	}
	c.resources()
	var out Problems
	for _, d := range docs {
		out = append(out, d.problems...)
	}
	return out
}

// warn is fault for what is allowed and probably not meant.
func (p *parsed) warn(at place, pointer, message, fix string) {
	n := len(p.problems)
	p.fault(at, pointer, message, fix)
	if len(p.problems) > n {
		p.problems[n].Warning = true
	}
}

// roleNames gives the roles that a pattern covers.
func (c *checker) roleNames(pattern string) []string {
	names, done := c.covered[pattern]
	if !done {
		for _, name := range c.byKind["Role"] {
			if MatchRole(pattern, name) {
				names = append(names, name)
			}
		}
		c.covered[pattern] = names
	}
	return names
}

// didYouMean suggests a name of the kind, for the first of very many faults.
func (c *checker) didYouMean(written, kind string) string {
	if c.suggestions++; c.suggestions > maxSuggestions {
		return ""
	}
	return didYouMean(written, slices.Values(c.byKind[kind]))
}

func (c *checker) contract(p *parsed, k *Contract) {
	var permitted []string
	for i, permit := range k.Spec.Permits {
		at := fmt.Sprintf("/spec/permits/%d", i)
		c.roles(p, at+"/roles", permit.Roles)
		c.note(p, at+"/resources", permit.Resources)
		permitted = append(permitted, permit.Roles...)
	}
	c.clocks(p, k)
	v := k.Spec.Validity
	if !v.NotBefore.IsZero() && !v.NotAfter.IsZero() && !v.NotBefore.Before(v.NotAfter) {
		p.fault(p.at["/spec/validity/notAfter"], "/spec/validity/notAfter", "is not after notBefore", "no moment lies between them")
	}
	c.stages(p, k, permitted)
	c.auto(p, k, permitted)
	c.everyone(p, k, permitted)
	if l := k.Spec.Limits; l != nil && l.ActiveTotal > 0 && l.ActivePerSubject > l.ActiveTotal {
		p.warn(p.at["/spec/limits/activePerSubject"], "/spec/limits/activePerSubject", "is more than activeTotal, so it never matters", "")
	}
	if j := k.Spec.Justification; j != nil && j.Ticket != nil && j.Ticket.Pattern == "" && !j.Ticket.Required && !p.doubtful("/spec/justification/ticket") {
		p.warn(p.whereOf("/spec/justification/ticket"), "/spec/justification/ticket", "asks for nothing", "give a pattern, or required: true")
	}
}

// clocks checks min <= default <= max.
func (c *checker) clocks(p *parsed, k *Contract) {
	d, at := k.Spec.Time.Duration, "/spec/time/duration"
	if d.Max == 0 { // refused: there is nothing to compare with
		return
	}
	if d.Min > d.Max {
		p.fault(p.whereOf(at+"/min"), at+"/min", fmt.Sprintf("min %s is more than max %s", d.Min, d.Max), "")
	}
	if _, given := p.at[at+"/default"]; given && d.Default > d.Max {
		p.fault(p.at[at+"/default"], at+"/default", fmt.Sprintf("default %s is more than max %s", d.Default, d.Max), "")
	} else if given && d.Default < d.Min {
		p.fault(p.at[at+"/default"], at+"/default", fmt.Sprintf("default %s is less than min %s", d.Default, d.Min), "")
	}
}

func (c *checker) stages(p *parsed, k *Contract, permitted []string) {
	seen := map[string]bool{}
	for i, s := range k.Spec.Approvals.Stages {
		at := fmt.Sprintf("/spec/approvals/stages/%d", i)
		if s.Name != "" && seen[s.Name] {
			p.fault(p.at[at+"/name"], at+"/name", "there are two stages "+s.Name, "rename one of them")
		}
		seen[s.Name] = true
		if s.When != nil {
			c.roles(p, at+"/when/roles", s.When.Roles)
			c.among(p, at+"/when/roles", s.When.Roles, permitted, "the stage never applies")
		}
		c.seats(p, at+"/seats", s.Seats)
	}
}

func (c *checker) auto(p *parsed, k *Contract, permitted []string) {
	seen := map[string]bool{}
	for i, a := range k.Spec.Approvals.Auto {
		at := fmt.Sprintf("/spec/approvals/auto/%d", i)
		if a.Name != "" && seen[a.Name] {
			p.fault(p.at[at+"/name"], at+"/name", "there are two rules "+a.Name, "rename one of them")
		}
		seen[a.Name] = true
		c.roles(p, at+"/roles", a.Roles)
		c.among(p, at+"/roles", a.Roles, permitted, "the rule never holds")
		if limit := k.Spec.Time.Duration.Max; limit > 0 && a.MaxDuration > limit {
			p.fault(p.at[at+"/maxDuration"], at+"/maxDuration", fmt.Sprintf("%s is more than the contract's max %s", a.MaxDuration, limit), "")
		}
		if a.Subjects != nil && namesEveryone(a.Subjects.Any) {
			p.fault(p.at[at+"/subjects/any"], at+"/subjects/any", "everyone may not stand in an auto rule", "leave subjects out to mean all whom the contract names")
		}
	}
	if len(k.Spec.Approvals.Auto) > 0 && len(k.Spec.Approvals.Stages) == 0 && !p.doubtful("/spec/approvals/stages") {
		at := "/spec/approvals/auto"
		p.warn(p.whereOf(at), at, "a contract without stages grants at once anyway", "")
	}
}

// everyone checks that a contract for everyone leaves the last word to a
// person, whatever is asked for.
func (c *checker) everyone(p *parsed, k *Contract, permitted []string) {
	at := "/spec/subjects/any"
	if !namesEveryone(k.Spec.Subjects.Any) {
		return
	}
	if len(k.Spec.Approvals.Auto) > 0 {
		for i, a := range k.Spec.Approvals.Auto {
			here := fmt.Sprintf("/spec/approvals/auto/%d", i)
			if a.Subjects == nil && !p.doubtful(here) {
				p.fault(p.at[here], here, "grants at once to everyone", "name subjects for this rule")
			}
		}
	}
	if p.doubtful("/spec/approvals/stages") {
		return
	}
	for _, role := range permitted {
		if role != "" && !slices.ContainsFunc(k.Spec.Approvals.Stages, func(s Stage) bool {
			return s.When == nil || slices.ContainsFunc(s.When.Roles, func(w string) bool { return w == role || MatchRole(w, role) })
		}) {
			p.fault(p.at[at], at, "everyone may have "+role+" without anybody's approval", "name groups, or add a stage with a seat that applies to "+role)
			return
		}
	}
}

func namesEveryone(atoms []Atom) bool {
	return slices.ContainsFunc(atoms, func(a Atom) bool { return a.Everyone })
}

func (c *checker) guardrail(p *parsed, g *Guardrail) {
	c.roles(p, "/spec/match/roles", g.Spec.Match.Roles)
	c.note(p, "/spec/match/resources", g.Spec.Match.Resources)
	if g.Spec.Require != nil {
		c.seats(p, "/spec/require/seats", g.Spec.Require.Seats)
	}
}

// roles checks that the roles named exactly exist.
func (c *checker) roles(p *parsed, at string, roles []string) {
	for i, r := range roles {
		here := fmt.Sprintf("%s/%d", at, i)
		if r == "" { // refused
			continue
		}
		if strings.Contains(r, "*") {
			if len(c.roleNames(r)) == 0 {
				p.warn(p.at[here], here, "no role is covered by "+quote(r), "")
			}
		} else if _, ok := c.first[identity{"Role", r}]; !ok {
			p.fault(p.at[here], here, "there is no role "+quote(r), c.didYouMean(r, "Role"))
		}
	}
}

// among warns of roles that the contract does not permit.
func (c *checker) among(p *parsed, at string, roles, permitted []string, otherwise string) {
	if len(roles) == 0 || p.doubtful(at) || p.doubtful("/spec/permits") {
		return
	}
	for _, pattern := range roles {
		for _, role := range c.roleNames(pattern) {
			if matchesAny(permitted, role) {
				return
			}
		}
	}
	p.warn(p.whereOf(at), at, "the contract permits none of these roles: "+otherwise, "")
}

func (c *checker) seats(p *parsed, at string, seats []Seat) {
	for i, s := range seats {
		if s.From.Set == "" {
			continue
		}
		if _, ok := c.first[identity{"Approvers", s.From.Set}]; !ok {
			here := fmt.Sprintf("%s/%d/from/set", at, i)
			p.fault(p.at[here], here, "there are no approvers "+quote(s.From.Set), c.didYouMean(s.From.Set, "Approvers"))
		}
	}
}
