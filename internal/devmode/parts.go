package devmode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/deploy/demo"
	"github.com/rampkeeper/rampkeeper/internal/cluster"
	"github.com/rampkeeper/rampkeeper/internal/config"
	"github.com/rampkeeper/rampkeeper/internal/connector/postgres"
	"github.com/rampkeeper/rampkeeper/internal/devmode/idp"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Options says how to start.
type Options struct {
	Dir     string // where data stays between runs
	Addr    string // of the API; port 0 takes a free one
	Fresh   bool   // start over
	Log     *slog.Logger
	Say     func(format string, args ...any) // progress, for people
	PGLog   io.Writer                        // what the clusters print
	PGBin   string                           // directory of initdb and postgres; found if empty
	Version string
}

// Parts is everything that runs besides the broker.
type Parts struct {
	URL       string // of the API
	Issuer    string
	TargetDSN string // of the protected database, without user and password
	Config    config.Config
	Listener  net.Listener // of the API, for the broker to serve on

	dir    *dir
	idp    *idp.Provider
	broker *cluster.Cluster
	target *cluster.Cluster
	stop   []func()
}

// Start starts the parts. On failure it stops what it had started.
func Start(ctx context.Context, o Options) (_ *Parts, err error) {
	p := &Parts{}
	defer func() {
		if err != nil {
			p.Stop()
		}
	}()
	if p.dir, err = openDir(o.Dir, o.Fresh); err != nil {
		return nil, err
	}
	kept, err := p.dir.load()
	if err != nil {
		return nil, err
	}
	if err := p.listen(ctx, o, &kept); err != nil {
		return nil, err
	}
	o.Say("starting PostgreSQL for the broker")
	brokerURL, err := p.startBroker(ctx, o)
	if err != nil {
		return nil, err
	}
	o.Say("starting PostgreSQL as the target")
	targetURL, err := p.startTarget(ctx, o, &kept)
	if err != nil {
		return nil, err
	}
	if err := p.dir.save(kept); err != nil {
		return nil, err
	}
	p.Config = p.configuration(brokerURL, targetURL)
	return p, nil
}

// listen opens the API's listener, so that its address is known, and starts
// the identity provider on the port that it had before.
func (p *Parts) listen(ctx context.Context, o Options, kept *state) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return fmt.Errorf("%s cannot be listened on (%w); choose another address with --addr, or 127.0.0.1:0 for a free port", o.Addr, errors.Unwrap(err))
	}
	p.Listener = l
	p.stop = append(p.stop, func() { _ = l.Close() })
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return fmt.Errorf("reading the address: %w", err)
	}
	p.URL = "http://" + net.JoinHostPort(host, port)

	issuer, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", kept.IssuerPort))
	if err != nil {
		return fmt.Errorf("port %d, which the development identity provider has used before, is taken (%w); stop what holds it, or start over with --fresh", kept.IssuerPort, errors.Unwrap(err))
	}
	kept.IssuerPort = issuer.Addr().(*net.TCPAddr).Port
	p.Issuer = issuerURL(*kept)
	p.idp, err = idp.New(idp.Config{
		Dir: p.dir.join("idp"), Issuer: p.Issuer, People: People,
		Clients: []idp.Client{
			{ID: clientID, RedirectURIs: []string{p.URL + "/auth/callback"}},
			{ID: cliClientID, Native: true},
		},
	})
	if err != nil {
		_ = issuer.Close()
		return fmt.Errorf("starting the development identity provider: %w", err)
	}
	srv := &http.Server{Handler: p.idp, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(issuer) }() // ends with Close
	p.stop = append(p.stop, func() { _ = srv.Close() })
	return nil
}

const (
	clientID    = "rampkeeper"
	cliClientID = "ramp-cli"
	// connectorName is what the example policy's resources refer to.
	connectorName = "demo-postgres"
)

func issuerURL(s state) string { return fmt.Sprintf("http://127.0.0.1:%d", s.IssuerPort) }

// startBroker starts the broker's own database and brings its schema up to
// date, with the logins that a production installation has.
func (p *Parts) startBroker(ctx context.Context, o Options) (string, error) {
	c, err := cluster.Start(ctx, cluster.Config{Dir: p.dir.join("broker"), BinDir: o.PGBin, Fsync: true, Log: o.PGLog})
	if err != nil {
		return "", err
	}
	p.broker = c
	p.stop = append(p.stop, func() { _ = c.Stop() })
	if err := createDatabase(ctx, c, "rampkeeper"); err != nil {
		return "", err
	}
	admin := c.DSN(cluster.Superuser, "rampkeeper")
	if err := store.Roles(ctx, admin); err != nil {
		return "", err
	}
	if _, _, err := store.Migrate(ctx, admin); err != nil {
		return "", err
	}
	return c.DSN("rampkeeper_app", "rampkeeper"), nil
}

// startTarget starts the database to protect. Logins come in by password
// only, so that the server itself refuses them after the end.
func (p *Parts) startTarget(ctx context.Context, o Options, kept *state) (string, error) {
	c, err := cluster.Start(ctx, cluster.Config{
		Dir: p.dir.join("target"), BinDir: o.PGBin, Fsync: true, Log: o.PGLog, TCP: true, Port: free(ctx, kept.TargetPort),
	})
	if err != nil {
		return "", err
	}
	p.target = c
	kept.TargetPort = c.Port
	p.stop = append(p.stop, func() { _ = c.Stop() })
	if err := createDatabase(ctx, c, "shop"); err != nil {
		return "", err
	}
	admin := c.DSN(cluster.Superuser, "shop")
	for _, sql := range []string{demo.TargetSQL, postgres.SetupSQL(), allowRoles} {
		if err := execute(ctx, admin, sql); err != nil {
			return "", fmt.Errorf("preparing the target: %w", err)
		}
	}
	p.TargetDSN = fmt.Sprintf("postgres://127.0.0.1:%d/shop?sslmode=disable", c.Port)
	return c.DSN("rampkeeper_demo", "shop"), nil
}

// allowRoles is what the target's administrator decides: a login for the
// broker, and which prepared roles it may hand out.
const allowRoles = `
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'rampkeeper_demo') then
    create role rampkeeper_demo login in role rampkeeper_broker;
  end if;
end
$$;
grant ro_prod_orders, rw_prod_orders, ro_prod_billing, rw_prod_billing, ro_staging_orders, rw_staging_orders
  to rampkeeper_grantor with admin option;
`

// free gives the port if nobody listens on it, else 0 for any.
func free(ctx context.Context, port int) int {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return 0
	}
	_ = l.Close()
	return port
}

// configuration is what `rampkeeper serve` would be given in a file.
func (p *Parts) configuration(brokerURL, targetURL string) config.Config {
	c := config.Default()
	c.Database.URL = config.Secret(brokerURL)
	c.HTTP.PublicURL = p.URL
	c.Metrics.Listen = "127.0.0.1:0"
	c.OIDC.Issuer = p.Issuer
	c.OIDC.ClientID = clientID
	c.OIDC.CLIClientID = cliClientID
	c.Roles = config.Roles{ContractAdmin: []string{"contract-admins"}, Auditor: []string{"auditors"}, Operator: []string{"operators"}}
	c.Connectors = []config.Connector{{
		Name: connectorName, Type: "postgres",
		Postgres: config.Postgres{
			URL: config.Secret(targetURL), AllowedRoles: []string{"ro_*", "rw_*"},
			CreateLogins: true, Account: "username", PasswordAuth: true, ClientURL: p.TargetDSN,
		},
	}}
	c.Broker.OperationTimeout = 5 * time.Second
	c.Broker.Skew = time.Second
	c.Shutdown.Delay = 0
	c.Shutdown.Grace = 5 * time.Second
	return c
}

// Token mints a bearer token for a demo person without the parts running: the
// key is in the data directory.
func Token(dataDir, name string, ttl time.Duration) (string, error) {
	d := &dir{path: dataDir}
	kept, err := d.load()
	if err != nil {
		return "", err
	}
	if kept.IssuerPort == 0 {
		return "", fmt.Errorf("there is no demo in %s yet; start it with `rampkeeper dev --data-dir %s`", dataDir, dataDir)
	}
	if !slices.ContainsFunc(People, func(p idp.Person) bool { return p.Name == name }) {
		return "", fmt.Errorf("there is nobody called %q; there are %s", name, strings.Join(Names(), ", "))
	}
	provider, err := idp.New(idp.Config{Dir: d.join("idp"), Issuer: issuerURL(kept), People: People, Clients: []idp.Client{{ID: clientID}}})
	if err != nil {
		return "", fmt.Errorf("reading the development identity provider's key: %w", err)
	}
	return provider.Token(name, ttl)
}

// Done is closed when one of the clusters has ended by itself.
func (p *Parts) Done() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-p.broker.Done():
		case <-p.target.Done():
		}
	}()
	return done
}

// Stop stops the parts, the last started first.
func (p *Parts) Stop() {
	for _, stop := range slices.Backward(p.stop) {
		stop()
	}
	p.stop = nil
	if p.dir != nil {
		p.dir.close()
		p.dir = nil
	}
}

func createDatabase(ctx context.Context, c *cluster.Cluster, name string) error {
	conn, err := pgx.Connect(ctx, c.DSN(cluster.Superuser, "postgres"))
	if err != nil {
		return fmt.Errorf("connecting to the new cluster: %w", err)
	}
	defer conn.Close(ctx)
	var exists bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_catalog.pg_database where datname = $1)", name).Scan(&exists); err != nil {
		return fmt.Errorf("looking for database %s: %w", name, err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("creating database %s: %w", name, err)
	}
	return nil
}

// execute runs a script of several statements.
func execute(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("running the script: %w", err)
	}
	return nil
}
