package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// grantData is the data of a grant's events after the first: what changed,
// and for an end what was seen of each entitlement.
type grantData struct {
	State     access.GrantState `json:"state"`
	ExpiresAt time.Time         `json:"expires_at"`
	Reason    access.EndReason  `json:"reason,omitempty"`
	// Why is a sentence of the broker's own; no person wrote it.
	Why string `json:"why,omitempty"`
	// Note is the salted digest of what a person wrote.
	Note         access.Digest     `json:"note_hash,omitempty"`
	Request      access.RequestID  `json:"request_id,omitzero"` // that extends
	Entitlements []entitlementSeen `json:"entitlements,omitempty"`
	Attested     []attestedData    `json:"attested_by,omitempty"`
}

// entitlementSeen is how an entitlement stood when its grant moved.
type entitlementSeen struct {
	Connector  string          `json:"connector"`
	Account    string          `json:"account"`
	Permission string          `json:"permission"`
	Presence   access.Presence `json:"presence"`
	// Released: it stays, because another live grant needs it.
	Released bool `json:"released,omitempty"`
}

var grantEventType = map[access.Trigger]access.EventType{
	access.OnStart:   access.GrantProvisioning,
	access.OnConfirm: access.GrantActivated,
	access.OnEnd:     access.GrantRevoking,
	access.OnVerify:  access.GrantEnded,
	access.OnAttest:  access.GrantEnded,
	access.OnLapse:   access.GrantLapsed,
	access.OnCancel:  access.GrantCancelled,
	access.OnExtend:  access.GrantExtended,
	access.OnShorten: access.GrantShortened,
}

// grantMove is one step of a grant's lifecycle.
type grantMove struct {
	on    access.Trigger
	actor access.PrincipalID
	facts access.GrantFacts
	set   func(*access.Grant) // what changes besides the state
	data  grantData
}

// moveGrant takes a locked grant one step and records the event. A guard that
// stops it is a StateConflict, and nothing is written.
func (b *Broker) moveGrant(ctx context.Context, tx *store.Tx, g access.Grant, m grantMove) (access.Grant, error) {
	before := g.State
	m.facts.Now, m.facts.ExpiresAt, m.facts.StartAt, m.facts.StartBy, m.facts.StartedAt = tx.Now, g.ExpiresAt, g.StartAt, g.StartBy, g.StartedAt
	m.facts.MaxTotal = g.MaxTotal.Duration()
	after, err := access.NextGrant(before, m.on, m.facts)
	if err != nil {
		return g, err
	}
	g.State = after
	if !after.Live() {
		g.EndedAt = tx.Now
	}
	if m.set != nil {
		m.set(&g)
	}
	if g, err = tx.MoveGrant(ctx, before, m.on, g); err != nil {
		return g, fmt.Errorf("moving the grant to %s: %w", after, err)
	}
	m.data.State, m.data.ExpiresAt, m.data.Reason = g.State, g.ExpiresAt.UTC(), g.EndReason
	err = tx.Record(ctx, access.Event{
		Stream: access.StreamOf(g.ID), Version: g.Version, Type: grantEventType[m.on], Actor: m.actor, Data: encode(m.data),
	})
	if err != nil {
		return g, fmt.Errorf("recording the grant's %s: %w", m.on, err)
	}
	return g, nil
}

// entitlementFacts works out what decides about each entitlement of a grant,
// by the functions that the model check uses.
func (b *Broker) entitlementFacts(g access.GrantID, standing []store.Standing, now time.Time) ([]access.EntitlementFacts, []entitlementSeen) {
	facts := make([]access.EntitlementFacts, len(standing))
	seen := make([]entitlementSeen, len(standing))
	for i, s := range standing {
		others := make([]access.Need, 0, len(s.Needs))
		for _, n := range s.Needs {
			if n.Grant != g {
				others = append(others, n)
			}
		}
		facts[i] = access.EntitlementFacts{
			Presence:   s.Presence,
			Unresolved: access.Unresolved(s.Operations, now, b.skew),
			Needed:     !access.Wanted(others, now).IsZero(),
		}
		seen[i] = entitlementSeen{
			Connector: s.Connector, Account: s.Account, Permission: s.Permission,
			Presence: s.Presence, Released: facts[i].Needed,
		}
	}
	return facts, seen
}

// settleGrant moves a locked grant on if its entitlements allow it:
// provisioning to active when all were read back as present (T6), revoking to
// ended when each was verified absent or is still needed by another (T10). A
// grant for which the time has not come stays as it is. What it reads, it
// reads after the lock: of two workers that finish a grant's last two
// entitlements at once, the second sees what the first wrote.
func (b *Broker) settleGrant(ctx context.Context, tx *store.Tx, g access.Grant) (access.Grant, error) {
	var on access.Trigger
	set := func(*access.Grant) {}
	switch g.State {
	case access.Provisioning:
		on, set = access.OnConfirm, func(g *access.Grant) { g.ActivatedAt = tx.Now }
	case access.Revoking:
		on = access.OnVerify
	default:
		return g, nil
	}
	of, err := tx.EntitlementsOf(ctx, g.ID)
	if err != nil {
		return g, err
	}
	facts, seen := b.entitlementFacts(g.ID, of[g.ID], tx.Now)
	if on == access.OnConfirm {
		for i := range seen {
			seen[i].Released = false // that others need it too says nothing here
		}
	}
	moved, err := b.moveGrant(ctx, tx, g, grantMove{
		on: on, actor: access.System, facts: access.GrantFacts{Entitlements: facts}, set: set, data: grantData{Entitlements: seen},
	})
	if access.IsCode(err, access.StateConflict) {
		return g, nil
	}
	return moved, err
}

// endGrant asks for a grant's end (T7, T8), or cancels one that has not
// started (T9). Its entitlements and then the grant are locked by the caller.
// A grant whose end was asked for already stays as it is.
//
// It makes the entitlements due and leaves leases alone: a worker that is
// calling the target finishes first, sees that its grant is wanted no more,
// and leaves the entitlement due at once.
func (b *Broker) endGrant(ctx context.Context, tx *store.Tx, needs []access.Entitlement, g access.Grant, m grantMove, reason access.EndReason) (access.Grant, error) {
	switch g.State {
	case access.Scheduled:
		m.on, m.set = access.OnCancel, func(g *access.Grant) { g.EndReason = reason }
		return b.moveGrant(ctx, tx, g, m)
	case access.Provisioning, access.Active:
		m.on, m.set = access.OnEnd, func(g *access.Grant) { g.EndReason, g.RevokingAt = reason, tx.Now }
	default:
		return g, nil
	}
	g, err := b.moveGrant(ctx, tx, g, m)
	if err != nil {
		return g, err
	}
	if err := tx.WakeEntitlements(ctx, tx.Now, idsOf(needs)...); err != nil {
		return g, err
	}
	// What another grant still needs is released at once.
	return b.settleGrant(ctx, tx, g)
}

func idsOf(es []access.Entitlement) []access.EntitlementID {
	ids := make([]access.EntitlementID, len(es))
	for i, e := range es {
		ids[i] = e.ID
	}
	return ids
}

// lockGrant locks a grant in the order that everybody keeps: its
// entitlements, then the grant.
func lockGrant(ctx context.Context, tx *store.Tx, id access.GrantID) ([]access.Entitlement, access.Grant, error) {
	needs, err := tx.LockEntitlementsOf(ctx, id)
	if err != nil {
		return nil, access.Grant{}, err
	}
	g, err := tx.LockGrant(ctx, id)
	return needs, g, err
}
