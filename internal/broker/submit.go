package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Submit soon.
func (b *Broker) Submit(ctx context.Context, who access.Caller, ask access.Ask, key Key) (Submitted, error) {
	panic("soon")
}
