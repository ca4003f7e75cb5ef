package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// ConnectorView is a configured target, without its address or secrets.
type ConnectorView struct {
	Name        string
	Type        string
	ExpiryClass access.ExpiryClass
	// Residual is the worst overstay past an end if the broker is down.
	Residual access.Seconds
	// LastSuccess is when a grant or removal last succeeded there; zero for
	// never.
	LastSuccess time.Time
}

// testWithin bounds one preflight, which is many calls of the target.
const testWithin = time.Minute

// Connectors lists the targets, for those who look after them or audit them.
func (b *Broker) Connectors(ctx context.Context, who access.Caller) ([]ConnectorView, error) {
	if !who.Has(access.Auditor) && !who.Has(access.ContractAdmin) && !who.Has(access.Operator) {
		return nil, b.refused(ctx, who, "connectors.list", "", &access.Error{Code: access.Forbidden, Message: "Connectors are shown to auditors, contract admins and operators."})
	}
	var last map[string]time.Time
	err := b.store.InTx(ctx, func(tx *store.Tx) (err error) {
		last, err = tx.LastSuccesses(ctx, b.connectors.Names())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing connectors: %w", err)
	}
	views := []ConnectorView{}
	for _, name := range b.connectors.Names() {
		entry, _ := b.connectors.Get(name)
		view := ConnectorView{Name: name, Type: entry.Type, ExpiryClass: access.ExpiryReaper, Residual: access.Unbounded, LastSuccess: last[name]}
		if e, ok := entry.Connector.(connector.Expirer); ok {
			view.ExpiryClass, view.Residual = expiry(e)
		}
		views = append(views, view)
	}
	return views, nil
}

// TestConnector runs the preflight of a target: it tries what must work and
// what must be refused.
func (b *Broker) TestConnector(ctx context.Context, who access.Caller, name string) ([]connector.Check, error) {
	if !who.Has(access.ContractAdmin) && !who.Has(access.Operator) {
		return nil, b.refused(ctx, who, "connectors.test", name, &access.Error{Code: access.Forbidden, Message: "Connectors are tested by contract admins and operators."})
	}
	entry, ok := b.connectors.Get(name)
	if !ok {
		return nil, &access.Error{Code: access.NotFound, Message: "There is no such connector."}
	}
	p, ok := entry.Connector.(connector.Preflighter)
	if !ok {
		return []connector.Check{{Name: "preflight", OK: true, Detail: "this type of connector has nothing to test"}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, testWithin)
	defer cancel()
	checks, err := p.Preflight(ctx)
	if err != nil {
		return nil, fmt.Errorf("testing connector %s: %w", name, err)
	}
	return checks, nil
}
