package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// startDue starts every scheduled grant whose start has come (T5), or ends it
// (T9). One that cannot be checked now keeps none of the others waiting.
func (b *Broker) startDue(ctx context.Context) error {
	var (
		after access.GrantID
		errs  []error
	)
	for {
		var ids []access.GrantID
		err := b.store.InTx(ctx, func(tx *store.Tx) (err error) {
			ids, err = tx.DueGrants(ctx, after, batch)
			return err
		})
		if err != nil {
			return fmt.Errorf("looking for grants to start: %w", errors.Join(append(errs, err)...))
		}
		for _, id := range ids {
			if _, err := b.startGrant(ctx, id); err != nil {
				errs = append(errs, err)
			}
			b.at("started")
			after = id
		}
		if len(ids) < batch {
			return errors.Join(errs...)
		}
	}
}
