package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/rampkeeper/rampkeeper/api/client"
)

// saved is what 'ramp login' keeps, readable by its owner only.
type saved struct {
	Server        string    `json:"server"`
	Issuer        string    `json:"issuer"`
	ClientID      string    `json:"client_id"`
	TokenEndpoint string    `json:"token_endpoint"`
	IDToken       string    `json:"id_token"`
	RefreshToken  string    `json:"refresh_token,omitempty"`
	Expiry        time.Time `json:"expiry"`
}

func (a *app) savedPath() (string, error) {
	if dir := a.getenv("RAMP_CONFIG_DIR"); dir != "" {
		return filepath.Join(dir, "login.json"), nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no place to keep a login (%w); set RAMP_CONFIG_DIR, or RAMP_SERVER and RAMP_TOKEN", err)
	}
	return filepath.Join(dir, "ramp", "login.json"), nil
}

func (a *app) loadSaved() (saved, error) {
	var s saved
	path, err := a.savedPath()
	if err != nil {
		return s, err
	}
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return s, fmt.Errorf("reading the saved login: %w", err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("the saved login %s is damaged; sign in again with 'ramp login'", path)
	}
	return s, nil
}

func (a *app) save(s saved) error {
	path, err := a.savedPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("saving the login: %w", err)
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the login: %w", err)
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return fmt.Errorf("saving the login: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("saving the login: %w", err)
	}
	return nil
}

// serverURL gives the address of the broker: flag, environment, saved login.
func (a *app) serverURL(s saved) (string, error) {
	server := cmp.Or(a.server, a.getenv("RAMP_SERVER"), s.Server)
	if server == "" {
		return "", &exitError{code: exitNotSignedIn, err: errors.New("no server is known: run 'ramp login --server https://…', or set RAMP_SERVER and RAMP_TOKEN")}
	}
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", usage("the server must be an address such as https://access.example.com, not %q", server)
	}
	return strings.TrimRight(server, "/"), nil
}

// connect gives a client that sends the caller's token.
func (a *app) connect(ctx context.Context) (*client.Client, error) {
	s, err := a.loadSaved()
	if err != nil {
		return nil, err
	}
	server, err := a.serverURL(s)
	if err != nil {
		return nil, err
	}
	token, err := a.token(ctx, s, server)
	if err != nil {
		return nil, err
	}
	c, err := client.NewClient(server+"/api/v1", client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("User-Agent", "ramp/"+version)
		return nil
	}))
	if err != nil {
		return nil, fmt.Errorf("preparing the client: %w", err)
	}
	return c, nil
}

// token gives the caller's bearer token, renewed if it is about to end.
func (a *app) token(ctx context.Context, s saved, server string) (string, error) {
	if token := a.getenv("RAMP_TOKEN"); token != "" {
		return strings.TrimSpace(token), nil
	}
	if s.IDToken == "" || s.Server != server {
		return "", &exitError{code: exitNotSignedIn, err: fmt.Errorf("not signed in at %s: run 'ramp login --server %s', or set RAMP_TOKEN", server, server)}
	}
	if time.Until(s.Expiry) > 30*time.Second {
		return s.IDToken, nil
	}
	again := &exitError{code: exitNotSignedIn, err: errors.New("the login has ended: run 'ramp login' again")}
	if s.RefreshToken == "" {
		return "", again
	}
	oauth := oauth2.Config{ClientID: s.ClientID, Endpoint: oauth2.Endpoint{TokenURL: s.TokenEndpoint, AuthStyle: oauth2.AuthStyleInParams}}
	renewed, err := oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: s.RefreshToken, Expiry: time.Unix(1, 0)}).Token()
	if err != nil {
		return "", again
	}
	if err := s.take(renewed); err != nil {
		return "", again
	}
	return s.IDToken, a.save(s)
}

// take keeps what the provider gave.
func (s *saved) take(t *oauth2.Token) error {
	id, ok := t.Extra("id_token").(string)
	if !ok {
		return errors.New("the provider gave no ID token; the client needs the scope openid")
	}
	s.IDToken = id
	if t.RefreshToken != "" {
		s.RefreshToken = t.RefreshToken
	}
	expiry, err := expiryOf(id)
	if err != nil {
		return err
	}
	s.Expiry = expiry
	return nil
}
