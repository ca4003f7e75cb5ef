package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
	"golang.org/x/oauth2"

	"github.com/rampkeeper/rampkeeper/api/client"
)

// patience is how long an answer may take. The broker holds a long poll for
// 20 seconds when asked to.
const patience = 2 * time.Minute

// apiPath is where a broker has its API.
const apiPath = "/api/v1"

// serverURL gives the address of the broker: flag, environment, saved login.
func (a *app) serverURL(s saved) (string, error) {
	server := cmp.Or(a.server, a.getenv("RAMP_SERVER"), s.Server)
	if server == "" {
		return "", fail(exitNotSignedIn, "no server is known: run 'ramp login --server https://…', or set RAMP_SERVER and RAMP_TOKEN")
	}
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", usage("the server must be an address such as https://access.example.com, not %q", server)
	}
	return strings.TrimRight(server, "/"), nil
}

// connect gives a client that sends the caller's token, which is renewed when
// it is about to end: waiting may take longer than a token lives.
func (a *app) connect() (*client.Client, error) {
	s, err := a.loadSaved()
	if err != nil {
		return nil, err
	}
	server, err := a.serverURL(s)
	if err != nil {
		return nil, err
	}
	return newClient(server+apiPath, func(ctx context.Context) (string, error) {
		if token := strings.TrimSpace(a.getenv("RAMP_TOKEN")); token != "" {
			return token, nil
		}
		if s.IDToken == "" || s.Server != server {
			return "", fail(exitNotSignedIn, "not signed in at %s: run 'ramp login --server %s', or set RAMP_TOKEN", server, server)
		}
		if s.fresh() {
			return s.IDToken, nil
		}
		renewed, err := a.renew(ctx, server)
		if err != nil {
			return "", err
		}
		s = renewed
		return s.IDToken, nil
	})
}

// newClient gives a client for an address; token may be nil.
func newClient(base string, token func(context.Context) (string, error)) (*client.Client, error) {
	c, err := client.NewClient(base,
		client.WithHTTPClient(&http.Client{
			Timeout: patience,
			// The API redirects nowhere, so an address that does is another's.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		client.WithRequestEditorFn(func(ctx context.Context, r *http.Request) error {
			r.Header.Set("User-Agent", "ramp/"+version)
			if token == nil {
				return nil
			}
			t, err := token(ctx)
			if err != nil {
				return err
			}
			r.Header.Set("Authorization", "Bearer "+t)
			return nil
		}))
	if err != nil {
		return nil, fmt.Errorf("preparing the client: %w", err)
	}
	return c, nil
}

// renew gets the next ID token with the refresh token. A refresh token works
// once, so one ramp at a time does this, and the others take what it saved.
func (a *app) renew(ctx context.Context, server string) (saved, error) {
	path, err := a.savedPath()
	if err != nil {
		return saved{}, err
	}
	unlock, err := lockedfile.MutexAt(path + ".lock").Lock()
	if err != nil {
		return saved{}, fmt.Errorf("renewing the login: %w", err)
	}
	defer unlock()
	s, err := a.loadSaved()
	if err != nil || s.Server == server && s.fresh() {
		return s, err
	}
	over := fail(exitNotSignedIn, "the login at %s has ended: run 'ramp login --server %s' again", server, server)
	if s.RefreshToken == "" || s.Server != server {
		return saved{}, over
	}
	oauth := oauth2.Config{ClientID: s.ClientID, Endpoint: oauth2.Endpoint{TokenURL: s.TokenEndpoint, AuthStyle: oauth2.AuthStyleInParams}}
	token, err := oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: s.RefreshToken}).Token()
	if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) && refused.Response.StatusCode < http.StatusInternalServerError {
		return saved{}, over
	}
	if err != nil {
		return saved{}, fmt.Errorf("renewing the login at the identity provider: %w", err)
	}
	if err := s.take(token); err != nil {
		return saved{}, fail(exitNotSignedIn, "renewing the login: %w; run 'ramp login' again", err)
	}
	return s, a.save(s)
}
