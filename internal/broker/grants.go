package broker

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// GrantView is a grant as one caller may see it.
type GrantView struct {
	access.Grant
	// Requester is who holds the access, as last seen.
	Requester access.Subject
	// Overdue says that the access may exist past its end.
	Overdue bool
	// Entitlements is what the grant means on the target, and how it stands.
	Entitlements []access.Entitlement
	// Attested names the admins who have signed that the access is gone.
	Attested []access.PrincipalID
	Can      []Can
}

// GrantFilter says which grants to list. Zero members do not filter.
type GrantFilter struct {
	States   []access.GrantState
	Contract string
	Resource string
	Holder   access.PrincipalID // "me" is the caller
	Since    time.Time          // made at or after
	Query    string             // part of a role, resource or contract, or of the holder's name
	Limit    int                // 1 to 200; zero means 50
	Cursor   string
}

// Grant gives one grant to its holder, to those whom its request names, and
// to auditors, contract admins and operators. To all others there is none.
func (b *Broker) Grant(ctx context.Context, who access.Caller, id access.GrantID) (GrantView, error) {
	var view GrantView
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		_, err := b.seenGrant(ctx, tx, who, id)
		if err != nil {
			return err
		}
		view, err = b.grantView(ctx, tx, who, id)
		return err
	})
	if err != nil {
		return GrantView{}, b.refused(ctx, who, "grant.read", id.String(), err)
	}
	return view, nil
}

// seenGrant gives a grant that the caller may see. One that is hidden is as
// absent as one that does not exist.
func (b *Broker) seenGrant(ctx context.Context, tx *store.Tx, who access.Caller, id access.GrantID) (access.Grant, error) {
	g, err := tx.Grant(ctx, id)
	if err != nil || g.Holder == who.ID || seesAll(who) {
		return g, err
	}
	named, err := tx.NamedIn(ctx, who.Subject, g.RequestID)
	if err != nil {
		return access.Grant{}, fmt.Errorf("reading whom the request names: %w", err)
	}
	if !named[g.RequestID] {
		return access.Grant{}, store.NoGrant()
	}
	return g, nil
}

// Grants lists the grants that the caller may see, newest first.
func (b *Broker) Grants(ctx context.Context, who access.Caller, f GrantFilter) (Page[GrantView], error) {
	if f.Holder == "me" {
		f.Holder = who.ID
	}
	limit, err := f.limit()
	if err != nil {
		return Page[GrantView]{}, err
	}
	var page Page[GrantView]
	err = b.store.InTx(ctx, func(tx *store.Tx) error {
		list := f
		list.Limit, list.Cursor = 0, ""
		name := "grants " + string(access.DigestOf(list))
		after, err := tx.OpenCursor(ctx, who.ID, name, f.Cursor)
		if err != nil {
			return err
		}
		before, err := parseGrantCursor(after)
		if err != nil {
			return err
		}
		gs, err := tx.ListGrants(ctx, who.Subject, seesAll(who), store.GrantFilter{
			States: f.States, Contract: f.Contract, Resource: f.Resource, Holder: f.Holder, Since: f.Since, Query: f.Query,
		}, before, limit+1)
		if err != nil {
			return err
		}
		page = Page[GrantView]{}
		if len(gs) > limit {
			gs = gs[:limit]
			if page.Next, err = tx.SealCursor(ctx, who.ID, name, grantCursor(gs[limit-1])); err != nil {
				return err
			}
		}
		page.Items, err = b.grantViews(ctx, tx, who, gs)
		return err
	})
	if err != nil {
		return Page[GrantView]{}, fmt.Errorf("listing grants: %w", err)
	}
	return page, nil
}

func (f GrantFilter) limit() (int, error) {
	const usual, most = 50, 200
	var faults []access.Detail
	if f.Limit < 0 || f.Limit > most {
		faults = append(faults, access.Detail{Parameter: "limit", Detail: fmt.Sprintf("is 1 to %d", most)})
	}
	if why := access.CheckText(f.Query, access.MaxName); why != "" {
		faults = append(faults, access.Detail{Parameter: "q", Detail: why})
	}
	if len(faults) > 0 {
		return 0, &access.Error{Code: access.Invalid, Message: "The list cannot be given like that.", Details: faults}
	}
	return cmp.Or(f.Limit, usual), nil
}

func grantCursor(g access.Grant) string {
	return g.CreatedAt.UTC().Format(time.RFC3339Nano) + " " + g.ID.String()
}

// parseGrantCursor reads what grantCursor wrote: only we can have sealed it.
func parseGrantCursor(s string) (g access.Grant, err error) {
	if s == "" {
		return g, nil
	}
	at, id, _ := strings.Cut(s, " ")
	if g.CreatedAt, err = time.Parse(time.RFC3339Nano, at); err == nil {
		err = g.ID.UnmarshalText([]byte(id))
	}
	if err != nil {
		return g, fmt.Errorf("reading our own cursor: %w", err)
	}
	return g, nil
}
