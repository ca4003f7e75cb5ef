package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

const setPasswordQuery = `SELECT rampkeeper_target.set_password(@login, @verifier, @deadline)`

// Credential implements connector.Credentialer. Each call makes a new
// password, which ends the one before; open sessions go on. An adopted login
// keeps its own credentials: then only the way to the server is told.
func (c *Connector) Credential(ctx context.Context, e access.EntitlementKey, until time.Time) (connector.Credential, error) {
	if err := c.checkKey(e); err != nil {
		return connector.Credential{}, err
	}
	return c.credential(ctx, e, until)
}

func (c *Connector) credential(ctx context.Context, e access.EntitlementKey, until time.Time) (connector.Credential, error) {
	s, ctx, done, err := c.begin(ctx, c.pool)
	if err != nil {
		return connector.Credential{}, err
	}
	defer done()
	st, err := c.status(ctx, s, e)
	switch {
	case err != nil:
		return connector.Credential{}, err
	case !st.Granted || st.Removing:
		return connector.Credential{}, refused(temporary, fmt.Sprintf("Login %q does not hold role %q on %s now.", e.Account, e.Permission, c.cfg.Name))
	case st.Kind != "made":
		return c.client.credential(e.Account, "", time.Time{}), nil
	}

	password := newPassword()
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails: crypto/rand ends the process instead
	v, err := verifier(password, salt)
	if err != nil {
		return connector.Credential{}, err
	}
	args := s.args(e)
	delete(args, "role")
	args["verifier"] = v
	if _, err := s.Exec(ctx, setPasswordQuery, args); err != nil {
		return connector.Credential{}, c.explain("Setting a password", err)
	}
	if !c.cfg.PasswordAuth {
		until = time.Time{} // the server may let the login in without the password
	}
	return c.client.credential(e.Account, password, until), nil
}

// client is what people connect to.
type client struct{ base url.URL }

// clientURL takes the address for people from the configuration, or from the
// broker's own URL without what is the broker's.
func clientURL(cfg Config, conn *pgx.ConnConfig) (client, error) {
	if cfg.ClientURL != "" {
		u, err := url.Parse(cfg.ClientURL)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.User != nil {
			return client{}, fmt.Errorf("connector %q: client_url: this is not a URL such as postgres://host:5432/database?sslmode=verify-full, without user and password", cfg.Name)
		}
		return client{base: *u}, nil
	}
	u := url.URL{Scheme: "postgres", Path: "/" + conn.Database}
	q := url.Values{}
	if network, _ := pgconn.NetworkAddress(conn.Host, conn.Port); network == "unix" {
		q.Set("host", conn.Host)
		q.Set("port", strconv.Itoa(int(conn.Port)))
	} else {
		u.Host = net.JoinHostPort(conn.Host, strconv.Itoa(int(conn.Port)))
		q.Set("sslmode", sslmode(conn))
	}
	u.RawQuery = encode(q)
	return client{base: u}, nil
}

// sslmode gives people no less than what the broker itself insists on.
func sslmode(conn *pgx.ConnConfig) string {
	switch {
	case conn.TLSConfig == nil:
		return "prefer"
	case conn.TLSConfig.InsecureSkipVerify && conn.TLSConfig.VerifyPeerCertificate == nil:
		return "require"
	case conn.TLSConfig.InsecureSkipVerify:
		return "verify-ca"
	default:
		return "verify-full"
	}
}

// credential puts a login into the address. The command takes the password
// from the environment, because other users can see a command's arguments.
func (c client) credential(login, password string, until time.Time) connector.Credential {
	plain := c.base
	plain.User = url.User(login)
	if plain.Host == "" { // libpq reads no user before an empty host
		plain.User = nil
		q := plain.Query()
		q.Set("user", login)
		plain.RawQuery = encode(q)
	}
	full := plain
	cred := connector.Credential{Username: login, Password: password, Command: []string{"psql", plain.String()}, Until: until}
	if password != "" {
		cred.Env = map[string]string{"PGPASSWORD": password}
		if full.User != nil {
			full.User = url.UserPassword(login, password)
		} else {
			q := full.Query()
			q.Set("password", password)
			full.RawQuery = encode(q)
		}
	}
	cred.DSN = full.String()
	return cred
}

// encode writes blanks as %20: libpq takes a + as it is.
func encode(q url.Values) string { return strings.ReplaceAll(q.Encode(), "+", "%20") }
