package contract

import "github.com/rampkeeper/rampkeeper/internal/access"

// Index is a compiled set. It is read-only and safe for concurrent use.
type Index struct {
	Revision int64
	Issuer   string // whose subjects the bare user names of documents are

	set *Set
}

// Compile builds the index of a set. Bare user names get the issuer.
func Compile(set *Set, revision int64, issuer string) *Index { panic("soon") }

// Set gives the documents that the index was made of.
func (ix *Index) Set() *Set { return ix.set }

// Resource gives a catalogue entry by its id, type:path.
func (ix *Index) Resource(id string) (*Resource, bool) { panic("soon") }

// Role gives a role by its name.
func (ix *Index) Role(name string) (*Role, bool) { panic("soon") }

// Contract gives a contract by its name.
func (ix *Index) Contract(name string) (*Contract, bool) { panic("soon") }

// Approvers gives a set of approvers by its name.
func (ix *Index) Approvers(name string) (*Approvers, bool) { panic("soon") }

// Contracts gives those with a permit that covers the role on the resource,
// whatever their state and validity, sorted by name. There are none when the
// role or the resource is not in the catalogue, or when the role means
// nothing on that type of resource.
func (ix *Index) Contracts(role, resource string) []*Contract { panic("soon") }

// Guardrails gives those whose roles and resources match, sorted by name.
// Their subjects are not looked at.
func (ix *Index) Guardrails(role, resource string) []*Guardrail { panic("soon") }

// Permitted is a role that contracts permit on a resource.
type Permitted struct {
	Role      *Role
	Contracts []*Contract // as Contracts gives them; never empty
}

// Permitting gives every role that some contract permits on the resource,
// sorted by name.
func (ix *Index) Permitting(resource string) []Permitted { panic("soon") }

// Who resolves an atom to people; a bare user name gets the issuer. The atom
// everyone names nobody here: no seat is open to everyone.
func (ix *Index) Who(a Atom) access.Who { panic("soon") }

// Entitlement is what a role means on one resource: a permission on a
// connector, in the target's terms.
type Entitlement struct {
	Connector  string
	Permission string
}

// Entitlements expands the role's templates for the resource.
func (ix *Index) Entitlements(role, resource string) ([]Entitlement, error) { panic("soon") }
