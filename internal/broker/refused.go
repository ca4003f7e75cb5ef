package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// refused puts on record that an authenticated caller was told no, in a
// transaction of its own, and gives err back. Only refusals by a rule are
// recorded: what was merely mistyped, missing or late is not.
func (b *Broker) refused(ctx context.Context, who access.Caller, action, object string, err error) error {
	panic("soon")
}
