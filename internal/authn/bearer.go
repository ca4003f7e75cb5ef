package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const (
	maxSeen  = 10_000      // tokens remembered
	seenLife = time.Minute // between two writes of the same facts about a person
)

// Authenticate gives the caller of a request: by its bearer token if it has
// an Authorization header, and by its session cookie otherwise.
func (a *Authenticator) Authenticate(r *http.Request) (access.Caller, error) {
	switch headers := r.Header.Values("Authorization"); len(headers) {
	case 0:
		return a.session(r)
	case 1:
		scheme, token, _ := strings.Cut(headers[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return access.Caller{}, &access.Error{
				Code:    access.Unauthenticated,
				Message: "Only the Bearer scheme is taken in the Authorization header. Send a token of the identity provider; ramp login gets one.",
			}
		}
		return a.bearer(r.Context(), token)
	default:
		return access.Caller{}, &access.Error{
			Code:    access.Unauthenticated,
			Message: "The request has more than one Authorization header. Send one.",
		}
	}
}

// bearer checks a token, or remembers that it did.
func (a *Authenticator) bearer(ctx context.Context, raw string) (access.Caller, error) {
	now := a.config.Now()
	sum := sha256.Sum256([]byte(raw))
	known, ok := a.seen.get(sum, now)
	if !ok {
		c, _, keys, err := a.provider.verify(ctx, raw)
		switch {
		case errors.Is(err, errProviderDown):
			return access.Caller{}, unready(err)
		case err != nil:
			return access.Caller{}, refuseToken(err)
		case !slices.ContainsFunc(c.audience, func(aud string) bool { return slices.Contains(a.config.Audiences, aud) }):
			return access.Caller{}, refuseToken(fmt.Errorf("claim aud names %q", c.audience))
		}
		known = seenToken{claims: c, keys: keys, version: keys.version(), until: now.Add(keysLife)}
	}
	if now.Sub(known.stored) >= seenLife {
		who, err := a.remember(ctx, known.claims)
		if err != nil {
			return access.Caller{}, fmt.Errorf("recording the caller: %w", err)
		}
		known.who, known.stored = who, now
		a.seen.put(sum, known, now)
	}
	return access.Caller{Subject: known.who, Roles: a.roles(known.who)}, nil
}

// refuseToken says the same to every bad token; the log has the reason.
func refuseToken(reason error) error {
	return fmt.Errorf("%w (%w)", &access.Error{
		Code:    access.Unauthenticated,
		Message: "The bearer token is not valid here, or no longer. Sign in again, for example with ramp login.",
	}, reason)
}

// seenToken is a token that was verified, under the hash it is kept by.
type seenToken struct {
	claims  claims
	who     access.Subject
	keys    *keySet
	version int       // of keys when the token was verified
	until   time.Time // when it is verified anew, in case its key was taken away
	stored  time.Time // when the store last heard of it
}

// tokenCache remembers verified tokens for a while: until they end, and not
// beyond a change of the provider's keys. It holds hashes, no tokens.
type tokenCache struct {
	mu     sync.Mutex
	tokens map[[sha256.Size]byte]seenToken
}

func newTokenCache() *tokenCache {
	return &tokenCache{tokens: map[[sha256.Size]byte]seenToken{}}
}

func (t *tokenCache) get(sum [sha256.Size]byte, now time.Time) (seenToken, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.tokens[sum]
	if ok && (!now.Before(known.claims.expires) || !now.Before(known.until) || known.version != known.keys.version()) {
		delete(t.tokens, sum)
		return seenToken{}, false
	}
	return known, ok
}

func (t *tokenCache) put(sum [sha256.Size]byte, known seenToken, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.tokens) >= maxSeen {
		for old, v := range t.tokens {
			if !now.Before(v.claims.expires) {
				delete(t.tokens, old)
			}
		}
		for old := range t.tokens { // all are valid: any of them makes room
			if len(t.tokens) < maxSeen {
				break
			}
			delete(t.tokens, old)
		}
	}
	t.tokens[sum] = known
}
