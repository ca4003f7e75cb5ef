package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// grantView reads one grant as the caller may see it. That the caller may see
// it is known.
func (b *Broker) grantView(ctx context.Context, tx *store.Tx, who access.Caller, id access.GrantID) (GrantView, error) {
	g, err := tx.Grant(ctx, id)
	if err != nil {
		return GrantView{}, err
	}
	views, err := b.grantViews(ctx, tx, who, []access.Grant{g})
	if err != nil {
		return GrantView{}, err
	}
	return views[0], nil
}

func (b *Broker) grantViews(ctx context.Context, tx *store.Tx, who access.Caller, gs []access.Grant) ([]GrantView, error) {
	views := make([]GrantView, len(gs))
	if len(gs) == 0 {
		return views, nil
	}
	ids, requests, holders := make([]access.GrantID, len(gs)), make([]access.RequestID, len(gs)), make([]access.PrincipalID, len(gs))
	for i, g := range gs {
		ids[i], requests[i], holders[i] = g.ID, g.RequestID, g.Holder
	}
	people, err := peopleByID(ctx, tx, holders...)
	if err != nil {
		return nil, err
	}
	named, err := tx.NamedIn(ctx, who.Subject, requests...)
	if err != nil {
		return nil, fmt.Errorf("reading whom the requests name: %w", err)
	}
	standing, err := tx.EntitlementsOf(ctx, ids...)
	if err != nil {
		return nil, err
	}
	replaced, err := tx.ReplacedCredentials(ctx, ids...)
	if err != nil {
		return nil, err
	}
	notes, err := tx.GrantNotes(ctx, store.NoteAttest, ids...)
	if err != nil {
		return nil, err
	}
	signed := map[access.GrantID][]store.GrantNote{}
	for _, n := range notes {
		signed[n.Grant] = append(signed[n.Grant], n)
	}
	for i, g := range gs {
		v := GrantView{
			Grant: g, Requester: people[g.Holder], Overdue: g.Overdue(tx.Now),
			Entitlements: make([]access.Entitlement, len(standing[g.ID])), Attested: []access.PrincipalID{},
		}
		for j, s := range standing[g.ID] {
			v.Entitlements[j] = s.Entitlement
		}
		for _, n := range signed[g.ID] {
			v.Attested = append(v.Attested, n.Author)
		}
		v.Can = b.canGrant(who, g, named[g.RequestID], replaced[g.ID], signed[g.ID], tx.Now)
		views[i] = v
	}
	return views, nil
}

// canGrant says what the caller may do to a grant, by the functions that
// decide when it is tried.
func (b *Broker) canGrant(who access.Caller, g access.Grant, named, replaced bool, signed []store.GrantNote, now time.Time) []Can {
	_, attest := mayAttest(g, who, signed, now)
	_, revoke := mayRevoke(g, who, named)
	return []Can{
		canDo("activate", mayActivate(g, who, now)),
		canDo("credentials", b.mayTakeCredentials(g, who, replaced, now)),
		canDo("release", mayRelease(g, who)),
		canDo("extend", mayExtend(g, who.ID, now)),
		canDo("shorten", mayShorten(g, who, named, now)),
		canDo("revoke", revoke),
		canDo("attest", attest),
	}
}

// over says that a grant is past the point where anything could be done to it.
func over(g access.Grant) error {
	said := map[access.GrantState]string{
		access.Revoking:  "This grant is being taken away already.",
		access.Ended:     "This grant has ended.",
		access.Lapsed:    "This grant was never started in time.",
		access.Cancelled: "This grant was cancelled before it started.",
	}[g.State]
	if said == "" {
		return nil
	}
	return &access.Error{Code: access.StateConflict, Message: said, Current: string(g.State)}
}

func mayRelease(g access.Grant, who access.Caller) error {
	if g.Holder != who.ID {
		return &access.Error{Code: access.Forbidden, Message: "Only who holds a grant releases it. Those named as its approvers, contract admins and operators may revoke it."}
	}
	return over(g)
}

// mayRevoke says whether the caller may end the grant of somebody, and as what.
func mayRevoke(g access.Grant, who access.Caller, named bool) (access.EndReason, error) {
	switch {
	case g.Holder == who.ID:
		return "", &access.Error{Code: access.Forbidden, Message: "This grant is your own: release it."}
	case named:
		return access.EndByApprover, over(g)
	case who.Has(access.Operator), who.Has(access.ContractAdmin):
		return access.EndByAdmin, over(g)
	}
	return "", &access.Error{Code: access.Forbidden, Message: "Only the approvers that its request names, contract admins and operators revoke a grant."}
}

func mayShorten(g access.Grant, who access.Caller, named bool, now time.Time) error {
	switch {
	case g.Holder != who.ID && !named:
		return &access.Error{Code: access.Forbidden, Message: "Only who holds a grant and the approvers that its request names bring its end forward."}
	case g.State == access.Scheduled:
		return &access.Error{Code: access.StateConflict, Message: "This grant has not started; cancel it, or ask for a shorter one.", Current: string(g.State)}
	case g.State.Live() && g.State != access.Revoking && !now.Before(g.ExpiresAt):
		return &access.Error{Code: access.StateConflict, Message: "This grant's end has passed.", Current: string(g.State)}
	}
	return over(g)
}

func mayActivate(g access.Grant, who access.Caller, now time.Time) error {
	if g.Holder != who.ID {
		return &access.Error{Code: access.Forbidden, Message: "Only who holds a grant activates it."}
	}
	if g.State != access.Scheduled {
		if err := over(g); err != nil {
			return err
		}
		return &access.Error{Code: access.StateConflict, Message: "This grant is started already.", Current: string(g.State)}
	}
	_, err := access.NextGrant(g.State, access.OnStart, access.GrantFacts{
		Now: now, StartAt: g.StartAt, StartBy: g.StartBy, ExpiresAt: g.ExpiresAt,
	})
	return err
}

// mayTakeCredentials: once, and again when others that the same account was
// given since, for another grant, have replaced them.
func (b *Broker) mayTakeCredentials(g access.Grant, who access.Caller, replaced bool, now time.Time) error {
	if g.Holder != who.ID {
		return &access.Error{Code: access.Forbidden, Message: "Credentials are handed to who holds the grant, and to nobody else."}
	}
	switch {
	case g.State != access.Active:
		if err := over(g); err != nil {
			return err
		}
		return &access.Error{Code: access.StateConflict, Message: "Credentials are there once the grant is active; it is " + string(g.State) + ".", Current: string(g.State)}
	case !now.Before(g.ExpiresAt):
		return &access.Error{Code: access.StateConflict, Message: "This grant's end has passed.", Current: string(g.State)}
	case !g.CredentialsIssuedAt.IsZero() && !replaced:
		return &access.Error{
			Code: access.StateConflict, Current: string(g.State),
			Message: "The credentials of this grant were handed over at " + stamp(g.CredentialsIssuedAt) + ". They are kept nowhere; if they are lost, release the grant and ask again.",
		}
	}
	entry, ok := b.connectors.Get(g.Connector)
	if !ok {
		return &access.Error{Code: access.StateConflict, Message: "The connector " + g.Connector + " is not configured now; ask an operator."}
	}
	if _, ok := entry.Connector.(connector.Credentialer); !ok {
		return &access.Error{Code: access.StateConflict, Message: "This target hands out no credentials: use the account you have there."}
	}
	return nil
}
