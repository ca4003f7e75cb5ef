package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// recheck says why items of a decided request no longer stand, or "" when
// they do. The permits are those of the revision that decided; the guardrails
// of the policy in force now, suspended and removed contracts and current
// facts count as well, so that what is later can only tighten (I6). A nil
// items means all of them. It reads facts with b.facts; adjust may change
// them, for a grant that must not stand in its own way.
func (b *Broker) recheck(ctx context.Context, tx *store.Tx, now *contract.Index, req access.Request, d access.Decision, items []int, adjust func(engine.Facts) engine.Facts) (why string, err error) {
	panic("soon")
}
