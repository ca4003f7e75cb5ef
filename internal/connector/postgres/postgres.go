// Package postgres is the connector to PostgreSQL, 15 to 18. A permission is
// the name of a prepared role; an account is a person's login role. Ensure
// grants membership, Remove takes it away and ends the login's sessions.
package postgres

import (
	"context"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// Connector acts on one PostgreSQL cluster.
type Connector struct{ cfg Config }

// New checks the configuration and prepares a pool of connections. It does
// not connect: a target that is down must not keep the broker from starting.
func New(cfg Config) (*Connector, error) { return &Connector{cfg: cfg}, nil }

// Close gives the connections back.
func (c *Connector) Close() {}

// Ensure implements connector.Connector.
func (c *Connector) Ensure(ctx context.Context, e access.EntitlementKey, until time.Time) (connector.Observation, error) {
	panic("soon")
}

// Remove implements connector.Connector.
func (c *Connector) Remove(ctx context.Context, e access.EntitlementKey) (connector.Observation, error) {
	panic("soon")
}

// Observe implements connector.Connector.
func (c *Connector) Observe(ctx context.Context, e access.EntitlementKey) (connector.Observation, error) {
	panic("soon")
}

// Account implements connector.Accounter.
func (c *Connector) Account(s access.Subject) (string, error) { panic("soon") }

// Credential implements connector.Credentialer.
func (c *Connector) Credential(ctx context.Context, e access.EntitlementKey, until time.Time) (connector.Credential, error) {
	panic("soon")
}

// Preflight implements connector.Preflighter.
func (c *Connector) Preflight(ctx context.Context) ([]connector.Check, error) { panic("soon") }

// Expiry implements connector.Expirer.
func (c *Connector) Expiry() (access.ExpiryClass, time.Duration) { panic("soon") }

// Identity tells which cluster this is.
type Identity struct {
	SystemIdentifier string `json:"system_identifier"`
	Database         string `json:"database"`
	Version          int    `json:"version"` // such as 150018
}

// Identity asks the target who it is, for an operator to pin.
func (c *Connector) Identity(ctx context.Context) (Identity, error) { panic("soon") }

// SetupSQL is deploy/postgres/target-setup.sql: what an administrator of the
// target runs once, as a superuser, in the database of Config.URL. It holds
// no psql commands, so that it can be sent as one query.
func SetupSQL() string { return "" }

var (
	_ connector.Connector    = (*Connector)(nil)
	_ connector.Accounter    = (*Connector)(nil)
	_ connector.Credentialer = (*Connector)(nil)
	_ connector.Preflighter  = (*Connector)(nil)
	_ connector.Expirer      = (*Connector)(nil)
	_ connector.Closer       = (*Connector)(nil)
)
