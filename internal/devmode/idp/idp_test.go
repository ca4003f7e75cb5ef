package idp_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/rampkeeper/rampkeeper/internal/devmode/idp"
)

var people = []idp.Person{
	{Name: "ada", FullName: "Ada Engineer", Groups: []string{"engineers"}},
	{Name: "grace", FullName: "Grace Owner", Groups: []string{"db-owners", "engineers"}},
	{Name: "eve", FullName: "Eve Contractor", Groups: []string{"contractors"}},
}

const redirect = "https://app.example.com/auth/callback"

// start serves a provider on an address of its own.
func start(t *testing.T, dir string) (*idp.Provider, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	p, err := idp.New(idp.Config{Dir: dir, Issuer: issuer, People: people, Clients: []idp.Client{
		{ID: "rampkeeper", Secret: "s3cret", RedirectURIs: []string{redirect}}, {ID: "ramp-cli", Native: true},
	}})
	require.NoError(t, err)
	server.Config.Handler = p
	server.Start()
	t.Cleanup(server.Close)
	return p, issuer
}

func config(t *testing.T, issuer, client string) (*oidc.Provider, oauth2.Config) {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), issuer)
	require.NoError(t, err)
	c := oauth2.Config{ClientID: client, Endpoint: provider.Endpoint(), RedirectURL: redirect, Scopes: []string{"openid", "groups"}}
	if client == "rampkeeper" {
		c.ClientSecret = "s3cret"
	} else {
		c.RedirectURL = "http://127.0.0.1:54321/callback"
	}
	return provider, c
}

// browser follows redirects up to the one that leaves for the client.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.Contains(r.URL.Path, "/callback") && r.URL.Query().Has("state") {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

func do(t *testing.T, client *http.Client, method, target string, form url.Values) (res *http.Response, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err = client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(raw)
}

var hidden = regexp.MustCompile(`name="id" value="([^"]+)"`)

// signIn goes through the pages and gives what the client would get.
func signIn(t *testing.T, issuer, authURL, person string) url.Values {
	t.Helper()
	client := browser(t)
	res, body := do(t, client, http.MethodGet, authURL, nil)
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	require.Contains(t, body, "Development identity provider.</strong> Made-up people.")
	id := hidden.FindStringSubmatch(body)
	require.NotNil(t, id, body)
	res, body = do(t, client, http.MethodPost, issuer+"/sign-in", url.Values{"id": {id[1]}, "person": {person}})
	require.Equal(t, http.StatusFound, res.StatusCode, body)
	back, err := res.Location()
	require.NoError(t, err)
	return back.Query()
}

func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(raw, &got))
	return got
}

func about(t *testing.T, token string) map[string]any {
	t.Helper()
	got := map[string]any{}
	for _, name := range []string{"sub", "aud", "name", "preferred_username", "email", "email_verified", "groups"} {
		got[name] = claims(t, token)[name]
	}
	return got
}

func grace(aud ...any) map[string]any {
	return map[string]any{
		"sub": "grace", "aud": aud, "name": "Grace Owner", "preferred_username": "grace",
		"email": "grace@example.com", "email_verified": true, "groups": []any{"db-owners", "engineers"},
	}
}

func TestCodeFlow(t *testing.T) {
	t.Parallel()
	_, issuer := start(t, t.TempDir())
	provider, c := config(t, issuer, "rampkeeper")
	verifier := oauth2.GenerateVerifier()

	back := signIn(t, issuer, c.AuthCodeURL("the-state", oidc.Nonce("the-nonce"), oauth2.S256ChallengeOption(verifier)), "grace")

	require.Equal(t, "the-state", back.Get("state"))
	tokens, err := c.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	raw, _ := tokens.Extra("id_token").(string)
	token, err := provider.Verifier(&oidc.Config{ClientID: "rampkeeper"}).Verify(t.Context(), raw)
	require.NoError(t, err)
	require.Equal(t, "the-nonce", token.Nonce)
	require.Equal(t, grace("rampkeeper"), about(t, raw))
	require.Equal(t, grace("rampkeeper"), about(t, tokens.AccessToken))

	_, err = c.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier))
	require.Error(t, err, "a code works once")
}

func TestPKCEIsRequired(t *testing.T) {
	t.Parallel()
	_, issuer := start(t, t.TempDir())
	_, c := config(t, issuer, "rampkeeper")

	res, _ := do(t, browser(t), http.MethodGet, c.AuthCodeURL("s"), nil)
	back, err := res.Location()
	require.NoError(t, err)
	require.Equal(t, "invalid_request", back.Query().Get("error"))

	code := signIn(t, issuer, c.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())), "ada").Get("code")
	_, err = c.Exchange(t.Context(), code, oauth2.VerifierOption(oauth2.GenerateVerifier()))
	require.Error(t, err, "another verifier")
}

func TestForeignRedirectIsRefused(t *testing.T) {
	t.Parallel()
	_, issuer := start(t, t.TempDir())
	for _, tt := range []struct{ client, uri string }{
		{"rampkeeper", "https://evil.example.com/auth/callback"},
		{"rampkeeper", redirect + "/more"},
		{"ramp-cli", "http://evil.example.com/callback"},
		{"ramp-cli", "http://127.0.0.1:1/elsewhere"},
		{"nobody", redirect},
	} {
		_, c := config(t, issuer, tt.client)
		c.RedirectURL = tt.uri
		res, body := do(t, browser(t), http.MethodGet, c.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())), nil)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, "%v: %s", tt, body)
	}
}

func TestNativeClientRefreshesWithRotation(t *testing.T) {
	t.Parallel()
	p, issuer := start(t, t.TempDir())
	_, c := config(t, issuer, "ramp-cli")
	c.Scopes = append(c.Scopes, "offline_access")
	verifier := oauth2.GenerateVerifier()
	code := signIn(t, issuer, c.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), "grace").Get("code")
	first, err := c.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	require.Equal(t, grace("ramp-cli", "rampkeeper"), about(t, first.AccessToken))
	refresh := func(token string) (*oauth2.Token, error) {
		return c.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token}).Token()
	}

	p.SetGroups("grace", "engineers")
	second, err := refresh(first.RefreshToken)
	require.NoError(t, err)
	require.NotEmpty(t, second.RefreshToken)
	require.NotEqual(t, first.RefreshToken, second.RefreshToken)
	require.Equal(t, []any{"engineers"}, claims(t, second.AccessToken)["groups"], "groups are looked up anew")

	_, err = refresh(first.RefreshToken)
	require.Error(t, err, "used already")
	_, err = refresh(second.RefreshToken)
	require.Error(t, err, "the whole family ends when one is used twice")
}

func TestRefreshOfSomebodyWhoLeft(t *testing.T) {
	t.Parallel()
	p, issuer := start(t, t.TempDir())
	_, c := config(t, issuer, "ramp-cli")
	c.Scopes = append(c.Scopes, "offline_access")
	verifier := oauth2.GenerateVerifier()
	code := signIn(t, issuer, c.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), "eve").Get("code")
	tokens, err := c.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	require.NoError(t, err)

	p.Remove("eve")

	_, err = c.TokenSource(t.Context(), &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token()
	require.Error(t, err)
}

func TestDeviceFlow(t *testing.T) {
	t.Parallel()
	_, issuer := start(t, t.TempDir())
	_, c := config(t, issuer, "ramp-cli")

	device, err := c.DeviceAuth(t.Context())
	require.NoError(t, err)
	res, body := do(t, browser(t), http.MethodGet, device.VerificationURIComplete, nil)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, body, device.UserCode, "the person compares the code")
	res, body = do(t, browser(t), http.MethodPost, issuer+"/device", url.Values{"user_code": {device.UserCode}, "person": {"grace"}})
	require.Equal(t, http.StatusOK, res.StatusCode, body)

	tokens, err := c.DeviceAccessToken(t.Context(), device)
	require.NoError(t, err)
	require.Equal(t, grace("ramp-cli", "rampkeeper"), about(t, tokens.AccessToken))
	_, err = c.DeviceAccessToken(t.Context(), device)
	require.Error(t, err, "a device code works once")
}

func TestDeviceFlowRefused(t *testing.T) {
	t.Parallel()
	_, issuer := start(t, t.TempDir())
	_, c := config(t, issuer, "ramp-cli")
	device, err := c.DeviceAuth(t.Context())
	require.NoError(t, err)

	res, body := do(t, browser(t), http.MethodPost, issuer+"/device", url.Values{"user_code": {device.UserCode}, "deny": {"yes"}})
	require.Equal(t, http.StatusOK, res.StatusCode, body)

	_, err = c.DeviceAccessToken(t.Context(), device)
	require.ErrorContains(t, err, "access_denied")
}

func TestPagesGuardThemselves(t *testing.T) {
	t.Parallel()
	_, issuer := start(t, t.TempDir())
	_, c := config(t, issuer, "rampkeeper")
	page, body := do(t, browser(t), http.MethodGet, c.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())), nil)
	require.Contains(t, page.Header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-")
	id := hidden.FindStringSubmatch(body)[1]

	t.Run("OtherSite", func(t *testing.T) {
		t.Parallel()
		form := url.Values{"id": {id}, "person": {"ada"}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/sign-in", strings.NewReader(form.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		require.Equal(t, http.StatusForbidden, res.StatusCode)
	})
	t.Run("OtherHost", func(t *testing.T) {
		t.Parallel()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/sign-in?id="+id, nil)
		require.NoError(t, err)
		req.Host = "rebound.example.com"
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		require.Equal(t, http.StatusMisdirectedRequest, res.StatusCode)
	})
	t.Run("Unknown", func(t *testing.T) {
		t.Parallel()
		for _, form := range []url.Values{{"id": {"made-up"}, "person": {"ada"}}, {"id": {id}, "person": {"nobody"}}, {"id": {id}}} {
			res, body := do(t, browser(t), http.MethodPost, issuer+"/sign-in", form)
			require.Equal(t, http.StatusBadRequest, res.StatusCode)
			require.Contains(t, body, "This sign-in is over")
		}
	})
}

func TestTokensSurviveRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := httptest.NewUnstartedServer(nil)
	defer server.Close()
	c := idp.Config{Dir: dir, People: people, Issuer: "http://" + server.Listener.Addr().String()}
	before, err := idp.New(c)
	require.NoError(t, err)
	token, err := before.Token("grace", time.Hour)
	require.NoError(t, err)

	after, err := idp.New(c)
	require.NoError(t, err)
	server.Config.Handler = after
	server.Start()
	provider, err := oidc.NewProvider(t.Context(), c.Issuer)
	require.NoError(t, err)
	verifier := provider.Verifier(&oidc.Config{ClientID: idp.Audience})
	_, err = verifier.Verify(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, grace("rampkeeper"), about(t, token))

	_, err = after.Token("nobody", time.Hour)
	require.EqualError(t, err, `there is no "nobody" here; there are ada, grace, eve`)

	info, err := os.Stat(filepath.Join(dir, "idp-keys.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestFaults(t *testing.T) {
	t.Parallel()
	p, issuer := start(t, t.TempDir())
	provider, err := oidc.NewProvider(t.Context(), issuer)
	require.NoError(t, err)
	verify := func(token string) error {
		_, err := provider.Verifier(&oidc.Config{ClientID: idp.Audience}).Verify(context.WithoutCancel(t.Context()), token)
		return err
	}
	for _, f := range []idp.Faults{{Expired: true}, {Audience: "another"}, {KeyID: "made-up"}} {
		p.Break(f)
		token, err := p.Token("ada", time.Hour)
		require.NoError(t, err)
		require.Error(t, verify(token), "%+v", f)
	}

	p.Break(idp.Overage())
	token, err := p.Token("ada", time.Hour)
	require.NoError(t, err)
	require.NotContains(t, claims(t, token), "groups")
	require.Contains(t, claims(t, token), "_claim_names")

	p.Break(idp.Faults{})
	token, err = p.Token("ada", time.Hour)
	require.NoError(t, err)
	require.NoError(t, verify(token))
	require.NoError(t, p.RotateKey(true))
	require.NoError(t, verify(token), "the older key is still published")
	require.NoError(t, p.RotateKey(false))
	token2, err := p.Token("ada", time.Hour)
	require.NoError(t, err)
	require.NoError(t, verify(token2))
}

func TestOnlyTheLocalMachine(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"", "http://idp.example.com", "https://127.0.0.1:1", "http://127.0.0.1:1/path", "http://192.0.2.1:80"} {
		_, err := idp.New(idp.Config{Dir: t.TempDir(), Issuer: issuer})
		require.Error(t, err, issuer)
	}
}
