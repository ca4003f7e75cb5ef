package postgres

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// maxName is NAMEDATALEN − 1. PostgreSQL cuts longer names silently, so that
// two different people could get one login.
const maxName = 63

// checkName says what is wrong with a role's name, or "". The target checks
// again; this keeps a bad name from ever being sent.
func checkName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > maxName:
		return fmt.Sprintf("it is %d bytes long and PostgreSQL cuts names after %d", len(name), maxName)
	case !utf8.ValidString(name):
		return "it is not valid UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "it holds a control character"
	case name == "public" || name == "none" || strings.HasPrefix(name, "pg_"):
		return "PostgreSQL reserves it"
	case strings.HasPrefix(name, "rampkeeper_"):
		return "Rampkeeper reserves names that begin with rampkeeper_"
	}
	return ""
}

// checkKey refuses a key that must not reach the target.
func (c *Connector) checkKey(e access.EntitlementKey) error {
	if why := checkName(e.Account); why != "" {
		return refused(permanent, fmt.Sprintf("%q cannot be a login on %s: %s.", e.Account, c.cfg.Name, why))
	}
	if why := checkName(e.Permission); why != "" {
		return refused(permanent, fmt.Sprintf("%q cannot be a role on %s: %s.", e.Permission, c.cfg.Name, why))
	}
	return nil
}

// allowed says whether the configuration lets the role be handed out.
func (c *Connector) allowed(role string) bool {
	for _, pattern := range c.cfg.Allowed {
		if match(pattern, role) {
			return true
		}
	}
	return false
}

// match says whether the name fits the pattern, in which * stands for any
// characters.
func match(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, ok = strings.Cut(rest, part)
		if !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// quote makes an identifier of a name, and panics for one that checkName
// refuses: unlike pgx.Identifier it never changes the name.
func quote(name string) string {
	if why := checkName(name); why != "" && !strings.HasPrefix(name, "rampkeeper_") && !strings.HasPrefix(name, "pg_") {
		panic("postgres: quoting a bad name: " + why)
	}
	if strings.ContainsRune(name, 0) {
		panic("postgres: quoting a name that holds NUL")
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// Account implements connector.Accounter.
func (c *Connector) Account(s access.Subject) (string, error) {
	invalid := func(why string) (string, error) {
		return "", &access.Error{Code: access.Invalid, Message: fmt.Sprintf("%s has no login on %s: %s.", s.DisplayName(), c.cfg.Name, why)}
	}
	var name string
	switch c.cfg.Account.From {
	case FromSubject:
		name = s.ID.Subject()
	case FromEmail:
		local, domain, ok := strings.Cut(s.Email, "@")
		if !ok || domain == "" {
			return invalid("the identity provider gave no e-mail address, from which the login's name is made")
		}
		name = local
	default:
		name = s.Username
	}
	if name == "" {
		return invalid("the identity provider gave no " + c.cfg.Account.From + ", from which the login's name is made")
	}
	if strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Cf, r) }) {
		return invalid("the name has blanks around it or invisible characters in it")
	}
	name = c.cfg.Account.Prefix + name
	if why := checkName(name); why != "" {
		return invalid(fmt.Sprintf("%q cannot be one: %s", name, why))
	}
	return name, nil
}

var _ connector.Accounter = (*Connector)(nil)
