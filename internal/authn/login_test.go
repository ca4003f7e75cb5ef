package authn_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

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

func TestProblemForPrograms(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/auth/callback?state=x", nil)
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "r-1")
	s.auth.Callback(w, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.JSONEq(t, `{"type":"/problems/validation_failed","title":"The input is not valid","status":400,"code":"validation_failed",
		"detail":"This sign-in was not begun in this browser, was used already, or took more than ten minutes. Sign in again.",
		"instance":"/auth/callback","request_id":"r-1"}`, w.Body.String())
}

func TestLoginBeginsUnderTheNameItComesBackTo(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t)
	home := s.Listener.Addr().String()
	_, port, _ := strings.Cut(home, ":")
	for host, want := range map[string]string{
		"localhost:" + port:             "https://" + home + "/auth/login?return_to=%2Fgrants",
		"[::1]:" + port:                 "https://" + home + "/auth/login?return_to=%2Fgrants",
		home:                            "",
		"localhost:1":                   "",
		"evil.example.com:" + port:      "",
		"127.0.0.1.example.com:" + port: "",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/auth/login?return_to=%2Fgrants", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.auth.Login(w, r)
		require.Equal(t, http.StatusSeeOther, w.Code)
		if want != "" {
			require.Equal(t, want, w.Header().Get("Location"), host)
			require.Empty(t, w.Result().Cookies())
			continue
		}
		require.Contains(t, w.Header().Get("Location"), "/authorize?", host)
	}
}
