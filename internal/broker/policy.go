package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// inPolicy gives the compiled policy that is in force, and keeps it in force
// until the transaction ends. Before the first apply it is an empty policy,
// which permits nothing.
func (b *Broker) inPolicy(ctx context.Context, tx *store.Tx) (*contract.Index, error) {
	panic("soon")
}
