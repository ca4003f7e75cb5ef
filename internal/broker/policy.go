package broker

import (
	"context"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// inPolicy gives the compiled policy that is in force, and keeps it in force
// until the transaction ends. Before the first apply it is an empty policy,
// which permits nothing.
func (b *Broker) inPolicy(ctx context.Context, tx *store.Tx) (*contract.Index, error) {
	revision, err := tx.CurrentRevision(ctx)
	if err != nil {
		return nil, err
	}
	if ix := b.index.Load(); ix != nil && ix.Revision == revision {
		return ix, nil
	}
	ix, err := b.compile(ctx, tx, revision)
	if err != nil {
		return nil, err
	}
	b.remember(ix)
	return ix, nil
}

// compile makes the index of a revision that is committed. A policy that is
// not the one that was applied decides nothing: its digest is in the audit log
// beside who applied it. What takes access away does not ask policy.
func (b *Broker) compile(ctx context.Context, tx *store.Tx, revision int64) (*contract.Index, error) {
	if revision == 0 {
		return contract.Compile(&contract.Set{}, 0, b.issuer), nil
	}
	r, err := tx.Revision(ctx, revision)
	if err != nil {
		return nil, fmt.Errorf("loading policy revision %d: %w", revision, err)
	}
	rows, err := tx.Documents(ctx, revision)
	if err != nil {
		return nil, fmt.Errorf("loading the documents of policy revision %d: %w", revision, err)
	}
	documents := make([]contract.Document, len(rows))
	for i, d := range rows {
		documents[i] = contract.Document{Kind: d.Kind, Name: d.Name, Digest: d.Digest, Body: d.Body, Source: d.Source}
	}
	set, err := contract.Decode(documents)
	if err != nil {
		return nil, fmt.Errorf("reading policy revision %d: %w", revision, err)
	}
	if got := set.Digest(); got != r.Digest {
		return nil, fmt.Errorf("the documents of policy revision %d have the digest %s and not %s: they were changed after they were applied, so they grant nothing; apply the policy anew, with prune", revision, got, r.Digest)
	}
	return contract.Compile(set, revision, r.Issuer), nil
}

// remember keeps an index for the transactions to come, unless a later one is
// kept already.
func (b *Broker) remember(ix *contract.Index) {
	for {
		have := b.index.Load()
		if have != nil && have.Revision >= ix.Revision {
			return
		}
		if b.index.CompareAndSwap(have, ix) {
			b.metrics.prepareContracts(ix)
			return
		}
	}
}
