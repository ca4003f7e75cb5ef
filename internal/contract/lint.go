package contract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Lint reports what is allowed and still probably not meant, looking at the
// set as a whole. Its problems stand at the start of a document.
func Lint(set *Set) Problems {
	l := &linter{set: set, ix: Compile(set, 0, ""), at: map[identity]*Document{}}
	for i := range set.Documents {
		d := &set.Documents[i]
		l.at[identity{d.Kind, d.Name}] = d
	}
	l.reach()
	l.quorums()
	l.bluntGuardrails()
	l.problems.Sort()
	return l.problems.limited()
}

// maxPairs bounds what reach looks at.
const maxPairs = 1_000_000

type linter struct {
	set      *Set
	ix       *Index
	at       map[identity]*Document
	problems Problems
}

func (l *linter) warn(kind, name, pointer, message, fix string) {
	p := Problem{File: "policy", Pointer: pointer, Message: kind + " " + name + " " + message, Fix: fix, Warning: true}
	if d, ok := l.at[identity{kind, name}]; ok {
		p.File, p.Line, p.Column = d.File, d.Line, 1
	}
	l.problems = append(l.problems, p)
}

// reach goes over every role on every resource that it means something on,
// and looks at which contracts answer.
func (l *linter) reach() {
	pairs := 0
	for i := range l.set.Resources {
		kind, _ := SplitResource(l.set.Resources[i].Metadata.Name)
		pairs += len(l.ix.byType[kind])
	}
	if pairs > maxPairs {
		l.problems = append(l.problems, Problem{File: "policy", Warning: true, Message: fmt.Sprintf("there are %d pairs of a role and a resource, too many to look for contracts that are never reached", pairs)})
		return
	}
	permits, offers := map[string]bool{}, map[string]bool{} // contracts
	told := map[[2]string]bool{}
	for i := range l.set.Resources {
		r := &l.set.Resources[i]
		id := r.Metadata.Name
		for _, p := range l.ix.Permitting(id) {
			if _, err := l.ix.Entitlements(p.Role.Metadata.Name, id); err != nil && !told[[2]string{"", p.Role.Metadata.Name + id}] {
				told[[2]string{"", p.Role.Metadata.Name + id}] = true
				l.warn("Role", p.Role.Metadata.Name, "/spec/entitlements", "is permitted on "+id+" and cannot be granted there: "+err.Error(), "")
			}
			var standing []*Contract
			exclusive := false
			for _, c := range p.Contracts {
				permits[c.Metadata.Name] = true
				if c.Spec.State == "active" {
					standing = append(standing, c)
					exclusive = exclusive || c.Spec.Exclusive
				}
			}
			for _, c := range standing {
				if c.Spec.Exclusive || !exclusive {
					offers[c.Metadata.Name] = true
				}
			}
			l.loosened(p.Role.Metadata.Name, id, standing, exclusive, told)
		}
	}
	for i := range l.set.Contracts {
		c := &l.set.Contracts[i]
		switch name := c.Metadata.Name; {
		case !permits[name]:
			l.warn("Contract", name, "/spec/permits", "permits nothing: no role and resource of the catalogue match together", "")
		case c.Spec.State == "active" && !offers[name]:
			l.warn("Contract", name, "/spec/permits", "is never offered: exclusive contracts match wherever it does", "")
		}
	}
}

// loosened tells of two contracts for the same role and resource where one
// asks fewer people.
func (l *linter) loosened(role, resource string, cs []*Contract, exclusive bool, told map[[2]string]bool) {
	var least *Contract
	for _, c := range cs {
		if exclusive && !c.Spec.Exclusive {
			continue
		}
		if least == nil || seatsFor(c, role) < seatsFor(least, role) {
			least = c
		}
	}
	for _, c := range cs {
		if exclusive && !c.Spec.Exclusive {
			continue
		}
		have, want := seatsFor(least, role), seatsFor(c, role)
		pair := [2]string{least.Metadata.Name, c.Metadata.Name}
		if have < want && !told[pair] {
			told[pair] = true
			l.warn("Contract", least.Metadata.Name, "/spec/approvals",
				fmt.Sprintf("needs fewer approvals for %s on %s than contract %s: %d, not %d", role, resource, c.Metadata.Name, have, want), "")
		}
	}
}

// seatsFor counts the people that a contract wants for a role.
func seatsFor(c *Contract, role string) int {
	n := 0
	for _, s := range c.Spec.Approvals.Stages {
		if s.Applies(role) {
			for _, seat := range s.Seats {
				n += seat.Count
			}
		}
	}
	return n
}

// quorums tells of seats that nobody could ever fill, whoever there is: fewer
// people are named than are wanted.
func (l *linter) quorums() {
	for i := range l.set.Contracts {
		c := &l.set.Contracts[i]
		if !l.countable(c) {
			continue
		}
		for _, role := range l.set.Roles {
			name := role.Metadata.Name
			permitted := false
			for _, p := range c.Spec.Permits {
				for _, pattern := range p.Roles {
					permitted = permitted || MatchRole(pattern, name)
				}
			}
			if permitted && !l.fillable(c, name) {
				l.warn("Contract", c.Metadata.Name, "/spec/approvals/stages", "wants more people than its seats name for "+name+": nobody can ever get it", "name more people, or a group")
				break
			}
		}
	}
}

// countable says whether any seat of the contract names only users.
func (l *linter) countable(c *Contract) bool {
	for _, s := range c.Spec.Approvals.Stages {
		for _, seat := range s.Seats {
			if !slices.ContainsFunc(l.ix.SeatWho(seat), func(w access.Who) bool { return w.Group != "" }) {
				return true
			}
		}
	}
	return false
}

// fillable looks for distinct people for all seats that name only users.
// Seats that name a group can be filled by people unknown here.
func (l *linter) fillable(c *Contract, role string) bool {
	var seats [][]string // the users that may fill each
	for _, s := range c.Spec.Approvals.Stages {
		if !s.Applies(role) {
			continue
		}
	seats:
		for _, seat := range s.Seats {
			var users []string
			for _, w := range l.ix.SeatWho(seat) {
				if w.Group != "" {
					continue seats
				}
				users = append(users, string(w.User))
			}
			for range seat.Count {
				seats = append(seats, users)
			}
		}
	}
	holder := map[string]int{}
	for i := range seats {
		if !seatOne(seats, i, holder, map[string]bool{}) {
			return false
		}
	}
	return true
}

// seatOne finds somebody for seat i, moving others where that helps.
func seatOne(seats [][]string, i int, holder map[string]int, tried map[string]bool) bool {
	for _, u := range seats[i] {
		if tried[u] {
			continue
		}
		tried[u] = true
		if at, taken := holder[u]; !taken || seatOne(seats, at, holder, tried) {
			holder[u] = i
			return true
		}
	}
	return false
}

// bluntGuardrails tells of guardrails that close everything to everyone.
func (l *linter) bluntGuardrails() {
	for _, g := range l.set.Guardrails {
		m := g.Spec.Match
		anySubject := m.Subjects == nil || namesEveryone(m.Subjects.Any) && len(m.Subjects.All)+len(m.Subjects.None) == 0
		if g.Spec.Deny == nil || !anySubject || m.Resources != nil && !allResources(m.Resources) || m.Roles != nil && !allRoles(m.Roles) {
			continue
		}
		l.warn("Guardrail", g.Metadata.Name, "/spec/match", "denies everything to everyone", "")
	}
}

func allResources(ss []Selector) bool {
	for _, s := range ss {
		if s.Type == "*" && (s.Path == "" || s.Path == "**") && len(s.Labels) == 0 {
			return true
		}
	}
	return false
}

func allRoles(roles []string) bool {
	return strings.Contains("\n"+strings.Join(roles, "\n")+"\n", "\n**\n")
}
