package authn_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/authn"
)

// refused makes sure of a page that signs nobody in.
func refused(t *testing.T, a answer, status int, sentence string) {
	t.Helper()
	require.Equal(t, status, a.StatusCode, a.body)
	require.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"))
	require.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-")
	require.Contains(t, a.body, `<html lang="en">`)
	require.Contains(t, a.body, sentence)
	require.NotContains(t, a.body, "<script")
	require.Nil(t, cookie(a, authn.SessionCookie))
}

const (
	notBegun   = "This sign-in was not begun in this browser"
	unverified = "could not be verified, so you are not signed in"
)

func TestO24Callbacks(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)

	t.Run("WithoutStart", func(t *testing.T) {
		t.Parallel()
		refused(t, s.browser(t).get("/auth/callback?state=abc&code=def"), http.StatusBadRequest, notBegun)
		refused(t, s.browser(t).get("/auth/callback"), http.StatusBadRequest, notBegun)
	})
	t.Run("StateUsedAgain", func(t *testing.T) {
		t.Parallel()
		b := s.browser(t)
		back := b.approach("ada", "/")
		require.Equal(t, http.StatusSeeOther, b.get(back).StatusCode)
		refused(t, b.get(back), http.StatusBadRequest, notBegun)
	})
	t.Run("OtherBrowser", func(t *testing.T) {
		t.Parallel()
		attacker, victim := s.browser(t), s.browser(t)
		back := attacker.approach("ada", "/")
		victim.get("/auth/login")
		refused(t, victim.get(back), http.StatusBadRequest, notBegun)
		refused(t, s.browser(t).get(back), http.StatusBadRequest, notBegun)
		refused(t, attacker.get(back), http.StatusBadRequest, notBegun)
	})
	t.Run("OtherState", func(t *testing.T) {
		t.Parallel()
		b := s.browser(t)
		back, err := url.Parse(b.approach("ada", "/"))
		require.NoError(t, err)
		for _, state := range []string{"", "made-up", swapCase(back.Query().Get("state"))} {
			q := back.Query()
			q.Set("state", state)
			refused(t, b.get("/auth/callback?"+q.Encode()), http.StatusBadRequest, notBegun)
		}
		refused(t, b.get(back.String()+"&state=second"), http.StatusBadRequest, notBegun)
	})
	t.Run("CodeOfAnotherLogin", func(t *testing.T) {
		t.Parallel()
		mine, theirs := s.browser(t), s.browser(t)
		stolen, err := url.Parse(theirs.approach("grace", "/"))
		require.NoError(t, err)
		back, err := url.Parse(mine.approach("ada", "/"))
		require.NoError(t, err)
		q := back.Query()
		q.Set("code", stolen.Query().Get("code"))
		refused(t, mine.get("/auth/callback?"+q.Encode()), http.StatusUnauthorized, unverified)
	})
	t.Run("CodeReplayed", func(t *testing.T) {
		t.Parallel()
		b := s.browser(t)
		used, err := url.Parse(b.approach("ada", "/"))
		require.NoError(t, err)
		require.Equal(t, http.StatusSeeOther, b.get(used.String()).StatusCode)
		fresh, err := url.Parse(b.approach("ada", "/"))
		require.NoError(t, err)
		q := fresh.Query()
		q.Set("code", used.Query().Get("code"))
		refused(t, b.get("/auth/callback?"+q.Encode()), http.StatusUnauthorized, unverified)
	})
	t.Run("OtherIssuerAnswers", func(t *testing.T) {
		t.Parallel()
		b := s.browser(t)
		refused(t, b.get(b.approach("ada", "/")+"&iss=https%3A%2F%2Fevil.example.com"), http.StatusUnauthorized, unverified)
	})
	t.Run("ProviderSaysNo", func(t *testing.T) {
		t.Parallel()
		b := s.browser(t)
		back, err := url.Parse(b.approach("ada", "/"))
		require.NoError(t, err)
		q := url.Values{
			"state": {back.Query().Get("state")}, "error": {`access_denied<img src=x onerror=alert(1)>`},
			"error_description": {"<script>alert(1)</script>"},
		}
		a := b.get("/auth/callback?" + q.Encode())
		refused(t, a, http.StatusForbidden, "The identity provider did not sign you in.")
		require.NotContains(t, a.body, "alert", "nothing of it is shown")
	})
}

func TestLoginIsOverAfterTenMinutes(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	b := s.browser(t)
	back := b.approach("ada", "/")
	s.clock.pass(10 * time.Minute)
	refused(t, b.get(back), http.StatusBadRequest, notBegun)
}

func TestTwoTabsSignIn(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	b := s.browser(t)
	one, two := b.approach("ada", "/one"), b.approach("ada", "/two")

	require.Equal(t, "/two", b.get(two).Header.Get("Location"))
	require.Equal(t, "/one", b.get(one).Header.Get("Location"))
	_, code := b.me()
	require.Empty(t, code)
}

func TestReturnToIsLocal(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	for to, want := range map[string]string{
		"/requests/req_1?tab=votes#top": "/requests/req_1?tab=votes#top",
		"/":                             "/",
		"":                              "/",
		"requests":                      "/",
		"//evil.example.com":            "/",
		"///evil.example.com":           "/",
		`/\evil.example.com`:            "/",
		`\\evil.example.com`:            "/",
		"/\t/evil.example.com":          "/",
		"https://evil.example.com/":     "/",
		"javascript:alert(1)":           "/",
		"//user@evil.example.com/":      "/",
		"/a\r\nSet-Cookie: x=y":         "/",
		"/" + strings.Repeat("a", 2048): "/",
		"/\u202egnp.exe":                "/",
		"/%2f%2fevil.example.com":       "/%2f%2fevil.example.com",
	} {
		b := s.browser(t)
		a := b.get(b.approach("ada", to))
		require.Equal(t, http.StatusSeeOther, a.StatusCode)
		require.Equal(t, want, a.Header.Get("Location"), "%q", to)
	}
}

func TestAuthorizationRequest(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	a := s.browser(t).get("/auth/login")
	require.Equal(t, http.StatusSeeOther, a.StatusCode)
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	to, err := a.Location()
	require.NoError(t, err)
	q := to.Query()
	for name, length := range map[string]int{"state": 43, "nonce": 43, "code_challenge": 43} {
		require.Len(t, q.Get(name), length, name)
		q.Del(name)
	}
	require.Equal(t, url.Values{
		"client_id": {"rampkeeper"}, "response_type": {"code"}, "code_challenge_method": {"S256"},
		"redirect_uri": {s.URL + "/auth/callback"}, "scope": {"openid profile email groups"},
	}, q)
	binding := cookie(a, "__Host-rampkeeper-login")
	require.True(t, binding.Secure && binding.HttpOnly && binding.SameSite == http.SameSiteLaxMode)
	require.NotContains(t, to.String(), binding.Value)
}

// crooked is a provider whose ID token is wrong in some way.
func crooked(t *testing.T, spoil func(claims map[string]any)) (*site, *browser, string) {
	t.Helper()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	b := s.browser(t)
	to, err := b.get("/auth/login").Location()
	require.NoError(t, err)
	claims := i.claims(s.clock.now(), map[string]any{"nonce": to.Query().Get("nonce")})
	spoil(claims)
	i.handle("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"access_token": "opaque", "token_type": "Bearer",
			"id_token": sign(t, jose.RS256, theKey(), "k1", claims, nil),
		})
	})
	return s, b, "/auth/callback?" + url.Values{"code": {"c"}, "state": {to.Query().Get("state")}}.Encode()
}

func TestO24IDTokenOfAnotherLogin(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(map[string]any){
		"NonceOther":       func(c map[string]any) { c["nonce"] = "another" },
		"NonceMissing":     func(c map[string]any) { delete(c, "nonce") },
		"NonceList":        func(c map[string]any) { c["nonce"] = []any{c["nonce"]} },
		"AudienceOther":    func(c map[string]any) { c["aud"] = "ramp-cli" }, // good for a bearer, not for this
		"AudienceMissing":  func(c map[string]any) { delete(c, "aud") },
		"PartyOther":       func(c map[string]any) { c["azp"] = "ramp-cli" },
		"PartyUnsaid":      func(c map[string]any) { c["aud"] = []string{"rampkeeper", "another"} },
		"IssuerOther":      func(c map[string]any) { c["iss"] = "https://evil.example.com" },
		"AccessTokenOther": func(c map[string]any) { c["at_hash"] = "bm90IHRoZSBoYXNoIQ" },
		"Expired":          func(c map[string]any) { c["exp"] = c["iat"] },
		"SubjectMissing":   func(c map[string]any) { delete(c, "sub") },
		"SubjectEmpty":     func(c map[string]any) { c["sub"] = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b, back := crooked(t, spoil)
			refused(t, b.get(back), http.StatusUnauthorized, unverified)
		})
	}
	t.Run("ButThisIsFine", func(t *testing.T) {
		t.Parallel()
		_, b, back := crooked(t, func(c map[string]any) { c["aud"], c["azp"] = []string{"rampkeeper", "another"}, "rampkeeper" })
		require.Equal(t, http.StatusSeeOther, b.get(back).StatusCode)
	})
}

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

func TestProblemForPrograms(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/auth/callback?state=x", nil)
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "r-1")
	s.auth.Callback(w, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.JSONEq(t, `{"type":"/problems/validation_failed","title":"Bad Request","status":400,"code":"validation_failed",
		"detail":"This sign-in was not begun in this browser, was used already, or took more than ten minutes. Sign in again.",
		"instance":"/auth/callback","request_id":"r-1"}`, w.Body.String())
}
