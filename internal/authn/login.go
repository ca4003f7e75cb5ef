package authn

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

const (
	// loginCookie ties logins under way to the browser that began them.
	loginCookie = "__Host-rampkeeper-login"
	loginLife   = 10 * time.Minute
	maxReturnTo = 2048
	maxCode     = 4096
)

// Login sends the browser to the identity provider. The query parameter
// return_to is the local path to come back to.
func (a *Authenticator) Login(w http.ResponseWriter, r *http.Request) {
	if home, ok := a.homeOf(r); ok {
		http.Redirect(w, r, home, http.StatusSeeOther) //nolint:gosec // homeOf gives this server's own address or nothing
		return
	}
	d, err := a.provider.get(r.Context())
	if err != nil {
		a.fail(w, r, unready(err))
		return
	}
	binding, state, verifier := newSecret(), newSecret(), oauth2.GenerateVerifier()
	if cookie, err := r.Cookie(loginCookie); err == nil && len(cookie.Value) == len(binding) {
		binding = cookie.Value // another tab of this browser is signing in, too
	}
	err = a.store.InTx(r.Context(), func(tx *store.Tx) error {
		return tx.InsertLogin(r.Context(), store.Login{
			StateHash: hash(state),
			Nonce:     nonceOf(binding, state),
			Verifier:  verifier,
			ReturnTo:  localPath(r.URL.Query().Get("return_to")),
			ExpiresAt: tx.Now.Add(loginLife),
		})
	})
	if err != nil {
		a.fail(w, r, fmt.Errorf("beginning a login: %w", err))
		return
	}
	setCookie(w, loginCookie, binding, loginLife)
	noStore(w)
	http.Redirect(w, r, d.oauth.AuthCodeURL(state, //nolint:gosec // the provider of the configuration
		oauth2.S256ChallengeOption(verifier),
		oauth2.SetAuthURLParam("nonce", nonceOf(binding, state)),
	), http.StatusSeeOther)
}

// homeOf gives the address to begin a login at, if a browser on the same
// machine used another name of it, such as localhost for 127.0.0.1: the cookie
// of the login would not be there on the way back.
func (a *Authenticator) homeOf(r *http.Request) (string, bool) {
	home, err := url.Parse(a.config.RedirectURL)
	if err != nil {
		return "", false
	}
	asked := &url.URL{Host: r.Host}
	if home.Host == r.Host || home.Port() != asked.Port() || !isLoopback(home) || !isLoopback(asked) {
		return "", false
	}
	return home.Scheme + "://" + home.Host + "/auth/login?" + r.URL.RawQuery, true
}

// nonceOf gives the nonce of a login. It can be computed only by who has both
// the state, which travels through the provider, and the binding, which is a
// cookie: so a callback works only in the browser in which the login began.
func nonceOf(binding, state string) string {
	sum := sha256.Sum256([]byte(binding + "." + state))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// localPath gives a path on this server to go to, or "/".
func localPath(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil,
		u.Scheme != "" || u.Host != "" || u.Opaque != "" || u.User != nil,
		!strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "//"),
		strings.ContainsAny(raw, "\\\r\n\t") || access.CheckText(raw, maxReturnTo) != "":
		return "/"
	}
	return raw
}

// Callback takes the browser back from the identity provider and opens a
// session. Each login can come back once.
func (a *Authenticator) Callback(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	query := r.URL.Query()
	login, err := a.take(r, query)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if reason := query.Get("error"); reason != "" {
		a.fail(w, r, fmt.Errorf("%w (the provider says %.100q)", errProviderRefused, reason))
		return
	}
	d, err := a.provider.get(r.Context())
	if err != nil {
		a.fail(w, r, unready(err))
		return
	}
	// RFC 9207: the answer of another provider must not reach this one's.
	if iss := query.Get("iss"); iss != a.config.Issuer && (iss != "" || d.extras.NamesIssuer) {
		a.fail(w, r, fmt.Errorf("%w (the answer names the issuer %.200q)", errBadLogin, iss))
		return
	}
	c, err := a.exchange(r.Context(), d, query.Get("code"), login)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if err := a.begin(r, w, c); err != nil {
		a.fail(w, r, err)
		return
	}
	// The login cookie stays until it ends: other tabs may be on their way.
	http.Redirect(w, r, login.ReturnTo, http.StatusSeeOther)
}

var (
	errBadCallback = &access.Error{
		Code:    access.Invalid,
		Message: "This sign-in was not begun in this browser, was used already, or took more than ten minutes. Sign in again.",
	}
	errProviderRefused = &access.Error{
		Code:    access.Forbidden,
		Message: "The identity provider did not sign you in. Sign in again; if that stays so, ask whoever runs the identity provider.",
	}
	errBadLogin = &access.Error{
		Code:    access.Unauthenticated,
		Message: "The identity provider's answer could not be verified, so you are not signed in. Sign in again; if that stays so, tell the operator.",
	}
)

// take uses up the login that a callback belongs to, if it began in the same
// browser.
func (a *Authenticator) take(r *http.Request, query url.Values) (store.Login, error) {
	cookie, err := r.Cookie(loginCookie)
	state := query.Get("state")
	if err != nil || len(query["state"]) != 1 || len(query["code"]) > 1 || len(query.Get("code")) > maxCode {
		return store.Login{}, errBadCallback
	}
	var login store.Login
	err = a.store.InTx(r.Context(), func(tx *store.Tx) (err error) {
		login, err = tx.TakeLogin(r.Context(), hash(state))
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Login{}, errBadCallback
	case err != nil:
		return store.Login{}, fmt.Errorf("taking up the login: %w", err)
	case subtle.ConstantTimeCompare([]byte(login.Nonce), []byte(nonceOf(cookie.Value, state))) != 1:
		return store.Login{}, fmt.Errorf("%w (begun in another browser)", errBadCallback)
	}
	return login, nil
}

// exchange gets the tokens for a code and says who they are for.
func (a *Authenticator) exchange(ctx context.Context, d *discovered, code string, login store.Login) (claims, error) {
	tokens, err := d.oauth.Exchange(a.provider.with(ctx), code, oauth2.VerifierOption(login.Verifier))
	if err != nil {
		if said, ok := errors.AsType[*oauth2.RetrieveError](err); ok && said.Response.StatusCode < http.StatusInternalServerError {
			// Not the error itself: it quotes the whole answer.
			return claims{}, fmt.Errorf("%w (exchanging the code: %s, %.100q)", errBadLogin, said.Response.Status, said.ErrorCode)
		}
		return claims{}, unready(fmt.Errorf("exchanging the code: %w: %w", errProviderDown, err))
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return claims{}, fmt.Errorf("%w (no ID token came)", errBadLogin)
	}
	c, token, _, err := a.provider.verify(ctx, raw)
	switch {
	case errors.Is(err, errProviderDown):
		return claims{}, unready(err)
	case err != nil:
		return claims{}, fmt.Errorf("%w (%w)", errBadLogin, err)
	}
	if err := a.checkLogin(c, login); err != nil {
		return claims{}, fmt.Errorf("%w (%w)", errBadLogin, err)
	}
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(tokens.AccessToken); err != nil {
			return claims{}, fmt.Errorf("%w (%w)", errBadLogin, err)
		}
	}
	return a.complete(ctx, d, c, tokens), nil
}
