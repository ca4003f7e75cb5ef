package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// ConnectorView is a configured target, without its address or secrets.
type ConnectorView struct {
	Name        string
	Type        string
	ExpiryClass access.ExpiryClass
	// Residual is the worst overstay past an end if the broker is down.
	Residual access.Seconds
}

// Connectors lists the targets, for those who look after them or audit them.
func (b *Broker) Connectors(_ context.Context, who access.Caller) ([]ConnectorView, error) {
	if !who.Has(access.Auditor) && !who.Has(access.ContractAdmin) && !who.Has(access.Operator) {
		return nil, &access.Error{Code: access.Forbidden, Message: "Connectors are shown to auditors, contract admins and operators."}
	}
	views := []ConnectorView{}
	for _, name := range b.connectors.Names() {
		entry, _ := b.connectors.Get(name)
		view := ConnectorView{Name: name, Type: entry.Type, ExpiryClass: access.ExpiryReaper}
		if e, ok := entry.Connector.(connector.Expirer); ok {
			class, residual := e.Expiry()
			view.ExpiryClass, view.Residual = class, access.Seconds(residual/time.Second)
		}
		views = append(views, view)
	}
	return views, nil
}

// TestConnector runs the preflight of a target: it tries what must work and
// what must be refused.
func (b *Broker) TestConnector(ctx context.Context, who access.Caller, name string) ([]connector.Check, error) {
	if !who.Has(access.ContractAdmin) && !who.Has(access.Operator) {
		return nil, &access.Error{Code: access.Forbidden, Message: "Connectors are tested by contract admins and operators."}
	}
	entry, ok := b.connectors.Get(name)
	if !ok {
		return nil, &access.Error{Code: access.NotFound, Message: "There is no such connector."}
	}
	p, ok := entry.Connector.(connector.Preflighter)
	if !ok {
		return []connector.Check{{Name: "preflight", OK: true, Detail: "this type of connector has nothing to test"}}, nil
	}
	checks, err := p.Preflight(ctx)
	if err != nil {
		return nil, fmt.Errorf("testing connector %s: %w", name, err)
	}
	return checks, nil
}
