package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// facts gathers what a decision about the ask looks at, as it stands in this
// transaction. Contracts with limits are locked until it ends, so that two
// decisions cannot both take the last place.
func (b *Broker) facts(ctx context.Context, tx *store.Tx, ix *contract.Index, subject access.Subject, ask access.Ask) (engine.Facts, error) {
	f := engine.Facts{Now: tx.Now, Subject: subject}
	var err error
	if f.Live, err = b.live(ctx, tx, ix, subject.ID, ask); err != nil {
		return engine.Facts{}, err
	}
	if f.People, err = tx.PeopleMatching(ctx, engine.SeatWho(ix, ask)); err != nil {
		return engine.Facts{}, fmt.Errorf("loading those who could approve: %w", err)
	}
	if f.Accounts, err = b.accounts(ctx, tx, ix, subject, ask); err != nil {
		return engine.Facts{}, err
	}
	if !ask.Extends.IsZero() {
		g, err := tx.Grant(ctx, ask.Extends)
		if err != nil {
			return engine.Facts{}, fmt.Errorf("reading the grant to extend: %w", err)
		}
		f.Extends = &engine.Extension{
			Grant: g.ID, Contract: g.Contract, StartedAt: g.StartedAt, ExpiresAt: g.ExpiresAt, MaxTotal: g.MaxTotal,
		}
	}
	return f, nil
}

// live counts the live grants of the contracts with limits that could cover
// the ask. Others are not counted: nothing would look at the number.
func (b *Broker) live(ctx context.Context, tx *store.Tx, ix *contract.Index, holder access.PrincipalID, ask access.Ask) (map[string]engine.Live, error) {
	names := limited(ix, ask)
	if len(names) == 0 {
		return nil, nil
	}
	if err := tx.LockLimits(ctx, names); err != nil {
		return nil, fmt.Errorf("locking limits: %w", err)
	}
	counts, err := tx.LiveGrants(ctx, holder, names, access.GrantID{})
	if err != nil {
		return nil, fmt.Errorf("counting live grants: %w", err)
	}
	live := make(map[string]engine.Live, len(counts))
	for _, n := range counts {
		live[n.Contract] = engine.Live{Subject: n.Subject, Total: n.Total}
	}
	return live, nil
}

// limited gives the contracts with limits that could cover the ask, sorted.
func limited(ix *contract.Index, ask access.Ask) []string {
	names := map[string]bool{}
	for _, item := range ask.Items {
		for _, c := range ix.Contracts(item.Role, item.Resource) {
			if c.Spec.Limits != nil {
				names[c.Metadata.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// accounts gives the subject's account on each connector that the ask
// touches. An account that already serves somebody else is no account.
func (b *Broker) accounts(ctx context.Context, tx *store.Tx, ix *contract.Index, subject access.Subject, ask access.Ask) (map[string]string, error) {
	accounts := map[string]string{}
	for _, item := range ask.Items {
		r, ok := ix.Resource(item.Resource)
		if !ok {
			continue
		}
		name := r.Spec.Connector
		if _, done := accounts[name]; done {
			continue
		}
		account, err := b.account(name, subject)
		if err != nil {
			return nil, fmt.Errorf("finding the account on %s: %w", name, err)
		}
		if account == "" {
			continue
		}
		owner, err := tx.AccountOwner(ctx, name, account)
		if err != nil {
			return nil, fmt.Errorf("reading whose account it is: %w", err)
		}
		if owner == "" || owner == subject.ID {
			accounts[name] = account
		}
	}
	return accounts, nil
}

// account maps the subject to its account on one connector, "" when it has
// none there. A connector without accounts of its own knows people by their
// id.
func (b *Broker) account(name string, subject access.Subject) (string, error) {
	entry, ok := b.connectors.Get(name)
	if !ok {
		return "", nil
	}
	accounter, ok := entry.Connector.(connector.Accounter)
	if !ok {
		return string(subject.ID), nil
	}
	account, err := accounter.Account(subject)
	if access.IsCode(err, access.Invalid) {
		return "", nil
	}
	return account, err
}
