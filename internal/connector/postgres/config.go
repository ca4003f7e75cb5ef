package postgres

import (
	"time"
)

// Config says which PostgreSQL server to act on and what may be done there.
type Config struct {
	// Name is the connector's name in contracts and in the audit log.
	Name string
	// URL connects to the database that holds the schema rampkeeper, as a
	// login that is a member of rampkeeper_broker and of nothing else. It is
	// a secret: it holds a password.
	URL string
	// CreateLogins makes a login role for each person at first use, and turns
	// it off with the last permission. Without it people use logins that an
	// administrator adopted (GRANT rampkeeper_adopted TO …); those are never
	// turned on or off and get no password.
	CreateLogins bool
	// Account says how a person's login is named.
	Account Account
	// Allowed is the roles that may be handed out, as names in which * stands
	// for any characters. It is a second lock: the target has its own list.
	Allowed []string
	// PasswordAuth says that pg_hba.conf lets these logins in by password
	// (scram-sha-256) only, so that VALID UNTIL is real. It needs
	// CreateLogins. Preflight tries it.
	PasswordAuth bool
	// SystemIdentifier pins the cluster, as pg_control_system() gives it. If
	// empty the first one met is kept until the process ends.
	SystemIdentifier string
	// StatementTimeout bounds every statement on the server; default 10s.
	StatementTimeout time.Duration
	// MaxConns is the most connections held to the target; default 4.
	MaxConns int
	// ClientURL is what people connect to, without user and password; the
	// default is host, port, database and TLS mode of URL.
	ClientURL string
}

// Account says how a login's name comes from a subject.
type Account struct {
	// From is username (the default), email-local or sub.
	From string
	// Prefix is put before it.
	Prefix string
}
