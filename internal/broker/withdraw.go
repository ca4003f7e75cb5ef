package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Withdraw soon.
func (b *Broker) Withdraw(ctx context.Context, who access.Caller, id access.RequestID) (RequestView, error) {
	panic("soon")
}
