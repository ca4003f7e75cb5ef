package broker

import (
	"context"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/store"
)

// keepHouse deletes, now and then, what is no evidence and has served its
// time: idempotency keys, sign-ins that never came back, sessions that are
// over.
func (b *Broker) keepHouse(ctx context.Context) {
	const every = 5 * time.Minute
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		err := b.store.InTx(ctx, func(tx *store.Tx) error { return tx.DeleteStale(ctx) })
		if err != nil && ctx.Err() == nil {
			b.log.ErrorContext(ctx, "housekeeping failed; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
