package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// facts gathers what a decision about the ask looks at, as it stands in this
// transaction. Contracts with limits are locked until it ends, so that two
// decisions cannot both take the last place.
func (b *Broker) facts(ctx context.Context, tx *store.Tx, ix *contract.Index, subject access.Subject, ask access.Ask) (engine.Facts, error) {
	panic("soon")
}
