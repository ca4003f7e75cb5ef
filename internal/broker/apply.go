package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// Apply is a whole policy that should be in force.
type Apply struct {
	Files []contract.File
	// IfMatch is the revision that the author saw; nil leaves it unchecked.
	IfMatch *int64
	// Prune allows documents of the present revision to be left out.
	Prune bool
	Note  string
}

// DocumentRef names a document of a policy.
type DocumentRef struct {
	Kind   string        `json:"kind"`
	Name   string        `json:"name"`
	Digest access.Digest `json:"digest"`
}

// PolicyDiff is how a set differs from the policy in force.
type PolicyDiff struct {
	Revision int64 // that it was compared with
	Added    []DocumentRef
	Modified []DocumentRef
	Removed  []DocumentRef
}

// Empty says whether nothing differs.
func (d PolicyDiff) Empty() bool { return len(d.Added)+len(d.Modified)+len(d.Removed) == 0 }

// Applied is the answer to an Apply.
type Applied struct {
	Revision int64 // now in force
	Changed  bool
	Digest   access.Digest
	Diff     PolicyDiff
	Warnings contract.Problems
}

// ApplyPolicy puts a set of documents in force as a new revision, or changes
// nothing when the same set is in force already. Only contract admins may.
func (b *Broker) ApplyPolicy(ctx context.Context, who access.Caller, in Apply) (Applied, error) {
	panic("soon")
}

// DiffPolicy compares a set with the policy in force. Contract admins and
// auditors may.
func (b *Broker) DiffPolicy(ctx context.Context, who access.Caller, files []contract.File) (PolicyDiff, error) {
	panic("soon")
}

// LintPolicy reports every problem and warning of a set, and changes and
// reads nothing. Documents is how many it holds, 0 when it cannot be used.
func (b *Broker) LintPolicy(files []contract.File) (documents int, problems contract.Problems) {
	panic("soon")
}
