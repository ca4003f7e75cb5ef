package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// startGrant starts a scheduled grant whose start has come (T5), or ends it
// when its time has passed or policy no longer allows it (T9). An error
// leaves it scheduled: what cannot be checked waits, and lapses in the end.
//
// The end and the entitlements are committed here, before any call of a
// connector (R1). A crash before the commit leaves a scheduled grant, which
// the next pass starts; a crash after it leaves entitlements that are due,
// which any provisioner claims.
func (b *Broker) startGrant(ctx context.Context, id access.GrantID) (access.Grant, error) {
	var (
		before, g access.Grant
		class     string // of the decision, for metrics
	)
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		var err error
		if g, err = tx.Grant(ctx, id); err != nil || g.State != access.Scheduled || tx.Now.Before(g.StartAt) {
			before = g
			return err
		}
		var why string
		class = ""
		late := !tx.Now.Before(g.StartBy) || !tx.Now.Before(g.ExpiresAt)
		if !late {
			if why, class, err = b.mayStart(ctx, tx, g); err != nil {
				return fmt.Errorf("checking again: %w", err)
			}
		}
		var needs []access.Entitlement
		if needs, g, err = lockGrant(ctx, tx, id); err != nil {
			return err
		}
		before = g
		switch {
		case g.State != access.Scheduled:
			return nil
		case late:
			g, err = b.moveGrant(ctx, tx, g, grantMove{on: access.OnLapse, actor: access.System})
			return err
		case why != "":
			g, err = b.endGrant(ctx, tx, needs, g, grantMove{actor: access.System, data: grantData{Why: why}}, access.EndByPolicy)
			return err
		}
		g, err = b.moveGrant(ctx, tx, g, grantMove{on: access.OnStart, actor: access.System, set: func(g *access.Grant) {
			g.StartedAt = tx.Now
			if end := tx.Now.Add(g.Duration.Duration()); end.Before(g.ExpiresAt) {
				g.ExpiresAt = end
			}
		}})
		if err != nil {
			return err
		}
		return tx.WakeEntitlements(ctx, tx.Now, idsOf(needs)...)
	})
	if err != nil {
		return before, fmt.Errorf("starting grant %s: %w", id, err)
	}
	b.metrics.moved(before, g)
	if before.State == access.Scheduled && g.State == access.Provisioning {
		b.metrics.issued(g, class)
	}
	return g, nil
}

// mayStart says why a decided grant may not start any more, "" when it may,
// and of what class its decision was.
func (b *Broker) mayStart(ctx context.Context, tx *store.Tx, g access.Grant) (why, class string, err error) {
	if _, ok := b.connectors.Get(g.Connector); !ok {
		return "", "", fmt.Errorf("no connector %s is configured", g.Connector)
	}
	ix, err := b.inPolicy(ctx, tx)
	if err != nil {
		return "", "", fmt.Errorf("loading policy: %w", err)
	}
	req, err := tx.Request(ctx, g.RequestID)
	if err != nil {
		return "", "", fmt.Errorf("reading the request: %w", err)
	}
	d, err := tx.Decision(ctx, req.DecisionID)
	if err != nil {
		return "", "", fmt.Errorf("reading the decision: %w", err)
	}
	// The start was allowed when it was asked for; now it has come.
	req.Ask.StartAt = time.Time{}
	why, err = b.recheck(ctx, tx, ix, req, d, []int{g.Item}, func(f engine.Facts) engine.Facts { return f.Without(g.Contract) })
	return why, classOf(d), err
}
