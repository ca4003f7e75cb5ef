package broker

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// pinnedPolicies keeps the newest of the old revisions that were needed:
// pending requests and scheduled grants are checked against those that decided
// them.
type pinnedPolicies struct {
	mu      sync.Mutex
	indexes map[int64]*contract.Index
}

const maxPinned = 16

// policyOf gives the compiled policy of a revision that is committed.
func (b *Broker) policyOf(ctx context.Context, tx *store.Tx, revision int64) (*contract.Index, error) {
	b.pinned.mu.Lock()
	ix, ok := b.pinned.indexes[revision]
	b.pinned.mu.Unlock()
	if ok {
		return ix, nil
	}
	ix, err := b.compile(ctx, tx, revision)
	if err != nil {
		return nil, err
	}
	b.pinned.mu.Lock()
	defer b.pinned.mu.Unlock()
	b.pinned.keep(ix)
	return ix, nil
}

// keep adds one, and lets the oldest of the others go when there are too many:
// the one that was just needed will be needed again. Called with the lock held.
func (p *pinnedPolicies) keep(ix *contract.Index) {
	if p.indexes == nil {
		p.indexes = map[int64]*contract.Index{}
	}
	if _, known := p.indexes[ix.Revision]; !known && len(p.indexes) >= maxPinned {
		delete(p.indexes, slices.Min(slices.Collect(maps.Keys(p.indexes))))
	}
	p.indexes[ix.Revision] = ix
}
