package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Request soon.
func (b *Broker) Request(ctx context.Context, who access.Caller, id access.RequestID) (RequestView, error) {
	panic("soon")
}

// Requests soon.
func (b *Broker) Requests(ctx context.Context, who access.Caller, f RequestFilter) (Page[RequestView], error) {
	panic("soon")
}

// Approvals soon.
func (b *Broker) Approvals(ctx context.Context, who access.Caller, limit int, cursor string) (Page[RequestView], error) {
	panic("soon")
}

// Timeline soon.
func (b *Broker) Timeline(ctx context.Context, who access.Caller, id access.RequestID) ([]store.EventRow, error) {
	panic("soon")
}
