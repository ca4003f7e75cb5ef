// Package postgres is the connector to PostgreSQL, 15 to 18. A permission is
// the name of a prepared role; an account is a person's login role. Ensure
// grants membership, Remove takes it away and ends the login's sessions.
//
// Everything is done through the functions of target-setup.sql, so that the
// broker's own login has no powers besides. Facts that shape it, each a test:
//
//   - A session that did SET ROLE keeps the role after REVOKE, NOLOGIN and
//     even DROP ROLE, and an open cursor goes on. So Remove revokes, commits,
//     ends the sessions that began before, and looks again until none is left.
//   - A session outlives its login too, when an administrator drops it. So
//     sessions are found by the login's oid, which target-setup.sql keeps.
//   - Whoever opens as many sessions as the server takes keeps everybody out.
//     So a made login has a CONNECTION LIMIT, and one connection is kept open.
//   - It ends all sessions of the login that are older than the revocation,
//     also those used for another permission that stays: which of them hold
//     the role inside cannot be seen from outside. People connect again.
//   - VALID UNTIL is checked only where a password is; then the server itself
//     refuses new sessions from the end on. A session that is open goes on
//     until the broker ends it.
//   - Access that comes by PUBLIC or by another role cannot be taken away by
//     taking this role. It is reported as a finding.
//   - A session on a standby of the target is not seen from the primary. Keep
//     these logins off standbys (pg_hba.conf is each server's own).
//   - CREATE ROLE … PASSWORD is logged by the server: only verifiers are sent.
package postgres

import (
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	setup "github.com/rampkeeper/rampkeeper/deploy/postgres"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// Connector acts on one PostgreSQL cluster. It may be used by many goroutines.
type Connector struct {
	cfg  Config
	pool *pgxpool.Pool
	// removals is a pool of its own: grants that hang must not keep a removal
	// or its verification waiting for a connection.
	removals *pgxpool.Pool
	pin      pin
	client   client
	host     string
	port     uint16
	database string
}

// pin is which cluster the connector acts on: as configured, or else the
// first one met.
type pin struct {
	mu     sync.Mutex
	system string
	last   Identity
}

// meet notes an identity and gives the pinned system identifier.
func (p *pin) meet(id Identity) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.system == "" {
		p.system = id.SystemIdentifier
	}
	p.last = id
	return p.system
}

// met gives the identity of the last connection.
func (p *pin) met() Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// SetupSQL is deploy/postgres/target-setup.sql: what an administrator of the
// target runs once, as a superuser, in the database of Config.URL. It holds
// no psql commands, so that it can be sent as one query without arguments.
func SetupSQL() string { return setup.TargetSetup }

// Expiry implements connector.Expirer. With password authentication the class
// is native: the server refuses new sessions from the end on. A session that
// is open then is the broker's to end, for PostgreSQL has nothing that would.
func (c *Connector) Expiry() (access.ExpiryClass, time.Duration) {
	if c.cfg.PasswordAuth {
		return access.ExpiryNative, -1
	}
	return access.ExpiryReaper, -1
}

var (
	_ connector.Connector    = (*Connector)(nil)
	_ connector.Credentialer = (*Connector)(nil)
	_ connector.Preflighter  = (*Connector)(nil)
	_ connector.Expirer      = (*Connector)(nil)
)
