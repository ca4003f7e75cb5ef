package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// DryRun soon.
func (b *Broker) DryRun(ctx context.Context, who access.Caller, ask access.Ask) (access.Decision, error) {
	panic("soon")
}
