package authn_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/authn"
)

// TestO25ProviderDown: the broker starts, sessions go on, new logins say so,
// and all is well by itself when the provider is back.
func TestO25ProviderDown(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	var real http.Handler
	provider := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !up.Load() {
			panic(http.ErrAbortHandler)
		}
		real.ServeHTTP(w, r)
	}))
	provider.Start()
	t.Cleanup(provider.Close)
	i := newIssuer(t)
	real = i.Config.Handler
	i.discovery = map[string]any{
		"issuer": provider.URL, "jwks_uri": provider.URL + "/keys",
		"authorization_endpoint": provider.URL + "/authorize", "token_endpoint": provider.URL + "/token",
	}
	s := serve(t, authn.Config{Issuer: provider.URL})
	token := i.token(t, s.clock.now(), map[string]any{"iss": provider.URL})

	refused(t, s.browser(t).get("/auth/login"), http.StatusServiceUnavailable, "The identity provider does not answer")
	_, code := s.bearer(t, token)
	require.Equal(t, access.NotReady, code, "not the caller's fault")

	up.Store(true)
	s.clock.pass(2 * time.Second)
	_, code = s.bearer(t, token)
	require.Empty(t, code)
	require.Equal(t, http.StatusSeeOther, s.browser(t).get("/auth/login").StatusCode)

	up.Store(false)
	s.clock.pass(20 * time.Minute)
	_, code = s.bearer(t, token)
	require.Empty(t, code, "who was known goes on")
	_, code = s.bearer(t, i.token(t, s.clock.now(), map[string]any{"iss": provider.URL, "jti": "new"}))
	require.Empty(t, code, "with the keys as they were")
}

func TestDiscoveryIsDistrusted(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, i *issuer){
		"OtherIssuer": func(_ *testing.T, i *issuer) { i.discovery["issuer"] = "https://evil.example.com" },
		"WithSlash":   func(_ *testing.T, i *issuer) { i.discovery["issuer"] = i.URL + "/" },
		"NoKeys":      func(_ *testing.T, i *issuer) { delete(i.discovery, "jwks_uri") },
		"KeysByFile":  func(_ *testing.T, i *issuer) { i.discovery["jwks_uri"] = "file:///etc/passwd" },
		"KeysAfar":    func(_ *testing.T, i *issuer) { i.discovery["jwks_uri"] = "http://keys.example.com/" },
		"Huge":        func(_ *testing.T, i *issuer) { i.discovery["more"] = strings.Repeat("a", 2<<20) },
		"Redirect": func(_ *testing.T, i *issuer) {
			elsewhere := i.Config.Handler
			i.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/moved" {
					r.URL.Path = "/.well-known/openid-configuration"
					elsewhere.ServeHTTP(w, r)
					return
				}
				http.Redirect(w, r, "/moved", http.StatusFound)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			change(t, i)
			s := serve(t, authn.Config{Issuer: i.URL})
			_, code := s.bearer(t, i.token(t, s.clock.now(), nil))
			require.Equal(t, access.NotReady, code)
		})
	}
}

func TestKeysAreNotFollowedElsewhere(t *testing.T) {
	t.Parallel()
	i, evil := newIssuer(t), newIssuer(t)
	i.handle("GET /moved-keys", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, evil.URL+"/keys", http.StatusFound)
	})
	i.discovery["jwks_uri"] = i.URL + "/moved-keys"
	s := serve(t, authn.Config{Issuer: i.URL})
	_, code := s.bearer(t, i.token(t, s.clock.now(), nil))
	require.Equal(t, access.NotReady, code)
	require.Zero(t, evil.fetched.Load())
}

func TestSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, authn.Config{Issuer: newIssuer(t).URL})
	for name, tt := range map[string]struct {
		change func(*authn.Config)
		want   string
	}{
		"NoClient":        {func(c *authn.Config) { c.ClientID = "" }, "the client id is empty"},
		"NoAudience":      {func(c *authn.Config) { c.Audiences = nil }, "no audience is given: any token of the issuer would do"},
		"EmptyAudience":   {func(c *authn.Config) { c.Audiences = []string{"rampkeeper", ""} }, "an audience is empty"},
		"NoIssuer":        {func(c *authn.Config) { c.Issuer = "" }, "the issuer must be a URL with a host, and without user, query and fragment"},
		"PlainIssuer":     {func(c *authn.Config) { c.Issuer = "http://idp.example.com" }, "the issuer must start with https:// (http:// is for the local machine only)"},
		"IssuerWithQuery": {func(c *authn.Config) { c.Issuer = "https://idp.example.com/?a=b" }, "the issuer must be a URL with a host, and without user, query and fragment"},
		"IssuerWithBar":   {func(c *authn.Config) { c.Issuer = "https://idp.example.com/a|b" }, "the issuer holds a |"},
		"PlainRedirect":   {func(c *authn.Config) { c.RedirectURL = "http://app.example.com/auth/callback" }, "the redirect URL must start with https:// (http:// is for the local machine only)"},
		"EmptyGroup":      {func(c *authn.Config) { c.Roles = map[access.AppRole][]string{access.Operator: {""}} }, "an empty group is named for the role operator"},
		"NoClock":         {func(c *authn.Config) { c.Now = nil }, "a clock and a log are needed"},
	} {
		config := settings(authn.Config{Issuer: "https://idp.example.com"}, s)
		tt.change(&config)
		_, err := authn.New(t.Context(), config, s.store)
		require.EqualError(t, err, "checking the identity provider's settings: "+tt.want, name)
	}
}
