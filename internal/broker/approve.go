package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// grantAll makes what an approved request gives: a scheduled grant for each
// item (T3), or a later end for the grant that it extends (T12).
func (b *Broker) grantAll(ctx context.Context, tx *store.Tx, req access.Request, d access.Decision, actor access.PrincipalID) error {
	if !req.Ask.Extends.IsZero() {
		if _, err := b.extendGrant(ctx, tx, req.Ask.Extends, d.Items[0].Offer.Duration, actor, req.ID); err != nil {
			return fmt.Errorf("extending the grant: %w", err)
		}
		return nil
	}
	// All at once and in one order: two requests with the same items the other
	// way round must not wait for each other.
	var needs []access.EntitlementKey
	for _, item := range d.Items {
		needs = append(needs, item.Entitlements...)
	}
	if err := tx.InsertEntitlements(ctx, req.Requester, needs); err != nil {
		return err
	}
	events := make([]access.Event, len(d.Items))
	for i, item := range d.Items {
		g := b.newGrant(req, i, item, tx.Now)
		if err := tx.InsertGrant(ctx, g, item.Entitlements); err != nil {
			return fmt.Errorf("inserting the grant of item %d: %w", i, err)
		}
		events[i] = grantedEvent(req, d, g, item.Entitlements, actor)
	}
	if err := tx.Record(ctx, events...); err != nil {
		return fmt.Errorf("recording the grants: %w", err)
	}
	return nil
}

// newGrant works out the clocks of a grant. Its end is absolute from now on:
// the latest that it could be, which the start can only bring forward.
func (b *Broker) newGrant(req access.Request, i int, item access.ItemDecision, now time.Time) access.Grant {
	offer := item.Offer
	start := now
	if req.Ask.StartAt.After(now) {
		start = req.Ask.StartAt
	}
	startBy := start.Add(offer.StartWithin.Duration())
	expires := startBy.Add(offer.Duration.Duration())
	if !offer.NotAfter.IsZero() && offer.NotAfter.Before(expires) {
		expires = offer.NotAfter
	}
	g := access.Grant{
		ID: access.NewID[access.GrantID](now), RequestID: req.ID, Item: i, Holder: req.Requester,
		Role: item.Item.Role, Resource: item.Item.Resource, Contract: offer.Contract,
		State: access.Scheduled, Duration: offer.Duration, MaxTotal: offer.MaxDuration,
		StartAt: start, StartBy: startBy, NotAfter: offer.NotAfter, ExpiresAt: expires,
		ExpiryClass: access.ExpiryReaper, Residual: access.Unbounded, Version: 1, CreatedAt: now,
	}
	if len(item.Entitlements) > 0 {
		g.Connector = item.Entitlements[0].Connector
	}
	if entry, ok := b.connectors.Get(g.Connector); ok {
		if e, ok := entry.Connector.(connector.Expirer); ok {
			g.ExpiryClass, g.Residual = expiry(e)
		}
	}
	return g
}

// expiry gives what a connector declares, in whole seconds upwards.
func expiry(e connector.Expirer) (access.ExpiryClass, access.Seconds) {
	class, residual := e.Expiry()
	if residual < 0 {
		return class, access.Unbounded
	}
	return class, access.Seconds((residual + time.Second - 1) / time.Second)
}

func grantedEvent(req access.Request, d access.Decision, g access.Grant, needs []access.EntitlementKey, actor access.PrincipalID) access.Event {
	data := grantedData{
		RequestID: req.ID, RequestHash: req.Hash, DecisionID: d.ID, Item: g.Item, Holder: g.Holder,
		Role: g.Role, Resource: g.Resource, Contract: g.Contract, Connector: g.Connector, Duration: g.Duration,
		StartAt: g.StartAt.UTC(), StartBy: g.StartBy.UTC(), ExpiresAt: g.ExpiresAt.UTC(), ExpiryClass: g.ExpiryClass,
		Needs: []entitlementKeyData{},
	}
	for _, n := range needs {
		data.Needs = append(data.Needs, entitlementKeyData(n))
	}
	return access.Event{
		Stream: access.StreamOf(g.ID), Version: g.Version, Type: access.GrantScheduled, Actor: actor, Data: encode(data),
	}
}
