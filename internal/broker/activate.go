package broker

import (
	"context"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Activate starts a scheduled grant whose start has come, now rather than at
// the provisioner's next look. Before that time it is a StateConflict that
// names it. A grant that has started already is given as it is.
func (b *Broker) Activate(ctx context.Context, who access.Caller, id access.GrantID) (GrantView, error) {
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		g, err := b.seenGrant(ctx, tx, who, id)
		if err != nil {
			return err
		}
		if g.Holder == who.ID && (g.State == access.Provisioning || g.State == access.Active) {
			return nil
		}
		return mayActivate(g, who, tx.Now)
	})
	if err != nil {
		return GrantView{}, b.refused(ctx, who, "grant.activate", id.String(), err)
	}
	if _, err := b.startGrant(ctx, id); err != nil {
		return GrantView{}, fmt.Errorf("activating: %w", err)
	}
	return b.Grant(ctx, who, id)
}
