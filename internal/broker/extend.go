package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Extend soon.
func (b *Broker) Extend(ctx context.Context, who access.Caller, id access.GrantID, by access.Seconds, reason, ticket string, key Key) (Submitted, error) {
	panic("soon")
}
