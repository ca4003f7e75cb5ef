package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/oauth2"
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
		return s, fmt.Errorf("the saved login %s is damaged; sign in again with 'ramp login', or forget it with 'ramp logout'", path)
	}
	return s, nil
}

// save replaces the file in one step, so that another ramp never reads half
// of it.
func (a *app) save(s saved) error {
	path, err := a.savedPath()
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the login: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("saving the login: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "login-*.tmp") // mode 0600
	if err != nil {
		return fmt.Errorf("saving the login: %w", err)
	}
	_, err = tmp.Write(raw)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("saving the login: %w", err)
	}
	return nil
}

// take keeps what the provider gave.
func (s *saved) take(t *oauth2.Token) error {
	id, ok := t.Extra("id_token").(string)
	if !ok {
		return errors.New("the provider gave no ID token; the client needs the scope openid")
	}
	expiry, err := expiryOf(id)
	if err != nil {
		return err
	}
	s.IDToken, s.Expiry = id, expiry
	if t.RefreshToken != "" {
		s.RefreshToken = t.RefreshToken
	}
	return nil
}

// fresh says whether the ID token is good for a while yet.
func (s *saved) fresh() bool { return time.Until(s.Expiry) > 30*time.Second }

// expiryOf reads the end of a token that the provider gave directly. Nothing
// is trusted because of it; it only says when to renew.
func expiryOf(idToken string) (time.Time, error) {
	errNoJWT := errors.New("the provider's ID token is not a JWT")
	parts := strings.Split(idToken, ".")
	if len(parts) != 3 {
		return time.Time{}, errNoJWT
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, errNoJWT
	}
	var claims struct {
		Exp int64 `json:"exp"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil || claims.Exp == 0 {
		return time.Time{}, errors.New("the provider's ID token has no end")
	}
	return time.Unix(claims.Exp, 0), nil
}
