package postgres

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Config says which PostgreSQL server to act on and what may be done there.
type Config struct {
	// Name is the connector's name in contracts and in the audit log.
	Name string
	// URL connects to the database that holds the schema rampkeeper_target, as a
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
	// MaxConns is the most connections held to the target for grants, and as
	// many again for removals and reading back; default 4.
	MaxConns int
	// ClientURL is what people connect to, without user and password; the
	// default is host, port, database and TLS mode of URL.
	ClientURL string
}

// Account says how a login's name comes from a subject.
type Account struct {
	// From is FromUsername (the default), FromEmail or FromSubject.
	From string
	// Prefix is put before it.
	Prefix string
}

// The sources of a login's name.
const (
	FromUsername = "username"    // preferred_username of the token
	FromEmail    = "email-local" // the e-mail address up to the @
	FromSubject  = "sub"         // the subject of the token
)

// complete checks the configuration and fills in defaults. It never repeats
// the URL, which holds a password.
func (c *Config) complete() error {
	fault := func(setting, why string) error {
		return fmt.Errorf("connector %q: %s: %s", c.Name, setting, why)
	}
	switch {
	case c.Name == "":
		return errors.New("a PostgreSQL connector needs a name")
	case c.URL == "":
		return fault("url", "say where the target is")
	case len(c.Allowed) == 0:
		return fault("allowed", "name the roles that may be handed out, such as app_*")
	case c.PasswordAuth && !c.CreateLogins:
		return fault("password_auth", "it needs create_logins: passwords and VALID UNTIL are set only on logins that Rampkeeper makes")
	case c.StatementTimeout < 0 || c.MaxConns < 0:
		return fault("statement_timeout, max_conns", "they cannot be negative")
	}
	for _, pattern := range c.Allowed {
		if why := checkName(strings.ReplaceAll(pattern, "*", "x")); why != "" {
			return fault("allowed", fmt.Sprintf("no role can be called %q: %s", pattern, why))
		}
	}
	switch c.Account.From {
	case "":
		c.Account.From = FromUsername
	case FromUsername, FromEmail, FromSubject:
	default:
		return fault("account.from", fmt.Sprintf("%q is not one of %s, %s, %s", c.Account.From, FromUsername, FromEmail, FromSubject))
	}
	if why := checkName(c.Account.Prefix + "x"); why != "" {
		return fault("account.prefix", why)
	}
	if c.StatementTimeout == 0 {
		c.StatementTimeout = 10 * time.Second
	}
	if c.MaxConns == 0 {
		c.MaxConns = 4
	}
	return nil
}
