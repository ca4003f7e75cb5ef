package postgres

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// bundle is the version of target-setup.sql that this connector speaks to.
const bundle = 1

// New checks the configuration and prepares a pool of connections. It does
// not connect: a target that is down must not keep the broker from starting.
func New(cfg Config) (*Connector, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil { // not wrapped: its text holds parts of the URL
		return nil, fmt.Errorf("connector %q: url: this is not a connection URL such as postgres://user@host:5432/database?sslmode=verify-full", cfg.Name)
	}
	c := &Connector{cfg: cfg, pin: pin{system: cfg.SystemIdentifier}}
	pc.MaxConns = int32(min(cfg.MaxConns, 100)) //nolint:gosec // between 1 and 100
	pc.MinConns, pc.MinIdleConns = 0, 0
	pc.MaxConnIdleTime = time.Minute
	pc.ConnConfig.ConnectTimeout = cfg.StatementTimeout
	pc.HealthCheckPeriod = 10 * time.Second
	// No prepared statement outlives its call: target-setup.sql may be run anew.
	pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	// whatever the login's own settings say
	maps.Copy(pc.ConnConfig.RuntimeParams, map[string]string{
		"application_name":                    "rampkeeper",
		"search_path":                         "pg_catalog, pg_temp",
		"statement_timeout":                   strconv.FormatInt(cfg.StatementTimeout.Milliseconds(), 10),
		"lock_timeout":                        strconv.FormatInt(cfg.StatementTimeout.Milliseconds(), 10),
		"idle_in_transaction_session_timeout": strconv.FormatInt(2*cfg.StatementTimeout.Milliseconds(), 10),
		"timezone":                            "UTC",
	})
	pc.AfterConnect = c.greet
	c.host, c.port, c.database = pc.ConnConfig.Host, pc.ConnConfig.Port, pc.ConnConfig.Database
	if c.client, err = clientURL(cfg, pc.ConnConfig); err != nil {
		return nil, err
	}
	if c.pool, err = pgxpool.NewWithConfig(context.Background(), pc.Copy()); err != nil {
		return nil, fmt.Errorf("connector %q: preparing connections: %w", cfg.Name, plain(err))
	}
	// One connection stays open, and none is given back for its age: people
	// who take every connection of the target must not keep the broker out.
	pc.MinConns, pc.MaxConnLifetime = 1, 10*365*24*time.Hour
	if c.removals, err = pgxpool.NewWithConfig(context.Background(), pc); err != nil {
		c.pool.Close()
		return nil, fmt.Errorf("connector %q: preparing connections: %w", cfg.Name, plain(err))
	}
	return c, nil
}

// Close gives the connections back.
func (c *Connector) Close() {
	c.removals.Close()
	c.pool.Close()
}

// Identity tells which cluster this is.
type Identity struct {
	SystemIdentifier string `json:"system_identifier"`
	Database         string `json:"database"`
	Version          int    `json:"version"` // such as 150018
}

const identityQuery = `SELECT system_identifier, database, server_version, bundle, in_recovery FROM rampkeeper_target.identity()`

// greet looks at each new connection before it is used: a server that is not
// the pinned one gets nothing granted and nothing removed.
func (c *Connector) greet(ctx context.Context, conn *pgx.Conn) error {
	var (
		id       Identity
		version  int
		recovery bool
	)
	err := conn.QueryRow(ctx, identityQuery).Scan(&id.SystemIdentifier, &id.Database, &id.Version, &version, &recovery)
	if err != nil {
		return c.explain("Asking who the server is", err)
	}
	switch {
	case version != bundle:
		return refused(permanent, fmt.Sprintf("%s has version %d of target-setup.sql and this Rampkeeper needs %d. An administrator must run the script of this version there.", c.cfg.Name, version, bundle))
	case recovery:
		return refused(temporary, fmt.Sprintf("%s is a standby, which takes no changes. The URL must lead to the primary.", c.cfg.Name))
	case id.Database != c.database && c.database != "":
		return refused(permanent, fmt.Sprintf("%s is database %q and the URL names %q.", c.cfg.Name, id.Database, c.database))
	}
	if known := c.pin.meet(id); known != id.SystemIdentifier {
		return refused(permanent, fmt.Sprintf("%s is another server than the pinned one: its system identifier is %s, not %s. Nothing was done there. If the target was replaced on purpose, set system_identifier to the new one and restart.", c.cfg.Name, id.SystemIdentifier, known))
	}
	return nil
}

// Identity asks the target who it is, for an operator to pin.
func (c *Connector) Identity(ctx context.Context) (Identity, error) {
	conn, err := c.acquire(ctx, c.pool)
	if err != nil {
		return Identity{}, err
	}
	conn.Release()
	return c.pin.met(), nil
}

func (c *Connector) acquire(ctx context.Context, from *pgxpool.Pool) (*pgxpool.Conn, error) {
	conn, err := from.Acquire(ctx)
	if err != nil {
		return nil, c.unreachable(err)
	}
	return conn, nil
}

// session is one call's use of a connection.
type session struct {
	*pgxpool.Conn
	// deadline is the call's deadline on the target's clock. The target does
	// nothing that arrives later, however long it was under way.
	deadline time.Time
}

const clockQuery = `SELECT clock_timestamp()`

// begin gets a connection, and asks the target's clock to translate the
// context's deadline into it. Nothing has been changed when it fails.
func (c *Connector) begin(ctx context.Context, from *pgxpool.Pool) (session, context.Context, context.CancelFunc, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.StatementTimeout)
	conn, err := c.acquire(ctx, from)
	if err != nil {
		cancel()
		return session{}, nil, nil, err
	}
	left := remaining(ctx) // before asking, so that the way there shortens it
	var at time.Time
	if err := conn.QueryRow(ctx, clockQuery).Scan(&at); err != nil {
		conn.Release()
		cancel()
		return session{}, nil, nil, c.unreachable(err)
	}
	done := func() { conn.Release(); cancel() }
	return session{Conn: conn, deadline: at.Add(left)}, ctx, done, nil
}

// remaining is how long the context has left.
func remaining(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	return time.Until(deadline) //nolint:forbidigo // what is left of a context is measured on the clock that ends it
}

var _ connector.Closer = (*Connector)(nil)
