package authn_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/authn"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

const foreignDir = "../../tools/oidc-provider"

// foreign starts the npm package oidc-provider, a provider that shares no
// code with this repository, and gives its issuer.
func foreign(t *testing.T, redirect string) string {
	t.Helper()
	if _, err := os.Stat(foreignDir + "/node_modules/oidc-provider"); err != nil {
		t.Fatal("the OpenID provider of this test is not installed. This installs it: tools/setup-tests.sh")
	}
	cmd := exec.CommandContext(t.Context(), "node", "server.mjs", redirect)
	cmd.Dir = foreignDir
	cmd.WaitDelay = 5 * time.Second
	stdin, err := cmd.StdinPipe() // it ends when this does, so nothing is left behind
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // it was told to end; how does not matter
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	var ready struct{ Issuer string }
	require.NoError(t, json.Unmarshal(line, &ready))
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return ready.Issuer
}

var formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)

// approachForeign signs in on the provider's own pages, and gives the address
// that they send the browser back to.
func (b *browser) approachForeign(from, login, back string) url.Values {
	b.t.Helper()
	page := b.follow(b.get(from), back)
	for _, form := range []url.Values{
		{"prompt": {"login"}, "login": {login}, "password": {"any"}},
		{"prompt": {"consent"}},
	} {
		if page.StatusCode == http.StatusSeeOther || page.StatusCode == http.StatusFound {
			break
		}
		require.Equal(b.t, http.StatusOK, page.StatusCode, page.body)
		action := formAction.FindStringSubmatch(page.body)
		require.NotNil(b.t, action, page.body)
		to, err := page.Request.URL.Parse(action[1])
		require.NoError(b.t, err)
		page = b.follow(b.do(http.MethodPost, to.String(), form), back)
	}
	at, err := page.Location()
	require.NoError(b.t, err)
	require.Contains(b.t, at.String(), back)
	return at.Query()
}

// TestForeignProvider signs in at a certified provider, whose ID tokens hold
// none of the claims about a person: those come from its userinfo endpoint.
func TestForeignProvider(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := &site{Server: httptest.NewUnstartedServer(nil), clock: c, store: pgtest.New(t).Store(t, store.WithClock(c.now))}
	t.Cleanup(s.Close)
	issuer := foreign(t, "https://"+s.Listener.Addr().String()+"/auth/callback")
	start(t, s, authn.Config{
		Issuer: issuer, ClientID: "rampkeeper", ClientSecret: "rampkeeper-test-secret",
		Audiences: []string{"rampkeeper"}, Scopes: []string{"profile", "email", "groups"},
	})
	want := access.Subject{
		ID: access.PrincipalID(issuer + "|ada"), Name: "ada of oidc-provider", Username: "ada", Email: "ada@example.com",
		Groups: []string{"auditors", "engineers"}, GroupsKnown: true,
	}

	b := s.browser(t)
	back := b.approachForeign("/auth/login?return_to=/grants", "ada", "/auth/callback")
	in := b.get("/auth/callback?" + back.Encode())
	require.Equal(t, http.StatusSeeOther, in.StatusCode, in.body)
	require.Equal(t, "/grants", in.Header.Get("Location"))
	require.Equal(t, issuer, back.Get("iss"), "it names itself in its answer")

	who, code := b.me()
	require.Empty(t, code)
	require.WithinDuration(t, time.Now(), who.AuthTime, time.Minute)
	want.AuthTime = who.AuthTime
	require.Equal(t, access.Caller{Subject: want, Roles: []access.AppRole{access.Auditor}, SessionID: who.SessionID}, who)

	fresh := b.approachForeign("/auth/login", "ada", "/auth/callback")
	fresh.Set("code", back.Get("code"))
	refused(t, b.get("/auth/callback?"+fresh.Encode()), http.StatusUnauthorized, unverified)
	_, code = b.me()
	require.Empty(t, code, "a code used twice signs nobody in; the session that was there goes on")

	bearerOfForeign(t, s, issuer)
}

// bearerOfForeign is what the command line client does.
func bearerOfForeign(t *testing.T, s *site, issuer string) {
	t.Helper()
	const callback = "http://127.0.0.1:1/callback"
	cli := oauth2.Config{
		ClientID: "ramp-cli", RedirectURL: callback, Scopes: []string{"openid", "profile"},
		Endpoint: oauth2.Endpoint{AuthURL: issuer + "/auth", TokenURL: issuer + "/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	verifier := oauth2.GenerateVerifier()
	got := s.browser(t).approachForeign(cli.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), "grace", callback)
	tokens, err := cli.Exchange(t.Context(), got.Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err)

	who, code := s.bearer(t, tokens.AccessToken)
	require.Empty(t, code)
	require.Equal(t, access.Caller{Subject: access.Subject{
		ID: access.PrincipalID(issuer + "|grace"), Groups: []string{"engineers"}, GroupsKnown: true, AuthTime: who.AuthTime,
	}}, who)
	id, _ := tokens.Extra("id_token").(string)
	_, code = s.bearer(t, id)
	require.Equal(t, access.Unauthenticated, code, "its ID token is for ramp-cli, which is no audience here")
}
