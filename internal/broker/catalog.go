package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// CatalogFilter selects entries of the catalogue.
type CatalogFilter struct {
	Q           string // text that id, title, description, a label or an offered role holds, in any case
	Type        string // of resource
	Requestable bool   // only what the caller may ask for now
	Limit       int
	Cursor      string
}

// CatalogEntry is a resource with what the caller may ask for on it.
type CatalogEntry struct {
	Resource    string // type:path
	Type        string
	Path        string
	Title       string
	Description string
	Labels      map[string]string
	Connector   string
	Offers      []CatalogOffer
}

// Catalog lists the resources that the caller may know of, by id: those with
// an offer, and for contract admins and auditors all.
func (b *Broker) Catalog(ctx context.Context, who access.Caller, f CatalogFilter) (Page[CatalogEntry], error) {
	limit, err := limitOf(f.Limit)
	if err != nil {
		return Page[CatalogEntry]{}, err
	}
	f.Q = strings.ToLower(f.Q)
	list := fmt.Sprintf("catalog %q %q %t", f.Q, f.Type, f.Requestable)
	var page Page[CatalogEntry]
	err = b.store.InTx(ctx, func(tx *store.Tx) error {
		l, err := b.look(ctx, tx, who)
		if err != nil {
			return err
		}
		after, err := tx.OpenCursor(ctx, who.ID, list, f.Cursor)
		if err != nil {
			return err
		}
		page = Page[CatalogEntry]{Items: []CatalogEntry{}}
		all := l.ix.Set().Resources
		from := 0
		if after != "" {
			from, _ = slices.BinarySearchFunc(all, after+"\x00", func(r contract.Resource, name string) int { return strings.Compare(r.Metadata.Name, name) })
		}
		for i := from; i < len(all); i++ {
			r := &all[i]
			if kind, _ := contract.SplitResource(r.Metadata.Name); f.Type != "" && kind != f.Type {
				continue
			}
			entry, seen, err := l.entry(ctx, r)
			if err != nil {
				return err
			}
			if !seen || f.Requestable && !requestable(entry) || !entry.holds(f.Q) {
				continue
			}
			if len(page.Items) == limit {
				page.Next, err = tx.SealCursor(ctx, who.ID, list, page.Items[limit-1].Resource)
				return err
			}
			page.Items = append(page.Items, entry)
		}
		return nil
	})
	if err != nil {
		return Page[CatalogEntry]{}, fmt.Errorf("listing the catalogue: %w", err)
	}
	return page, nil
}

// CatalogEntry gives one of them. One that the caller may not know of is not
// found, exactly like one that does not exist.
func (b *Broker) CatalogEntry(ctx context.Context, who access.Caller, resource string) (CatalogEntry, error) {
	var entry CatalogEntry
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		l, err := b.look(ctx, tx, who)
		if err != nil {
			return err
		}
		r, ok := l.ix.Resource(resource)
		if !ok {
			return errNoResource
		}
		var seen bool
		if entry, seen, err = l.entry(ctx, r); err == nil && !seen {
			return errNoResource
		}
		return err
	})
	if err != nil {
		return CatalogEntry{}, fmt.Errorf("reading the catalogue: %w", err)
	}
	return entry, nil
}

var errNoResource = &access.Error{Code: access.NotFound, Message: "There is no such resource, or nothing on it is yours to ask for."}

func requestable(e CatalogEntry) bool {
	return slices.ContainsFunc(e.Offers, func(o CatalogOffer) bool { return o.WhyNot == "" })
}

// holds says whether the entry contains the text, which is in lower case.
func (e CatalogEntry) holds(q string) bool {
	if q == "" {
		return true
	}
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), q) }
	if has(e.Resource) || has(e.Title) || has(e.Description) {
		return true
	}
	for _, k := range slices.Sorted(maps.Keys(e.Labels)) {
		if has(k + "=" + e.Labels[k]) {
			return true
		}
	}
	return slices.ContainsFunc(e.Offers, func(o CatalogOffer) bool { return has(o.Role) || has(o.RoleTitle) })
}

// look is one caller's look at the catalogue, in one transaction.
type look struct {
	b     *Broker
	tx    *store.Tx
	ix    *contract.Index
	who   access.Caller
	facts engine.Facts
	// noAccount says why the caller has no account on a connector, "" if
	// there is one, by connector.
	noAccount map[string]string
}

func (b *Broker) look(ctx context.Context, tx *store.Tx, who access.Caller) (*look, error) {
	ix, err := b.inPolicy(ctx, tx)
	if err != nil {
		return nil, err
	}
	return &look{
		b: b, tx: tx, ix: ix, who: who, noAccount: map[string]string{},
		facts: engine.Facts{Now: tx.Now, Subject: who.Subject},
	}, nil
}

// entry gives a resource with its offers, and whether the caller may know of
// it.
func (l *look) entry(ctx context.Context, r *contract.Resource) (CatalogEntry, bool, error) {
	e := CatalogEntry{
		Resource: r.Metadata.Name, Title: r.Spec.Title, Description: r.Metadata.Description,
		Labels: r.Spec.Labels, Connector: r.Spec.Connector, Offers: []CatalogOffer{},
	}
	e.Type, e.Path = contract.SplitResource(r.Metadata.Name)
	for _, p := range l.ix.Permitting(e.Resource) {
		for _, s := range engine.Standings(l.ix, access.Item{Role: p.Role.Metadata.Name, Resource: e.Resource}, l.facts) {
			o := offer(p.Role, s)
			var err error
			if o.WhyNot, err = l.whyNot(ctx, p.Role.Metadata.Name, r); err != nil {
				return e, false, err
			}
			e.Offers = append(e.Offers, o)
		}
	}
	return e, len(e.Offers) > 0 || readsPolicy(l.who), nil
}

// whyNot gives what stands in the way of any ask for the role: a role that
// cannot be granted there, or no account on the target.
func (l *look) whyNot(ctx context.Context, role string, r *contract.Resource) (string, error) {
	if _, err := l.ix.Entitlements(role, r.Metadata.Name); err != nil {
		return "The policy cannot grant this here: " + err.Error() + ".", nil //nolint:nilerr // why not is the answer
	}
	connector := r.Spec.Connector
	if why, done := l.noAccount[connector]; done {
		return why, nil
	}
	account, err := l.b.account(connector, l.who.Subject)
	if err != nil {
		return "", fmt.Errorf("finding the account on %s: %w", connector, err)
	}
	why := ""
	if account == "" {
		why = "No account is known for you on " + connector + "."
	} else if owner, err := l.tx.AccountOwner(ctx, connector, account); err != nil {
		return "", fmt.Errorf("reading whose account it is: %w", err)
	} else if owner != "" && owner != l.who.ID {
		why = "Your account on " + connector + " serves somebody else here."
	}
	l.noAccount[connector] = why
	return why, nil
}
