package broker

import "context"

// sweepRequests soon.
func (b *Broker) sweepRequests(ctx context.Context) error {
	panic("soon")
}
