package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// DryRun decides what who asks for as Submit would, and stores nothing. A
// refusal is an answer here, not an error.
func (b *Broker) DryRun(ctx context.Context, who access.Caller, ask access.Ask) (access.Decision, error) {
	ask.StartAt = ask.StartAt.UTC().Truncate(time.Microsecond)
	var d access.Decision
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		if err := ask.Validate(tx.Now); err != nil {
			return err
		}
		ix, err := b.inPolicy(ctx, tx)
		if err != nil {
			return fmt.Errorf("loading policy: %w", err)
		}
		if who.Subject, err = asKnown(ctx, tx, who.Subject); err != nil {
			return err
		}
		facts, err := b.facts(ctx, tx, ix, who.Subject, ask)
		if err != nil {
			return fmt.Errorf("gathering facts: %w", err)
		}
		d = engine.Evaluate(ix, ask, "", facts)
		return nil
	})
	if err != nil {
		return access.Decision{}, fmt.Errorf("trying request: %w", err)
	}
	if !mayReadTraces(who) {
		d = engine.Redact(d)
	}
	return d, nil
}
