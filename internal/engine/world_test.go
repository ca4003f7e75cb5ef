package engine_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

const issuer = "https://id.example"

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// world is one policy, one ask and the facts around it. The names come from
// small sets, so that things meet.
type world struct {
	set   contract.Set
	ask   access.Ask
	facts engine.Facts
}

func (w world) index() *contract.Index {
	set := w.set
	set.Contracts, set.Guardrails = slices.Clone(set.Contracts), slices.Clone(set.Guardrails)
	slices.SortFunc(set.Contracts, func(a, b contract.Contract) int { return cmp.Compare(a.Metadata.Name, b.Metadata.Name) })
	slices.SortFunc(set.Guardrails, func(a, b contract.Guardrail) int { return cmp.Compare(a.Metadata.Name, b.Metadata.Name) })
	return contract.Compile(&set, 7, issuer)
}

func (w world) decide() access.Decision { return engine.Evaluate(w.index(), w.ask, "hash", w.facts) }

func (w world) offers() []access.Offer {
	offers, _ := engine.Offers(w.index(), w.ask, w.facts)
	return offers
}

var (
	groups    = []string{"red", "green", "blue", "grey"}
	users     = []string{"ann", "bob", "cid", "dee", "eve"}
	setNames  = []string{"owners", "security"}
	roleNames = []string{"pg/readonly", "pg/debug-rw", "kube/view"}
	catalog   = []string{"postgres/database:prod/eu/orders", "postgres/database:prod/us/orders", "postgres/database:test/ledger", "kube/namespace:prod/web"}
)

func id(user string) access.PrincipalID { return access.NewPrincipalID(issuer, user) }

// oneOf and the others below draw evenly, other than rapid's own ranges: with
// those, forty-nine of fifty worlds had no offer at all. Zero still shrinks
// to the first value.
func oneOf[T any](t *rapid.T, label string, from ...T) T { return from[below(t, label, len(from))] }

func below(t *rapid.T, label string, n int) int {
	v := 0
	for _, bit := range rapid.SliceOfN(rapid.Bool(), 6, 6).Draw(t, label) {
		v *= 2
		if bit {
			v++
		}
	}
	return v * n / 64
}

func between(t *rapid.T, label string, least, most int) int {
	return least + below(t, label, most-least+1)
}

// chance is true in n of ten draws.
func chance(t *rapid.T, label string, n int) bool { return below(t, label, 10) >= 10-n }

func some[T any](t *rapid.T, label string, least, most int, draw func() T) []T {
	var out []T
	for range between(t, label, least, most) {
		out = append(out, draw())
	}
	return out
}

// member draws a subset of the groups.
func member(t *rapid.T, most int) []string {
	return rapid.Permutation(groups).Draw(t, "groups")[:between(t, "of them", 0, most)]
}

func drawWorld(t *rapid.T) world {
	w := world{set: baseSet(t)}
	for i := range between(t, "contracts", 1, 5) {
		w.set.Contracts = append(w.set.Contracts, drawContract(t, fmt.Sprintf("c%d", i)))
	}
	for i := range between(t, "guardrails", 0, 2) {
		w.set.Guardrails = append(w.set.Guardrails, drawGuardrail(t, fmt.Sprintf("g%d", i)))
	}
	w.ask = drawAsk(t)
	w.facts = drawFacts(t)
	if chance(t, "extends", 1) {
		w.ask.Items = w.ask.Items[:1]
		w.ask.Extends = access.GrantID{1}
		started := noon.Add(-oneOf(t, "ran", time.Minute, time.Hour))
		w.facts.Extends = &engine.Extension{
			Grant: w.ask.Extends, Contract: oneOf(t, "of", "c0", "c1"), StartedAt: started,
			ExpiresAt: noon.Add(oneOf(t, "left", time.Minute, time.Hour)), MaxTotal: oneOf[access.Seconds](t, "pinned", 3600, 4*3600, 8*3600),
		}
	}
	return w
}

func baseSet(t *rapid.T) contract.Set {
	var set contract.Set
	for _, name := range roleNames {
		r := contract.Role{Metadata: contract.Metadata{Name: name}}
		r.Spec.Entitlements = map[string][]contract.RoleEntitlement{"postgres/database": {{Permission: "p_{{resource.name}}"}}}
		if name == "kube/view" {
			r.Spec.Entitlements["kube/namespace"] = []contract.RoleEntitlement{{Permission: "view"}}
		}
		set.Roles = append(set.Roles, r)
	}
	for i, name := range catalog {
		r := contract.Resource{Metadata: contract.Metadata{Name: name}}
		r.Spec.Connector = "pg"
		r.Spec.Labels = map[string]string{"env": "prod"}
		if i == 2 {
			r.Spec.Labels["env"] = "test"
		}
		set.Resources = append(set.Resources, r)
	}
	for _, name := range setNames {
		a := contract.Approvers{Metadata: contract.Metadata{Name: name}}
		a.Spec.Any = drawAtoms(t, 1, 3)
		set.Approvers = append(set.Approvers, a)
	}
	return set
}

func drawAtom(t *rapid.T) contract.Atom {
	if chance(t, "user", 2) {
		return contract.Atom{User: oneOf(t, "user", users...)}
	}
	return contract.Atom{Group: oneOf(t, "group", groups...)}
}

func drawAtoms(t *rapid.T, least, most int) []contract.Atom {
	return some(t, "atoms", least, most, func() contract.Atom { return drawAtom(t) })
}

func drawSubjects(t *rapid.T) contract.Subjects {
	s := contract.Subjects{Any: drawAtoms(t, 0, 4)}
	if chance(t, "everyone", 5) {
		s.Any = append(s.Any, contract.Atom{Everyone: true})
	}
	if chance(t, "all", 1) {
		s.All = drawAtoms(t, 1, 2)
	}
	if chance(t, "none", 2) {
		s.None = drawAtoms(t, 1, 1)
	}
	return s
}

func drawRoles(t *rapid.T) []string {
	return some(t, "roles", 1, 2, func() string {
		return oneOf(t, "role", "**", "pg/readonly", "pg/*", "**", "pg/debug-rw", "*/readonly", "kube/**", "pg")
	})
}

func drawSelectors(t *rapid.T) []contract.Selector {
	return some(t, "selectors", 1, 2, func() contract.Selector {
		s := contract.Selector{Type: oneOf(t, "type", "*", "postgres/database", "*", "postgres/database", "kube/namespace")}
		s.Path = oneOf(t, "path", "", "**", "", "**", "prod/**", "prod/*/orders", "prod/e*/orders", "test/ledger", "prod/eu")
		if chance(t, "labelled", 2) {
			s.Labels = map[string]string{"env": oneOf(t, "env", "prod", "test")}
		}
		return s
	})
}

func drawSeat(t *rapid.T) contract.Seat {
	var s contract.Seat
	switch between(t, "from", 0, 5) {
	case 0:
		s.From.User = oneOf(t, "user", users...)
	case 1:
		s.From.Group = oneOf(t, "group", groups...)
	default:
		s.From.Set = oneOf(t, "set", setNames...)
	}
	s.Count = oneOf(t, "count", 0, 1, 1, 2)
	return s
}

func drawContract(t *rapid.T, name string) contract.Contract {
	c := contract.Contract{Metadata: contract.Metadata{Name: name}}
	s := &c.Spec
	s.State = oneOf(t, "state", "", "", "", "", "active", "active", "active", "active", "active", "active", "draft", "suspended")
	s.Validity.NotBefore = oneOf(t, "notBefore", time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}, noon.Add(-time.Hour), noon, noon.Add(time.Second))
	s.Validity.NotAfter = oneOf(t, "notAfter", time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}, noon, noon.Add(45*time.Minute+time.Millisecond), noon.Add(3*time.Hour))
	s.Precedence = between(t, "precedence", 0, 2)
	s.Exclusive = chance(t, "exclusive", 1)
	s.Subjects = drawSubjects(t)
	s.Permits = some(t, "permits", 1, 2, func() contract.Permit {
		return contract.Permit{Roles: drawRoles(t), Resources: drawSelectors(t)}
	})
	s.Time.Duration.Min = oneOf[contract.Duration](t, "min", 0, 0, 0, 600, 1800)
	s.Time.Duration.Max = oneOf[contract.Duration](t, "max", 1800, 4*3600, 4*3600, 4*3600)
	s.Time.StartWithin = oneOf[contract.Duration](t, "startWithin", 0, 3600, 48*3600)
	s.Time.DecideWithin = oneOf[contract.Duration](t, "decideWithin", 0, 3600, 48*3600)
	if chance(t, "justification", 3) {
		s.Justification = &contract.Justification{MinLength: oneOf(t, "minLength", 0, 4, 12)}
		if chance(t, "ticket", 5) {
			s.Justification.Ticket = &struct {
				Pattern  string `json:"pattern,omitempty"`
				Required bool   `json:"required,omitempty"`
			}{Pattern: oneOf(t, "pattern", "", "PAY-[0-9]+", "A|OPS-1"), Required: chance(t, "required", 5)}
		}
	}
	s.Approvals.DeniesNeeded = between(t, "denies", 0, 2)
	s.Approvals.Auto = some(t, "auto", 0, 1, func() contract.AutoRule { return drawAuto(t) })
	for i := range between(t, "stages", 0, 2) {
		st := contract.Stage{Name: fmt.Sprintf("s%d", i), Seats: some(t, "seats", 1, 2, func() contract.Seat { return drawSeat(t) })}
		if chance(t, "when", 2) {
			st.When = &struct {
				Roles []string `json:"roles"`
			}{drawRoles(t)}
		}
		s.Approvals.Stages = append(s.Approvals.Stages, st)
	}
	if chance(t, "limits", 3) {
		s.Limits = &contract.Limits{ActivePerSubject: between(t, "perSubject", 0, 2), ActiveTotal: between(t, "total", 0, 3)}
	}
	if chance(t, "plain", 5) { // one that most asks get an offer from
		s.State, s.Exclusive, s.Validity.NotBefore, s.Justification = "", false, time.Time{}, nil
		s.Subjects.Any = append(s.Subjects.Any, contract.Atom{Everyone: true})
		s.Permits = append(s.Permits, contract.Permit{Roles: []string{"**"}, Resources: []contract.Selector{{Type: "*"}}})
	}
	return c
}

func drawAuto(t *rapid.T) contract.AutoRule {
	a := contract.AutoRule{Name: "quick"}
	if chance(t, "autoRoles", 3) {
		a.Roles = drawRoles(t)
	}
	if chance(t, "autoMax", 5) {
		a.MaxDuration = oneOf[contract.Duration](t, "max", 600, 1800)
	}
	if chance(t, "autoSubjects", 5) {
		s := drawSubjects(t)
		a.Subjects = &s
	}
	return a
}

func drawGuardrail(t *rapid.T, name string) contract.Guardrail {
	g := contract.Guardrail{Metadata: contract.Metadata{Name: name}}
	m := &g.Spec.Match
	if chance(t, "roles", 5) {
		m.Roles = drawRoles(t)
	}
	if chance(t, "resources", 5) {
		m.Resources = drawSelectors(t)
	}
	if chance(t, "subjects", 7) {
		s := drawSubjects(t)
		m.Subjects = &s
	}
	if chance(t, "deny", 1) {
		g.Spec.Deny = &struct {
			Reason string `json:"reason"`
		}{"closed"}
		return g
	}
	g.Spec.Require = &struct {
		MaxDuration contract.Duration `json:"maxDuration,omitempty"`
		Ticket      bool              `json:"ticket,omitempty"`
		Seats       []contract.Seat   `json:"seats,omitempty"`
	}{
		MaxDuration: oneOf[contract.Duration](t, "max", 0, 900, 3600),
		Ticket:      chance(t, "ticket", 2),
		Seats:       some(t, "seats", 0, 2, func() contract.Seat { return drawSeat(t) }),
	}
	return g
}
