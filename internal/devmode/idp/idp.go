// Package idp is an OpenID provider for development and tests. It knows a few
// made-up people, lets anybody be any of them without a password, and must
// never be reachable from another machine: production configuration has no
// way to switch it on, since only package devmode imports it.
//
// The protocol is github.com/zitadel/oidc's. This package brings the people,
// the clients, the signing keys, which live in a directory so that tokens
// outlive the process, and the pages.
package idp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// Audience is in every token, whichever client it is for.
const Audience = "rampkeeper"

const (
	tokenLife  = 10 * time.Minute // of ID and access tokens
	signInLife = 10 * time.Minute // of a sign-in that is under way
)

// Person is somebody who can sign in. The name is the subject of the tokens.
type Person struct {
	Name     string
	FullName string
	Groups   []string
}

// Client is an application that sends people here.
type Client struct {
	ID string
	// Secret is empty for a public client.
	Secret string
	// RedirectURIs are compared exactly, except for the port of a native
	// client's loopback addresses. A native client that gives none may use
	// /callback or / on any loopback address.
	RedirectURIs []string
	// Native marks a program on the person's own machine. It may also use the
	// device flow.
	Native bool
}

// Config says where the provider is, and whom it knows.
type Config struct {
	// Dir keeps the keys. It is made if it is not there.
	Dir string
	// Issuer is the provider's own URL: a loopback address, without a path.
	Issuer string
	// People who can sign in.
	People []Person
	// Clients that are known.
	Clients []Client
}

// Provider is the identity provider. Another process may open the same
// directory to make tokens, whether this one runs or not. Serve it at the issuer's address.
type Provider struct {
	http.Handler

	issuer  string
	storage *storage
}

// New makes a provider from its directory, or begins one there.
func New(config Config) (*Provider, error) {
	issuer, err := url.Parse(config.Issuer)
	if err != nil || issuer.Scheme != "http" || issuer.Host == "" || issuer.Path != "" {
		return nil, fmt.Errorf("the development identity provider's issuer is http://, a loopback host and a port, not %q", config.Issuer)
	}
	if h := issuer.Hostname(); h != "localhost" && h != "127.0.0.1" && h != "::1" {
		return nil, errors.New("the development identity provider serves the local machine only")
	}
	keys, err := openKeys(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the signing keys: %w", err)
	}
	store := newStorage(config, keys)
	protocol, err := op.NewProvider(&op.Config{
		CryptoKey:             sha256.Sum256(keys.secret()),
		CodeMethodS256:        true,
		AuthMethodPost:        true,
		GrantTypeRefreshToken: true,
		SupportedScopes:       []string{"openid", "profile", "email", "groups", "offline_access"},
		SupportedClaims:       []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "name", "preferred_username", "email", "email_verified", "groups"},
		DeviceAuthorization: op.DeviceAuthorizationConfig{
			Lifetime: signInLife, PollInterval: time.Second, UserFormPath: devicePath, UserCode: op.UserCodeBase20,
		},
	}, store, op.StaticIssuer(config.Issuer), op.WithAllowInsecure())
	if err != nil {
		return nil, fmt.Errorf("setting up the protocol: %w", err)
	}

	done := func(ctx context.Context, id string) string {
		return op.AuthCallbackURL(protocol)(op.ContextWithIssuer(ctx, config.Issuer), id)
	}
	mux := http.NewServeMux()
	p := pages{storage: store, done: done}
	mux.HandleFunc("GET "+signInPath, p.signIn)
	mux.HandleFunc("POST "+signInPath, p.signedIn)
	mux.HandleFunc("GET "+devicePath, p.device)
	mux.HandleFunc("POST "+devicePath, p.deviceAnswered)
	mux.HandleFunc("GET /{$}", p.home)
	mux.Handle("/", protocol)

	return &Provider{
		// A page elsewhere must not reach this one under a name that it has
		// pointed at the local machine.
		Handler: onlyHost(issuer.Host, http.NewCrossOriginProtection(), mux),
		issuer:  config.Issuer,
		storage: store,
	}, nil
}

func onlyHost(host string, sameSite *http.CrossOriginProtection, next http.Handler) http.Handler {
	pages := sameSite.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != host:
			http.Error(w, "This is the development identity provider of "+host+" only.", http.StatusMisdirectedRequest)
		case strings.HasPrefix(r.URL.Path, signInPath) || strings.HasPrefix(r.URL.Path, devicePath):
			pages.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// loopback is where native clients listen, on any port.
var loopback = []string{
	"http://127.0.0.1/callback", "http://localhost/callback", "http://[::1]/callback",
	"http://127.0.0.1/", "http://localhost/", "http://[::1]/",
}
