package broker

import (
	"context"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/store"
)

// keepHouse counts what metrics show of the database and deletes what is no
// evidence and has served its time: idempotency keys after a day, sign-ins
// that never came back, sessions that are over.
func (b *Broker) keepHouse(ctx context.Context) {
	const countEvery, sweepEvery = 10 * time.Second, 5 * time.Minute
	count, sweep := time.NewTicker(countEvery), time.NewTicker(sweepEvery)
	defer count.Stop()
	defer sweep.Stop()
	for {
		err := b.countGrants(ctx)
		select {
		case <-ctx.Done():
			return
		case <-count.C:
		case <-sweep.C:
			err = b.store.InTx(ctx, func(tx *store.Tx) error { return tx.DeleteStale(ctx) })
		}
		if err != nil && ctx.Err() == nil {
			b.log.ErrorContext(ctx, "housekeeping failed", "err", err)
		}
	}
}

func (b *Broker) countGrants(ctx context.Context) error {
	return b.store.InTx(ctx, func(tx *store.Tx) error {
		counts, err := tx.CountGrants(ctx)
		if err == nil {
			b.metrics.counted(counts, tx.Now)
		}
		return err
	})
}
