package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

const (
	brokerQuery = `SELECT r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls,
	current_setting('server_version_num')::int AS version,
	coalesce((SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS tls,
	has_schema_privilege('rampkeeper_target', 'CREATE') AS writes_schema,
	(SELECT coalesce(array_agg(o.rolname::text ORDER BY o.rolname), '{}') FROM pg_catalog.pg_roles o
		WHERE pg_has_role(r.oid, o.oid, 'MEMBER') AND o.oid <> r.oid AND o.rolname NOT IN ('rampkeeper_broker', 'pg_use_reserved_connections')) AS other_roles
FROM pg_catalog.pg_roles r WHERE r.rolname = session_user`
	preparedQuery = `SELECT role, coalesce(why_not, '') AS why_not FROM rampkeeper_target.prepared()`
)

// broker is what the broker's own login is.
type broker struct {
	Rolname        string
	Rolsuper       bool
	Rolcreaterole  bool
	Rolcreatedb    bool
	Rolreplication bool
	Rolbypassrls   bool
	Version        int
	TLS            bool
	WritesSchema   bool
	OtherRoles     []string
}

// Preflight implements connector.Preflighter. It looks at what the broker's
// login may do, tries what must be refused, and plays one grant to its end
// with a login and a role of its own. It leaves nothing behind.
func (c *Connector) Preflight(ctx context.Context) ([]connector.Check, error) {
	checks, usable := c.look(ctx)
	if !usable {
		return checks, nil
	}
	return append(checks, c.canary(ctx)...), nil
}

// look is all of Preflight that changes nothing. Where it says no, a trial
// grant cannot work or could do harm.
func (c *Connector) look(ctx context.Context) (checks []connector.Check, usable bool) {
	s, ctx, done, err := c.begin(ctx, c.pool)
	if err != nil {
		return []connector.Check{failed("connect", err)}, false
	}
	defer done()
	b, err := one[broker](ctx, s, brokerQuery)
	if err != nil {
		return []connector.Check{failed("connect", c.explain("Reading the broker's login", err))}, false
	}
	id := c.pin.met()
	checks = []connector.Check{
		{Name: "connect", OK: true, Detail: fmt.Sprintf("PostgreSQL %d.%d, database %s, as %s", b.Version/10000, b.Version%10000, id.Database, b.Rolname)},
		c.checkIdentity(id), c.checkTLS(b), checkClock(ctx, s), checkAttributes(b), checkMemberships(b),
	}
	if b.Rolsuper { // nothing would be refused
		return checks, false
	}
	checks = append(checks, c.tryForbidden(ctx, s, b)...)
	checks = append(checks, c.checkConnections(ctx, s))
	return append(checks, c.checkPrepared(ctx, s)...), true
}

func failed(name string, err error) connector.Check {
	if e, ok := errors.AsType[*access.Error](err); ok {
		return connector.Check{Name: name, Detail: e.Message}
	}
	return connector.Check{Name: name, Detail: err.Error()}
}

func (c *Connector) checkIdentity(id Identity) connector.Check {
	detail := "system identifier " + id.SystemIdentifier
	if c.cfg.SystemIdentifier == "" {
		detail += "; set system_identifier to it, so that no other server is ever taken for this one"
	}
	return connector.Check{Name: "identity", OK: true, Detail: detail}
}

func (c *Connector) checkTLS(b broker) connector.Check {
	switch {
	case b.TLS:
		return connector.Check{Name: "tls", OK: true, Detail: "the connection is encrypted"}
	case strings.HasPrefix(c.host, "/"):
		return connector.Check{Name: "tls", OK: true, Detail: "a socket on this machine needs none"}
	case c.host == "localhost" || c.host == "127.0.0.1" || c.host == "::1":
		return connector.Check{Name: "tls", OK: true, Detail: "not encrypted, and does not leave this machine"}
	}
	return connector.Check{Name: "tls", Detail: "the connection is not encrypted: whoever sees it can act as the broker. Use sslmode=verify-full in the URL, and hostssl lines in pg_hba.conf."}
}

// checkClock compares the two clocks that know the same deadline.
func checkClock(ctx context.Context, s session) connector.Check {
	const most = 5 * time.Second
	deadline, _ := ctx.Deadline()
	ahead := s.deadline.Sub(deadline).Round(time.Millisecond)
	check := connector.Check{Name: "clock", OK: ahead.Abs() <= most, Detail: fmt.Sprintf("the target's clock is %s ahead of this one", ahead)}
	if !check.OK {
		check.Detail += "; VALID UNTIL goes by the target's. Let both follow a time server."
	}
	return check
}

func checkAttributes(b broker) connector.Check {
	const name = "broker's login has no attributes"
	switch {
	case b.Rolsuper:
		return connector.Check{Name: name, Detail: fmt.Sprintf("%s is a superuser: whoever gets its password owns the server. Make a login that is only a member of rampkeeper_broker, as target-setup.sql says.", b.Rolname)}
	case b.Rolcreaterole && b.Version < 160000:
		return connector.Check{Name: name, Detail: fmt.Sprintf("%s has CREATEROLE. On PostgreSQL 15 it can make itself a member of pg_execute_server_program and run programs as the server's operating-system user. ALTER ROLE %s NOCREATEROLE: the functions of target-setup.sql do what it needs.", b.Rolname, quote(b.Rolname))}
	case b.Rolcreaterole:
		return connector.Check{Name: name, Detail: fmt.Sprintf("%s has CREATEROLE, which it does not need. ALTER ROLE %s NOCREATEROLE: the functions of target-setup.sql do what it needs.", b.Rolname, quote(b.Rolname))}
	case b.Rolcreatedb || b.Rolreplication || b.Rolbypassrls:
		return connector.Check{Name: name, Detail: fmt.Sprintf("%s has more than LOGIN. ALTER ROLE %s NOCREATEDB NOREPLICATION NOBYPASSRLS.", b.Rolname, quote(b.Rolname))}
	}
	return connector.Check{Name: name, OK: true, Detail: b.Rolname + " may log in, and that is all"}
}

func checkMemberships(b broker) connector.Check {
	const name = "broker's login is in rampkeeper_broker only"
	switch {
	case b.WritesSchema:
		return connector.Check{Name: name, Detail: "the broker's login may change schema rampkeeper_target. Revoke CREATE on it, and run target-setup.sql again."}
	case len(b.OtherRoles) > 0 && !b.Rolsuper:
		return connector.Check{Name: name, Detail: fmt.Sprintf("%s can also become %s. Revoke that: the broker hands roles out, and must not hold them.", b.Rolname, strings.Join(b.OtherRoles, ", "))}
	case b.Rolsuper:
		return connector.Check{Name: name, Detail: "a superuser is in every role"}
	}
	return connector.Check{Name: name, OK: true}
}

// tryForbidden tries what must be refused, each in a transaction that is
// rolled back. Looking at catalogs alone would miss a way nobody thought of.
func (c *Connector) tryForbidden(ctx context.Context, s session, b broker) []connector.Check {
	me := quote(b.Rolname)
	later := s.deadline.Add(time.Hour)
	var checks []connector.Check
	for _, try := range []struct {
		name, sql string
		args      pgx.NamedArgs
	}{
		{"making a role", `CREATE ROLE rampkeeper_must_not_exist`, nil},
		{"joining pg_execute_server_program", `GRANT pg_execute_server_program TO ` + me, nil},
		{"becoming rampkeeper_grantor", `SET LOCAL ROLE rampkeeper_grantor`, nil},
		{"writing the books", `DELETE FROM rampkeeper_target.held`, nil},
		{"changing the functions", `CREATE FUNCTION rampkeeper_target.must_not_exist() RETURNS int LANGUAGE sql AS 'SELECT 1'`, nil},
		{"handing out pg_execute_server_program", ensureQuery, pgx.NamedArgs{"login": "rampkeeper_canary_try", "role": "pg_execute_server_program", "until": later, "create": true, "deadline": s.deadline}},
		{"handing out rampkeeper_grantor", ensureQuery, pgx.NamedArgs{"login": "rampkeeper_canary_try", "role": "rampkeeper_grantor", "until": later, "create": true, "deadline": s.deadline}},
		{"granting to itself", ensureQuery, pgx.NamedArgs{"login": b.Rolname, "role": canaryRole, "until": later, "create": true, "deadline": s.deadline}},
		{"setting its own password by the functions", setPasswordQuery, pgx.NamedArgs{"login": b.Rolname, "verifier": "SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$" + strings.Repeat("A", 43) + "=:" + strings.Repeat("A", 43) + "=", "deadline": s.deadline}},
	} {
		check := connector.Check{Name: "refused: " + try.name}
		err := rolledBack(ctx, s, try.sql, try.args)
		switch code := codeOf(err); code {
		case noRight, refusal, badName, notNow:
			check.OK, check.Detail = true, "SQLSTATE "+code
		default:
			check.Detail = "the server allowed it: the broker's login has more power than it needs. Look at its roles and at who owns schema rampkeeper_target, and run target-setup.sql again."
			if err != nil {
				check.Detail = failed("", c.explain("Trying it", err)).Detail
			}
		}
		checks = append(checks, check)
	}
	return checks
}

func rolledBack(ctx context.Context, s session, sql string, args pgx.NamedArgs) error {
	tx, err := s.Begin(ctx)
	if err != nil {
		return err
	}
	if args == nil {
		_, err = tx.Exec(ctx, sql)
	} else {
		_, err = tx.Exec(ctx, sql, args)
	}
	if back := tx.Rollback(ctx); back != nil {
		return back
	}
	return err
}

// checkPrepared compares the configuration's patterns with what an
// administrator of the target prepared.
func (c *Connector) checkPrepared(ctx context.Context, s session) []connector.Check {
	type row struct{ Role, WhyNot string }
	rows, err := s.Query(ctx, preparedQuery)
	if err != nil {
		return []connector.Check{failed("prepared roles", c.explain("Listing prepared roles", err))}
	}
	prepared, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return []connector.Check{failed("prepared roles", c.explain("Listing prepared roles", err))}
	}
	var good []string
	var checks []connector.Check
	for _, r := range prepared {
		switch {
		case !c.allowed(r.Role):
		case r.WhyNot != "":
			checks = append(checks, connector.Check{Name: "prepared role " + r.Role, Detail: "it cannot be handed out: " + r.WhyNot})
		default:
			good = append(good, r.Role)
		}
	}
	all := connector.Check{Name: "prepared roles", OK: len(good) > 0, Detail: strings.Join(good, ", ")}
	if len(good) == 0 {
		all.Detail = fmt.Sprintf("no role that allowed (%s) names can be handed out. As superuser: GRANT a_role TO rampkeeper_grantor WITH ADMIN OPTION.", strings.Join(c.cfg.Allowed, ", "))
	}
	return append([]connector.Check{all}, checks...)
}

func one[T any](ctx context.Context, s session, sql string, args ...any) (T, error) {
	rows, err := s.Query(ctx, sql, args...)
	if err != nil {
		var zero T
		return zero, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
}
