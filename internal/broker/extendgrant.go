package broker

import (
	"context"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// extendGrant raises a grant's end (T12). It is called in the transaction
// that approves the extension, with the request's row locked already. The
// event names the actor and the request that extends.
func (b *Broker) extendGrant(ctx context.Context, tx *store.Tx, id access.GrantID, to time.Time, actor access.PrincipalID, by access.RequestID) (access.Grant, error) {
	panic("soon")
}
