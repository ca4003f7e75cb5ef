package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/connector"
)

const connectionsQuery = `WITH server AS (
	SELECT coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
		current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most
)
SELECT s.most - s.reserved AS free,
	CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = 'pg_use_reserved_connections' AND pg_has_role(r.oid, 'USAGE'))
		THEN s.reserved ELSE 0 END AS reserved,
	count(l.oid)::int AS logins,
	coalesce(sum(CASE WHEN l.rolconnlimit < 0 THEN s.most ELSE l.rolconnlimit END), 0)::int AS taken
FROM server s LEFT JOIN (pg_catalog.pg_auth_members m
	JOIN pg_catalog.pg_roles mark ON mark.oid = m.roleid AND mark.rolname = @mark
	JOIN pg_catalog.pg_roles l ON l.oid = m.member AND l.rolcanlogin) ON true
GROUP BY s.most, s.reserved`

// connections is how many connections the server has, and how many of them
// the logins that people use now may take.
type connections struct {
	Free     int // for everybody
	Reserved int // for the broker and few others
	Logins   int
	Taken    int // at most, by the logins together
}

// checkConnections finds that people could keep the broker from new
// connections by taking all there are.
func (c *Connector) checkConnections(ctx context.Context, s session) connector.Check {
	const name = "connections"
	mark := "rampkeeper_adopted"
	advice := "Give each adopted login a CONNECTION LIMIT"
	if c.cfg.CreateLogins {
		mark = "rampkeeper_login"
		advice = "Lower it, ALTER ROLE rampkeeper_login CONNECTION LIMIT 5 (for the grants that follow)"
	}
	n, err := one[connections](ctx, s, connectionsQuery, pgx.NamedArgs{"mark": mark})
	if err != nil {
		return failed(name, c.explain("Counting connections", err))
	}
	detail := fmt.Sprintf("the %d logins that people use now may take %d of the server's %d connections", n.Logins, n.Taken, n.Free)
	switch {
	case n.Reserved > 0:
		return connector.Check{Name: name, OK: true, Detail: fmt.Sprintf("%s; %d more are kept for the broker", detail, n.Reserved)}
	case n.Taken >= n.Free:
		return connector.Check{Name: name, Detail: detail + ". Then the broker has only those that it holds already, and others have none. " + advice +
			", or raise max_connections, or on PostgreSQL 16 and later set reserved_connections = 3."}
	}
	return connector.Check{Name: name, OK: true, Detail: detail}
}
