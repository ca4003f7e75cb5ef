package broker

import (
	"context"
	"fmt"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// maxNote bounds the note of a revision.
const maxNote = 1000

// Apply is a whole policy that should be in force.
type Apply struct {
	Files []contract.File
	// IfMatch is the revision that the author saw; nil leaves it unchecked.
	IfMatch *int64
	// Prune allows documents of the present revision to be left out.
	Prune bool
	Note  string
}

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
//
// The set takes effect for every decision that starts after the commit;
// live grants that it forbids end at the next look of the loops.
func (b *Broker) ApplyPolicy(ctx context.Context, who access.Caller, in Apply) (Applied, error) {
	if !who.Has(access.ContractAdmin) {
		return Applied{}, b.refused(ctx, who, "policy.apply", access.PolicyStream, &access.Error{
			Code: access.Forbidden, Message: "Only contract admins change policy. Ask one of them to review the set and apply it.",
		})
	}
	if bad := access.CheckText(in.Note, maxNote); bad != "" {
		return Applied{}, &access.Error{Code: access.Invalid, Message: "The note cannot be taken as it is.", Details: []access.Detail{{Parameter: "note", Detail: bad}}}
	}
	set, warnings, err := b.load(in.Files)
	if err != nil {
		return Applied{}, err
	}
	var out Applied
	err = b.store.InTx(ctx, func(tx *store.Tx) error {
		out = Applied{Digest: set.Digest(), Warnings: warnings}
		return b.replace(ctx, tx, who.ID, in, set, &out)
	})
	if err != nil {
		return Applied{}, fmt.Errorf("applying policy: %w", err)
	}
	if out.Changed {
		b.remember(contract.Compile(set, out.Revision, b.issuer))
	}
	return out, nil
}

// replace compares the set with the policy in force, under its lock, and puts
// the set in its place.
func (b *Broker) replace(ctx context.Context, tx *store.Tx, author access.PrincipalID, in Apply, set *contract.Set, out *Applied) error {
	current, err := tx.CurrentRevisionForUpdate(ctx)
	if err != nil {
		return err
	}
	out.Revision = current
	if out.Diff, err = b.diff(ctx, tx, current, set); err != nil {
		return err
	}
	// A set that is in force already needs no check of IfMatch: an apply that
	// is tried again because its answer was lost changes nothing.
	if current > 0 && out.Diff.Empty() {
		r, err := tx.Revision(ctx, current)
		if err != nil {
			return fmt.Errorf("loading policy revision %d: %w", current, err)
		}
		if r.Issuer == b.issuer { // with another one the same text means other people
			return nil
		}
	}
	if in.IfMatch != nil && *in.IfMatch != current {
		return &access.Error{
			Code:    access.PreconditionFailed,
			Message: fmt.Sprintf("The set was made from policy revision %d, and revision %d is in force now. Compare it with that one and apply again.", *in.IfMatch, current),
			Current: fmt.Sprint(current),
		}
	}
	if !in.Prune && len(out.Diff.Removed) > 0 {
		return &access.Error{
			Code: access.Invalid,
			Message: fmt.Sprintf("The set leaves out %d of the documents in force: %s. Add them, or apply with prune to remove them.",
				len(out.Diff.Removed), names(out.Diff.Removed)),
		}
	}
	out.Revision, out.Changed = current+1, true
	documents := make([]store.PolicyDocument, len(set.Documents))
	for i, d := range set.Documents {
		documents[i] = store.PolicyDocument{Digest: d.Digest, Kind: d.Kind, Name: d.Name, Body: d.Body, Source: d.Source}
	}
	if err := tx.InsertRevision(ctx, store.PolicyRevision{
		Revision: out.Revision, Digest: out.Digest, Author: author, Issuer: b.issuer, Note: in.Note,
	}, documents); err != nil {
		return err
	}
	return tx.Record(ctx, access.Event{
		Stream: access.PolicyStream, Version: out.Revision, Type: access.PolicyApplied, Actor: author,
		Data: encode(appliedData{
			Digest: out.Digest, Documents: len(documents), Pruned: in.Prune,
			Added: refs(out.Diff.Added), Modified: refs(out.Diff.Modified), Removed: refs(out.Diff.Removed),
		}),
	})
}

// appliedData is what the audit log keeps of an apply. The documents
// themselves are kept for good, by the digest of the revision.
type appliedData struct {
	Digest    access.Digest `json:"digest"`
	Documents int           `json:"documents"`
	Pruned    bool          `json:"prune,omitempty"`
	Added     changed       `json:"added"`
	Modified  changed       `json:"modified"`
	Removed   changed       `json:"removed"`
}

// changed counts documents, and names the first of them.
type changed struct {
	Count int      `json:"count"`
	Names []string `json:"names,omitempty"`
}

func refs(list []DocumentRef) changed {
	out := changed{Count: len(list)}
	for _, d := range list[:min(len(list), 100)] {
		out.Names = append(out.Names, d.String())
	}
	return out
}

func names(list []DocumentRef) string {
	shown := refs(list).Names
	if len(shown) > 10 {
		shown = append(shown[:10:10], "…")
	}
	return strings.Join(shown, ", ")
}
