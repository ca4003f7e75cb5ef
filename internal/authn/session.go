package authn

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// SessionCookie holds the id of a session. The prefix keeps subdomains and
// plain HTTP from setting it.
const SessionCookie = "__Host-rampkeeper"

// touchAfter is how often a session in use is written down as such.
const touchAfter = time.Minute

// newSecret makes 256 random bits that travel in a cookie or a URL.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// hash is what the store knows a secret by.
func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// session gives the caller of a browser's request.
func (a *Authenticator) session(r *http.Request) (access.Caller, error) {
	cookie, err := r.Cookie(SessionCookie)
	if err != nil {
		return access.Caller{}, &access.Error{
			Code:    access.Unauthenticated,
			Message: "Sign in first: send a bearer token, or a browser to /auth/login.",
		}
	}
	var caller access.Caller
	err = a.store.InTx(r.Context(), func(tx *store.Tx) error {
		s, who, err := tx.Session(r.Context(), hash(cookie.Value))
		switch {
		case errors.Is(err, store.ErrNotFound):
			return errSessionOver
		case err != nil:
			return fmt.Errorf("reading the session: %w", err)
		case over(s, tx.Now) || who.ID.Issuer() != a.config.Issuer:
			return errSessionOver
		}
		who.AuthTime = s.AuthTime
		caller = access.Caller{Subject: who, Roles: a.roles(who), SessionID: s.ID}
		if tx.Now.Sub(s.LastSeenAt) < touchAfter {
			return nil
		}
		return tx.TouchSession(r.Context(), s.ID)
	})
	return caller, err
}

// over says whether a session has lasted or rested too long.
func over(s store.Session, now time.Time) bool {
	return !now.Before(s.ExpiresAt) || now.Sub(s.LastSeenAt) >= SessionIdle
}

var errSessionOver = &access.Error{
	Code:    access.SessionExpired,
	Message: "Your session is over. Sign in again.",
}

// begin opens a session for a subject who has just signed in. The session
// that the browser had before ends, so that no id is carried over a login.
func (a *Authenticator) begin(r *http.Request, w http.ResponseWriter, c claims) error {
	secret := newSecret()
	err := a.store.InTx(r.Context(), func(tx *store.Tx) error {
		if err := tx.UpsertPrincipal(r.Context(), c.subject, c.issued); err != nil {
			return fmt.Errorf("recording the person: %w", err)
		}
		if old, err := r.Cookie(SessionCookie); err == nil {
			if err := tx.DeleteSessionByHash(r.Context(), hash(old.Value)); err != nil {
				return fmt.Errorf("ending the previous session: %w", err)
			}
		}
		return tx.InsertSession(r.Context(), store.Session{
			ID:         access.NewID[access.SessionID](tx.Now),
			TokenHash:  hash(secret),
			Principal:  c.subject.ID,
			AuthTime:   c.subject.AuthTime,
			ExpiresAt:  tx.Now.Add(SessionLife),
			ClientAddr: clientAddr(r),
			UserAgent:  strings.ToValidUTF8(r.UserAgent(), ""),
		})
	})
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}
	setCookie(w, SessionCookie, secret, SessionLife)
	return nil
}

// clientAddr gives what httpapi's middleware found out about the client, and
// without it the address at the other end.
func clientAddr(r *http.Request) string {
	return cmp.Or(middleware.GetClientIP(r.Context()), r.RemoteAddr)
}

// remember writes down what a bearer token says about its holder, and gives
// what the newest token said: an older one brings no groups back.
func (a *Authenticator) remember(ctx context.Context, c claims) (who access.Subject, err error) {
	err = a.store.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.UpsertPrincipal(ctx, c.subject, c.issued); err != nil {
			return err
		}
		who, err = tx.Principal(ctx, c.subject.ID)
		return err
	})
	who.AuthTime = c.subject.AuthTime
	return who, err
}

// setCookie sets one, or takes it away when life is negative.
func setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// Sessions lists the browser sessions of the caller that are still open,
// newest first.
func (a *Authenticator) Sessions(ctx context.Context, who access.Caller) ([]store.Session, error) {
	var open []store.Session
	err := a.store.InTx(ctx, func(tx *store.Tx) error {
		all, err := tx.Sessions(ctx, who.ID)
		open = slices.DeleteFunc(all, func(s store.Session) bool { return over(s, tx.Now) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	return open, nil
}

// RevokeSession ends one session of the caller. It may be the one in use.
func (a *Authenticator) RevokeSession(ctx context.Context, who access.Caller, id access.SessionID) error {
	err := a.store.InTx(ctx, func(tx *store.Tx) error {
		return tx.DeleteSession(ctx, who.ID, id)
	})
	if errors.Is(err, store.ErrNotFound) {
		return &access.Error{Code: access.NotFound, Message: "You have no session with this id; it may be over already."}
	}
	if err != nil {
		return fmt.Errorf("revoking a session: %w", err)
	}
	return nil
}
