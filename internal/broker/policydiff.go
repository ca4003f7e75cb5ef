package broker

import (
	"context"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// DocumentRef names a document of a policy.
type DocumentRef struct {
	Kind   string        `json:"kind"`
	Name   string        `json:"name"`
	Digest access.Digest `json:"digest"`
}

// String gives Kind/name.
func (d DocumentRef) String() string { return d.Kind + "/" + d.Name }

// PolicyDiff is how a set differs from the policy in force.
type PolicyDiff struct {
	Revision int64 // that it was compared with
	Added    []DocumentRef
	Modified []DocumentRef
	Removed  []DocumentRef
}

// Empty says whether nothing differs.
func (d PolicyDiff) Empty() bool { return len(d.Added)+len(d.Modified)+len(d.Removed) == 0 }

// DiffPolicy compares a set with the policy in force. Contract admins and
// auditors may.
func (b *Broker) DiffPolicy(ctx context.Context, who access.Caller, files []contract.File) (PolicyDiff, error) {
	if !readsPolicy(who) {
		return PolicyDiff{}, b.refused(ctx, who, "policy.diff", access.PolicyStream, &access.Error{
			Code: access.Forbidden, Message: "Only contract admins and auditors compare policy. You can lint the set.",
		})
	}
	set, _, err := b.load(files)
	if err != nil {
		return PolicyDiff{}, err
	}
	var out PolicyDiff
	err = b.store.InTx(ctx, func(tx *store.Tx) error {
		current, err := tx.CurrentRevision(ctx)
		if err != nil {
			return err
		}
		out, err = b.diff(ctx, tx, current, set)
		return err
	})
	if err != nil {
		return PolicyDiff{}, fmt.Errorf("comparing policy: %w", err)
	}
	return out, nil
}

// LintPolicy reports every problem and warning of a set, and changes and
// reads nothing. Documents is how many it holds, 0 when it cannot be used.
func (b *Broker) LintPolicy(files []contract.File) (documents int, problems contract.Problems) {
	set, problems := contract.Load(files...)
	if set == nil {
		return 0, problems
	}
	return len(set.Documents), b.warnings(set, problems)
}

// load is LintPolicy for those who need the set.
func (b *Broker) load(files []contract.File) (*contract.Set, contract.Problems, error) {
	set, problems := contract.Load(files...)
	if set == nil {
		return nil, nil, invalidPolicy(problems)
	}
	return set, b.warnings(set, problems), nil
}

// warnings adds what the set as a whole gives reason to doubt.
func (b *Broker) warnings(set *contract.Set, problems contract.Problems) contract.Problems {
	problems = append(problems, contract.Lint(set)...)
	problems = append(problems, b.unknownConnectors(set)...)
	problems.Sort()
	return problems
}

// invalidPolicy is the refusal of a set with errors.
func invalidPolicy(problems contract.Problems) error {
	wrong := problems.Errors()
	e := &access.Error{Code: access.ContractInvalid, Message: fmt.Sprintf("The policy has %d errors; nothing was changed.", len(wrong))}
	if len(wrong) == 1 {
		e.Message = "The policy has an error; nothing was changed."
	}
	for _, p := range wrong {
		detail := p.Message
		if p.Fix != "" {
			detail += " (" + p.Fix + ")"
		}
		e.Details = append(e.Details, access.Detail{Detail: detail, Pointer: p.Pointer, File: p.File, Line: p.Line, Column: p.Column})
	}
	return e
}

// unknownConnectors warns of resources that this server cannot reach. It is
// no error: the configuration of connectors and the policy come by different
// ways, in either order.
func (b *Broker) unknownConnectors(set *contract.Set) contract.Problems {
	places := map[string]contract.Document{}
	for _, d := range set.Documents {
		if d.Kind == "Resource" {
			places[d.Name] = d
		}
	}
	var out contract.Problems
	for _, r := range set.Resources {
		if _, ok := b.connectors.Get(r.Spec.Connector); ok {
			continue
		}
		at := places[r.Metadata.Name]
		out = append(out, contract.Problem{
			File: at.File, Line: at.Line, Column: 1, Pointer: "/spec/connector", Warning: true,
			Message: fmt.Sprintf("this server has no connector %s, so nothing on %s can be granted", r.Spec.Connector, r.Metadata.Name),
			Fix:     "add it to the server's configuration",
		})
	}
	return out
}

// diff compares a set with a revision, both in order of kind and name.
func (b *Broker) diff(ctx context.Context, tx *store.Tx, revision int64, set *contract.Set) (PolicyDiff, error) {
	out := PolicyDiff{Revision: revision}
	have, err := tx.Members(ctx, revision)
	if err != nil {
		return out, fmt.Errorf("loading the documents of policy revision %d: %w", revision, err)
	}
	before := make(map[[2]string]access.Digest, len(have))
	for _, d := range have {
		before[[2]string{d.Kind, d.Name}] = d.Digest
	}
	for _, d := range set.Documents {
		ref, key := DocumentRef{Kind: d.Kind, Name: d.Name, Digest: d.Digest}, [2]string{d.Kind, d.Name}
		switch digest, known := before[key]; {
		case !known:
			out.Added = append(out.Added, ref)
		case digest != d.Digest:
			out.Modified = append(out.Modified, ref)
		}
		delete(before, key)
	}
	for _, d := range have {
		if _, left := before[[2]string{d.Kind, d.Name}]; left {
			out.Removed = append(out.Removed, DocumentRef{Kind: d.Kind, Name: d.Name, Digest: d.Digest})
		}
	}
	return out, nil
}

// readsPolicy says whether the caller may read all documents.
func readsPolicy(who access.Caller) bool {
	return who.Has(access.ContractAdmin) || who.Has(access.Auditor)
}
