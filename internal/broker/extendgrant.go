package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// extendGrant raises a grant's end (T12) from where it is once the grant is
// locked. It is called in the transaction that approves the extension, with
// the request's row locked already. The event names the actor and the request
// that extends.
func (b *Broker) extendGrant(ctx context.Context, tx *store.Tx, id access.GrantID, longer access.Seconds, actor access.PrincipalID, by access.RequestID) (access.Grant, error) {
	needs, g, err := lockGrant(ctx, tx, id)
	if err != nil {
		return access.Grant{}, err
	}
	to := g.ExpiresAt.Add(longer.Duration())
	if !g.NotAfter.IsZero() && to.After(g.NotAfter) {
		return g, &access.Error{
			Code: access.StateConflict, Current: string(g.State),
			Message: "The contract " + g.Contract + " ends at " + stamp(g.NotAfter) + ", and no grant outlives it.",
		}
	}
	g, err = b.moveGrant(ctx, tx, g, grantMove{
		on: access.OnExtend, actor: actor, facts: access.GrantFacts{NewExpiry: to},
		set: func(g *access.Grant) { g.ExpiresAt = to }, data: grantData{Request: by},
	})
	if err != nil {
		return g, err
	}
	// Where the target has an expiry of its own, it has to learn the new one.
	return g, tx.WakeEntitlements(ctx, tx.Now, idsOf(needs)...)
}
