package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

const (
	canaryRole     = "rampkeeper_canary" // has no rights
	dropLoginQuery = `SELECT rampkeeper_target.drop_login(@login, @deadline)`
)

// canary plays one grant to its end with a login that it makes and drops, and
// a role without rights.
func (c *Connector) canary(ctx context.Context) []connector.Check {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	e := access.EntitlementKey{Connector: c.cfg.Name, Account: "rampkeeper_canary_" + hex.EncodeToString(b[:]), Permission: canaryRole}

	checks := c.canaryGrant(ctx, e)
	name := "canary: nothing is left"
	ctx = context.WithoutCancel(ctx) // even if nobody waits for the answer any more
	if _, err := c.remove(ctx, e); err != nil {
		return append(checks, failed(name, err))
	}
	if err := c.dropLogin(ctx, e.Account); err != nil {
		return append(checks, failed(name, err))
	}
	o, err := c.observe(ctx, e)
	if err != nil {
		return append(checks, failed(name, err))
	}
	return append(checks, connector.Check{Name: name, OK: !o.Present})
}

func (c *Connector) canaryGrant(ctx context.Context, e access.EntitlementKey) []connector.Check {
	until, err := c.targetTime(ctx, time.Hour)
	if err != nil {
		return []connector.Check{failed("canary: grant", err)}
	}
	o, err := c.ensure(ctx, e, until, true)
	if err != nil {
		return []connector.Check{failed("canary: grant", err)}
	}
	checks := []connector.Check{{Name: "canary: grant", OK: o.Present, Detail: "made a login, granted a role without rights, and read it back"}}
	if c.cfg.PasswordAuth {
		checks = append(checks, c.canaryPassword(ctx, e, until)...)
	}

	o, err = c.remove(ctx, e)
	switch {
	case err != nil:
		return append(checks, failed("canary: remove", err))
	case o.Present:
		return append(checks, connector.Check{Name: "canary: remove", Detail: "it was still there afterwards"})
	}
	return append(checks, connector.Check{Name: "canary: remove", OK: true, Detail: "revoked it, ended the sessions, turned the login off, and read it back"})
}

// targetTime gives a moment on the target's clock, at least d from now.
func (c *Connector) targetTime(ctx context.Context, d time.Duration) (time.Time, error) {
	s, _, done, err := c.begin(ctx, c.pool)
	if err != nil {
		return time.Time{}, err
	}
	defer done()
	return s.deadline.Add(d), nil
}

// canaryPassword tries whether the server asks these logins for a password,
// and whether it looks at VALID UNTIL. It can speak for this machine alone:
// pg_hba.conf may treat others differently.
func (c *Connector) canaryPassword(ctx context.Context, e access.EntitlementKey, until time.Time) []connector.Check {
	const rule = "Put a line for +rampkeeper_login with scram-sha-256 before the wider ones in pg_hba.conf, or set password_auth: false: then grants are shown as ended by the broker alone."
	cred, err := c.credential(ctx, e, until)
	if err != nil {
		return []connector.Check{failed("canary: password", err)}
	}
	var checks []connector.Check
	add := func(name string, ok bool, why string) {
		check := connector.Check{Name: "canary: " + name, OK: ok}
		if !ok {
			check.Detail = why
		}
		checks = append(checks, check)
	}
	err = c.knock(ctx, cred.Username, cred.Password)
	add("the password lets in", err == nil, "the server refused the login that was just made: "+knockWhy(err)+". "+rule)
	err = c.knock(ctx, cred.Username, newPassword())
	add("a wrong password does not", isRefusal(err), "the server let the login in with a wrong password: it asks for none, and so does not look at VALID UNTIL. "+rule)

	// An end in the past: the server itself must refuse from then on.
	if _, err := c.ensure(ctx, e, until.Add(-48*time.Hour), true); err != nil {
		return append(checks, failed("canary: VALID UNTIL", err))
	}
	err = c.knock(ctx, cred.Username, cred.Password)
	add("VALID UNTIL keeps out", isRefusal(err), "the server let the login in after its VALID UNTIL. "+rule)
	return checks
}

// knock logs in as the canary, from here, the way people do, and leaves.
func (c *Connector) knock(ctx context.Context, login, password string) error {
	cfg, err := pgx.ParseConfig(c.client.credential(login, password, time.Time{}).DSN)
	if err != nil {
		return plain(err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.StatementTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// isRefusal says whether the server refused a login: class 28 is "invalid
// authorization specification".
func isRefusal(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code[:2] == "28"
}

func knockWhy(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Sprintf("%s (SQLSTATE %s)", pg.Message, pg.Code)
	}
	return "no answer"
}

func (c *Connector) dropLogin(ctx context.Context, login string) error {
	s, ctx, done, err := c.begin(ctx, c.pool)
	if err != nil {
		return err
	}
	defer done()
	_, err = s.Exec(ctx, dropLoginQuery, pgx.NamedArgs{"login": login, "deadline": s.deadline})
	return c.explain("Dropping the canary's login", err)
}
