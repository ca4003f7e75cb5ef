package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Vote soon.
func (b *Broker) Vote(ctx context.Context, who access.Caller, id access.RequestID, ballot Ballot, key Key) (view RequestView, replayed bool, err error) {
	panic("soon")
}
