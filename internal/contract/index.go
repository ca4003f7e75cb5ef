package contract

import (
	"slices"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Index is a compiled set. It is read-only and safe for concurrent use.
type Index struct {
	Revision int64
	Issuer   string // whose subjects the bare user names of documents are

	set        *Set
	roles      map[string]*Role
	byType     map[string][]*Role // that mean something on the type, by name
	resources  map[string]*Resource
	approvers  map[string]*Approvers
	contracts  map[string]*Contract
	permits    *tree // owners are indexes into set.Contracts
	guardrails *tree // and into set.Guardrails
}

// Compile builds the index of a set. Bare user names get the issuer.
func Compile(set *Set, revision int64, issuer string) *Index {
	ix := &Index{
		Revision: revision, Issuer: issuer, set: set,
		roles: map[string]*Role{}, byType: map[string][]*Role{}, resources: map[string]*Resource{},
		approvers: map[string]*Approvers{}, contracts: map[string]*Contract{},
		permits: newTree(), guardrails: newTree(),
	}
	for i := range set.Roles {
		r := &set.Roles[i]
		ix.roles[r.Metadata.Name] = r
		for kind, entitlements := range r.Spec.Entitlements {
			if len(entitlements) > 0 {
				ix.byType[kind] = append(ix.byType[kind], r)
			}
		}
	}
	for i := range set.Resources {
		ix.resources[set.Resources[i].Metadata.Name] = &set.Resources[i]
	}
	for i := range set.Approvers {
		ix.approvers[set.Approvers[i].Metadata.Name] = &set.Approvers[i]
	}
	for i := range set.Contracts {
		c := &set.Contracts[i]
		ix.contracts[c.Metadata.Name] = c
		for _, p := range c.Spec.Permits {
			ix.permits.addAll(i, p.Roles, p.Resources)
		}
	}
	for i := range set.Guardrails {
		m := set.Guardrails[i].Spec.Match
		if m.Roles == nil {
			m.Roles = []string{"**"}
		}
		if m.Resources == nil {
			m.Resources = []Selector{{Type: "*"}}
		}
		ix.guardrails.addAll(i, m.Roles, m.Resources)
	}
	return ix
}

func (t *tree) addAll(owner int, roles []string, resources []Selector) {
	for _, role := range roles {
		for _, s := range resources {
			t.add(owner, role, s)
		}
	}
}

// Set gives the documents that the index was made of.
func (ix *Index) Set() *Set { return ix.set }

// Resource gives a catalogue entry by its id, type:path.
func (ix *Index) Resource(id string) (*Resource, bool) { r, ok := ix.resources[id]; return r, ok }

// Role gives a role by its name.
func (ix *Index) Role(name string) (*Role, bool) { r, ok := ix.roles[name]; return r, ok }

// Contract gives a contract by its name.
func (ix *Index) Contract(name string) (*Contract, bool) { c, ok := ix.contracts[name]; return c, ok }

// Approvers gives a set of approvers by its name.
func (ix *Index) Approvers(name string) (*Approvers, bool) {
	a, ok := ix.approvers[name]
	return a, ok
}

// Contracts gives those with a permit that covers the role on the resource,
// whatever their state and validity, sorted by name. There are none when the
// role or the resource is not in the catalogue, or when the role means
// nothing on that type of resource.
func (ix *Index) Contracts(role, resource string) []*Contract {
	r, ok := ix.resources[resource]
	if !ok || !ix.means(role, r) {
		return nil
	}
	var buf [32]int32
	hits := ix.permits.find(buf[:0], role, r)
	if len(hits) == 0 {
		return nil
	}
	out := make([]*Contract, len(hits))
	for i, at := range hits {
		out[i] = &ix.set.Contracts[at]
	}
	return out
}

// means says whether the role has entitlements on that type of resource.
func (ix *Index) means(role string, r *Resource) bool {
	have, ok := ix.roles[role]
	if !ok {
		return false
	}
	kind, _ := SplitResource(r.Metadata.Name)
	return len(have.Spec.Entitlements[kind]) > 0
}

// Guardrails gives those whose roles and resources match, sorted by name.
// Their subjects are not looked at.
func (ix *Index) Guardrails(role, resource string) []*Guardrail {
	r, ok := ix.resources[resource]
	if !ok {
		return nil
	}
	var buf [32]int32
	hits := ix.guardrails.find(buf[:0], role, r)
	if len(hits) == 0 {
		return nil
	}
	out := make([]*Guardrail, len(hits))
	for i, at := range hits {
		out[i] = &ix.set.Guardrails[at]
	}
	return out
}

// Permitted is a role that contracts permit on a resource.
type Permitted struct {
	Role      *Role
	Contracts []*Contract // as Contracts gives them; never empty
}

// Permitting gives every role that some contract permits on the resource,
// sorted by name.
func (ix *Index) Permitting(resource string) []Permitted {
	var out []Permitted
	kind, _ := SplitResource(resource)
	for _, role := range ix.byType[kind] {
		if cs := ix.Contracts(role.Metadata.Name, resource); len(cs) > 0 {
			out = append(out, Permitted{role, cs})
		}
	}
	return out
}

// Who resolves an atom to people; a bare user name gets the issuer. The atom
// everyone names nobody here: no seat is open to everyone.
func (ix *Index) Who(a Atom) access.Who {
	switch {
	case a.User != "" && strings.Contains(a.User, "|"):
		return access.Who{User: access.PrincipalID(a.User)}
	case a.User != "":
		return access.Who{User: access.NewPrincipalID(ix.Issuer, a.User)}
	default:
		return access.Who{Group: a.Group}
	}
}

// SeatWho gives the people that a seat is open to.
func (ix *Index) SeatWho(s Seat) []access.Who {
	if s.From.Set == "" {
		return []access.Who{ix.Who(Atom{User: s.From.User, Group: s.From.Group})}
	}
	set, ok := ix.approvers[s.From.Set]
	if !ok {
		return nil
	}
	out := make([]access.Who, 0, len(set.Spec.Any))
	for _, a := range set.Spec.Any {
		if w := ix.Who(a); !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}
