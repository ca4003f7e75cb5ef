package engine_test

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// The specification said another way: patterns by regular expressions,
// unknown groups by what holds with none and with all of them, assignments by
// trying every one. It shares no code with the engine.

// reference gives the offers as lines, best first, and the failures of the
// other contracts as lines, sorted; or only denials.
func reference(w world) (offers, failures []string) {
	item := w.ask.Items[0]
	i := slices.IndexFunc(w.set.Resources, func(r contract.Resource) bool { return r.Metadata.Name == item.Resource })
	res := w.set.Resources[i]

	var gs []contract.Guardrail
	for _, g := range w.set.Guardrails {
		m := g.Spec.Match
		if (m.Roles == nil || refRole(m.Roles, item.Role)) && (m.Resources == nil || refResource(m.Resources, res)) &&
			(m.Subjects == nil || refSubject(w, *m.Subjects, true)) {
			gs = append(gs, g)
			if g.Spec.Deny != nil {
				failures = append(failures, "guardrail_deny")
			}
		}
	}
	if failures != nil {
		return nil, failures
	}

	meant := strings.HasPrefix(item.Role, "pg/") && strings.HasPrefix(item.Resource, "postgres/") || item.Role == "kube/view"
	var cs []contract.Contract
	exclusive := false
	for _, c := range w.set.Contracts {
		if meant && slices.ContainsFunc(c.Spec.Permits, func(p contract.Permit) bool {
			return refRole(p.Roles, item.Role) && refResource(p.Resources, res)
		}) {
			cs = append(cs, c)
			exclusive = exclusive || c.Spec.Exclusive && refForce(c) == ""
		}
	}
	if len(cs) == 0 {
		return nil, []string{":no_contract"}
	}
	type ranked struct {
		line              string
		prec, seats, most int
		name              string
	}
	var list []ranked
	for _, c := range cs {
		name := c.Metadata.Name
		switch why := refForce(c); {
		case why != "":
			failures = append(failures, name+":"+why)
		case exclusive && !c.Spec.Exclusive, w.facts.Extends != nil && w.facts.Extends.Contract != name:
			failures = append(failures, name+":no_contract")
		case !refSubject(w, c.Spec.Subjects, false) && refSubject(w, c.Spec.Subjects, true):
			failures = append(failures, name+":fact_unavailable")
		case !refSubject(w, c.Spec.Subjects, false):
			failures = append(failures, name+":not_eligible")
		default:
			line, seats, most, bad := refOffer(w, c, gs)
			for _, b := range bad {
				failures = append(failures, name+":"+b)
			}
			if bad == nil {
				list = append(list, ranked{line, c.Spec.Precedence, seats, most, name})
			}
		}
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.prec != b.prec {
			return a.prec > b.prec
		}
		if a.seats != b.seats {
			return a.seats < b.seats
		}
		if a.most != b.most {
			return a.most > b.most
		}
		return a.name < b.name
	})
	for _, r := range list {
		offers = append(offers, r.line)
	}
	sort.Strings(failures)
	return offers, failures
}

func refForce(c contract.Contract) string {
	switch {
	case c.Spec.State == "draft":
		return "no_contract"
	case c.Spec.State == "suspended":
		return "contract_expired"
	case noon.Before(c.Spec.Validity.NotBefore), !c.Spec.Validity.NotAfter.IsZero() && !c.Spec.Validity.NotAfter.After(noon):
		return "contract_expired"
	}
	return ""
}

func refPattern(p, segment string) *regexp.Regexp {
	rest := ""
	if p == "**" {
		return regexp.MustCompile(".*")
	}
	if cut, ok := strings.CutSuffix(p, "/**"); ok {
		p, rest = cut, "(/.*)?"
	}
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, segment) + rest + "$")
}

func refRole(patterns []string, role string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return refPattern(p, "[^/]+").MatchString(role) })
}

func refResource(selectors []contract.Selector, r contract.Resource) bool {
	kind, path, _ := strings.Cut(r.Metadata.Name, ":")
	return slices.ContainsFunc(selectors, func(s contract.Selector) bool {
		env, labelled := s.Labels["env"]
		return (s.Type == "*" || s.Type == kind) && (s.Path == "" || refPattern(s.Path, "[^/]*").MatchString(path)) &&
			(!labelled || r.Spec.Labels["env"] == env)
	})
}

// refSubject asks whether the subject might belong (hopeful) or surely does.
func refSubject(w world, of contract.Subjects, hopeful bool) bool {
	holds := func(a contract.Atom, ifUnknown bool) bool {
		if a.Group != "" && !w.facts.Subject.GroupsKnown {
			return ifUnknown
		}
		return a.Everyone || a.Group != "" && slices.Contains(w.facts.Subject.Groups, a.Group) || a.User != "" && id(a.User) == w.facts.Subject.ID
	}
	anyOf, noneOf := false, true
	for _, a := range of.Any {
		anyOf = anyOf || holds(a, hopeful)
	}
	for _, a := range of.All {
		anyOf = anyOf && holds(a, hopeful)
	}
	for _, a := range of.None {
		noneOf = noneOf && !holds(a, !hopeful)
	}
	return anyOf && noneOf
}

func refOffer(w world, c contract.Contract, gs []contract.Guardrail) (line string, seats, most int, bad []string) {
	s, asked := c.Spec, int(w.ask.Duration)
	least, most := int(s.Time.Duration.Min), int(s.Time.Duration.Max)
	startWithin, decideWithin := 24*time.Hour, 8*3600
	if s.Time.StartWithin != 0 {
		startWithin = time.Duration(s.Time.StartWithin) * time.Second
	}
	if s.Time.DecideWithin != 0 {
		decideWithin = int(s.Time.DecideWithin)
	}
	ticketWanted, pattern := false, ""
	if s.Justification != nil && s.Justification.Ticket != nil {
		ticketWanted, pattern = s.Justification.Ticket.Required, s.Justification.Ticket.Pattern
	}
	var names []string
	for _, g := range gs {
		names = append(names, g.Metadata.Name)
		if r := g.Spec.Require; r != nil {
			ticketWanted = ticketWanted || r.Ticket
			if r.MaxDuration > 0 {
				most = min(most, int(r.MaxDuration))
			}
		}
	}
	begin, already := noon, 0
	if w.ask.StartAt.After(begin) {
		begin = w.ask.StartAt
	}
	live := w.facts.Live[c.Metadata.Name]
	if x := w.facts.Extends; x != nil {
		begin, already, least = x.ExpiresAt, int(x.ExpiresAt.Sub(x.StartedAt).Seconds()), 0
		most = min(most, int(x.MaxTotal))
		live = w.facts.Live[x.Contract]
		live.Subject, live.Total = max(0, live.Subject-1), max(0, live.Total-1)
	}

	if already+asked > most || least > most {
		bad = append(bad, "duration_too_long")
	} else if asked < least {
		bad = append(bad, "duration_too_short")
	}
	if !w.ask.StartAt.IsZero() && (w.facts.Extends != nil || w.ask.StartAt.Sub(noon) > startWithin) {
		bad = append(bad, "start_too_far")
	}
	granted := asked
	if !s.Validity.NotAfter.IsZero() {
		left := int(s.Validity.NotAfter.Sub(begin).Seconds())
		if left < max(1, least) {
			bad = append(bad, "contract_expired")
		} else {
			granted = min(asked, left)
		}
	}
	if s.Justification != nil && len([]rune(strings.Trim(w.ask.Reason, " "))) < s.Justification.MinLength {
		bad = append(bad, "justification_short")
	}
	if ticket := strings.TrimSpace(w.ask.Ticket); ticket == "" && ticketWanted || ticket != "" && pattern != "" && regexp.MustCompile(pattern).ReplaceAllString(ticket, "") != "" {
		bad = append(bad, "ticket_invalid")
	}
	if s.Limits != nil && (s.Limits.ActivePerSubject > 0 && live.Subject >= s.Limits.ActivePerSubject) {
		bad = append(bad, "limit_reached")
	}
	if s.Limits != nil && (s.Limits.ActiveTotal > 0 && live.Total >= s.Limits.ActiveTotal) {
		bad = append(bad, "limit_reached")
	}

	auto := false
	for _, a := range s.Approvals.Auto {
		auto = auto || (a.Roles == nil || refRole(a.Roles, w.ask.Items[0].Role)) &&
			(a.MaxDuration == 0 || already+granted <= int(a.MaxDuration)) && (a.Subjects == nil || refSubject(w, *a.Subjects, false))
	}
	var stages [][]string // of seats, one entry for each person wanted
	own := map[string]int{}
	if !auto {
		for _, st := range s.Approvals.Stages {
			if st.When != nil && !refRole(st.When.Roles, w.ask.Items[0].Role) {
				continue
			}
			var stage []string
			for _, seat := range st.Seats {
				for range max(1, seat.Count) {
					from := seat.From.Set + "/" + seat.From.Group + "/" + seat.From.User
					stage = append(stage, from)
					own[from]++
				}
			}
			stages = append(stages, stage)
		}
	}
	floor := map[string]int{}
	for _, g := range gs {
		mine := map[string]int{}
		if g.Spec.Require != nil {
			for _, seat := range g.Spec.Require.Seats {
				from := seat.From.Set + "/" + seat.From.Group + "/" + seat.From.User
				mine[from] += max(1, seat.Count)
				floor[from] = max(floor[from], mine[from])
			}
		}
	}
	var last []string
	for from, n := range floor {
		for range n - own[from] {
			last = append(last, from)
		}
	}
	sort.Strings(last)
	if last != nil {
		stages = append(stages, last)
	}
	all := slices.Concat(stages...)
	if !refSeatable(w, all, nil) {
		bad = append(bad, "unsatisfiable_quorum")
	}
	line = fmt.Sprintf("%s %d of %d..%d decide %d start %s denies %d auto %v %v by %v", c.Metadata.Name, granted, int(s.Time.Duration.Min), most, decideWithin, startWithin,
		max(1, s.Approvals.DeniesNeeded), auto, stages, names)
	return line, len(all), most, bad
}
