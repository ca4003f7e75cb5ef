package contract

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Digest identifies the set by the digests of its documents. It depends on
// neither the order nor the files in which they were written.
func (s *Set) Digest() access.Digest {
	lines := make([]string, len(s.Documents))
	for i, d := range s.Documents {
		lines[i] = d.Kind + "/" + d.Name + " " + string(d.Digest)
	}
	slices.SortFunc(lines, strings.Compare)
	return access.DigestOf(lines)
}

// sort puts every list in the order of names.
func (s *Set) sort() {
	slices.SortFunc(s.Documents, func(a, b Document) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(s.Roles, func(a, b Role) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
	slices.SortFunc(s.Resources, func(a, b Resource) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
	slices.SortFunc(s.Approvers, func(a, b Approvers) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
	slices.SortFunc(s.Contracts, func(a, b Contract) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
	slices.SortFunc(s.Guardrails, func(a, b Guardrail) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
}

// Document finds a document by its kind and name.
func (s *Set) Document(kind, name string) (Document, bool) {
	at, ok := slices.BinarySearchFunc(s.Documents, identity{kind, name}, func(d Document, want identity) int {
		return cmp.Or(strings.Compare(d.Kind, want.kind), strings.Compare(d.Name, want.name))
	})
	if !ok {
		return Document{}, false
	}
	return s.Documents[at], true
}
