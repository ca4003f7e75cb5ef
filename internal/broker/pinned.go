package broker

import (
	"context"
	"sync"

	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// pinnedPolicies keeps the last few old revisions that were needed: pending
// requests and scheduled grants are checked against those that decided them.
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
	if b.pinned.indexes == nil || len(b.pinned.indexes) >= maxPinned {
		b.pinned.indexes = map[int64]*contract.Index{}
	}
	b.pinned.indexes[revision] = ix
	return ix, nil
}
