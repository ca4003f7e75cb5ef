package broker

import (
	"context"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// CatalogFilter selects entries of the catalogue.
type CatalogFilter struct {
	Q           string // text that id, title, description, a label or a role's name holds
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

// CatalogOffer is one contract's offer of one role: what the engine would
// answer to an ask that meets the contract's conditions.
type CatalogOffer struct {
	Role            string
	RoleTitle       string
	Risk            string
	Contract        string
	Description     string // of the contract
	MinDuration     access.Seconds
	DefaultDuration access.Seconds
	MaxDuration     access.Seconds
	Stages          []StageView
	// Auto names the rule by which the caller would be granted at once, up to
	// AutoMaxDuration.
	Auto            string
	AutoMaxDuration access.Seconds
	TicketRequired  bool
	TicketPattern   string
	MinReason       int // characters
}

// Catalog lists the resources that the caller may know of, by id: those with
// an offer, and for contract admins and auditors all.
func (b *Broker) Catalog(ctx context.Context, who access.Caller, f CatalogFilter) (Page[CatalogEntry], error) {
	panic("soon")
}

// CatalogEntry gives one of them. One that the caller may not know of is not
// found, exactly like one that does not exist.
func (b *Broker) CatalogEntry(ctx context.Context, who access.Caller, resource string) (CatalogEntry, error) {
	panic("soon")
}
