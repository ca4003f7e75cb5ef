package authn

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// How long a browser session lasts at most, and without use.
const (
	SessionLife = 8 * time.Hour
	SessionIdle = 30 * time.Minute
)

// Config says which provider to trust, and for what.
type Config struct {
	// Issuer is compared with tokens and the discovery document byte by byte.
	Issuer       string
	ClientID     string
	ClientSecret string // empty for a public client
	// RedirectURL is this server's /auth/callback as browsers see it.
	RedirectURL string
	// Audiences of bearer tokens that are meant for this server.
	Audiences []string
	// Scopes to ask for besides openid. Empty: profile and email, and groups
	// where the provider offers it.
	Scopes []string
	// GroupsClaim defaults to groups.
	GroupsClaim string
	// Roles gives the groups that hold each application role.
	Roles map[access.AppRole][]string
	// RootCAs are trusted for the provider instead of the system's.
	RootCAs *x509.CertPool
	// Now is the clock that tokens are checked against.
	Now func() time.Time
	Log *slog.Logger
}

// Authenticator turns a request into the caller that made it.
type Authenticator struct {
	config     Config
	store      *store.Store
	provider   *provider
	seen       *tokenCache
	sameOrigin *http.CrossOriginProtection
}

// New checks the configuration and tries the provider once. A provider that
// is down is written to the log, and is no error.
func New(ctx context.Context, config Config, db *store.Store) (*Authenticator, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("checking the identity provider's settings: %w", err)
	}
	if config.GroupsClaim == "" {
		config.GroupsClaim = "groups"
	}
	a := &Authenticator{
		config:     config,
		store:      db,
		provider:   newProvider(config),
		seen:       newTokenCache(),
		sameOrigin: http.NewCrossOriginProtection(),
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := a.provider.get(ctx); err != nil {
		config.Log.WarnContext(ctx, "the identity provider does not answer yet; it is asked again when it is needed",
			"issuer", config.Issuer, "err", err)
	}
	return a, nil
}

// validate reports all faults at once.
func (c Config) validate() error {
	var faults []error
	for _, f := range []struct {
		bad bool
		msg string
	}{
		{c.Now == nil || c.Log == nil, "a clock and a log are needed"},
		{c.ClientID == "", "the client id is empty"},
		{len(c.Audiences) == 0, "no audience is given: any token of the issuer would do"},
		{slices.Contains(c.Audiences, ""), "an audience is empty"},
		{strings.Contains(c.Issuer, "|"), "the issuer holds a |"},
	} {
		if f.bad {
			faults = append(faults, errors.New(f.msg))
		}
	}
	if err := checkURL(c.Issuer, true); err != nil {
		faults = append(faults, fmt.Errorf("the issuer %w", err))
	}
	if err := checkURL(c.RedirectURL, true); err != nil {
		faults = append(faults, fmt.Errorf("the redirect URL %w", err))
	}
	for role, groups := range c.Roles {
		if slices.Contains(groups, "") {
			faults = append(faults, fmt.Errorf("an empty group is named for the role %s", role))
		}
	}
	return errors.Join(faults...)
}

// checkURL accepts https, and plain http on the local machine where that is
// asked for.
func checkURL(raw string, plainLocal bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must be a URL with a host, and without user, query and fragment")
	case u.Scheme == "https" || u.Scheme == "http" && plainLocal && isLoopback(u):
		return nil
	}
	return errors.New("must start with https:// (http:// is for the local machine only)")
}

func isLoopback(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
}

// roles gives the application roles of a subject. One whose groups are not
// known has none.
func (a *Authenticator) roles(s access.Subject) []access.AppRole {
	var held []access.AppRole
	for _, role := range []access.AppRole{access.ContractAdmin, access.Auditor, access.Operator} {
		if slices.ContainsFunc(a.config.Roles[role], s.In) {
			held = append(held, role)
		}
	}
	return held
}
