// Package fake is a target that exists only in memory, for tests of what
// stands above connectors. It holds effects and sessions like a real one,
// records every call, and misbehaves as planned.
//
// Its only clock is package time, so that inside a testing/synctest bubble it
// lives on the bubble's clock. Make it inside the bubble.
package fake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// Verb is what was called.
type Verb string

// The verbs.
const (
	Ensure     Verb = "ensure"
	Remove     Verb = "remove"
	Observe    Verb = "observe"
	Credential Verb = "credential"
)

// Call is one call of the connector.
type Call struct {
	Verb  Verb
	Key   access.EntitlementKey
	Until time.Time // of Ensure and Credential
	At    time.Time
	Err   error // nil while it is under way
}

// Target is a target and the connector to it. The zero value is not usable:
// call New.
type Target struct {
	mu       sync.Mutex
	held     map[access.EntitlementKey]time.Time
	sessions map[*Session]struct{}
	calls    []Call
	plan     []Fault
	down     bool
	gate     chan struct{} // nil unless calls hang
	class    access.ExpiryClass
	residual time.Duration
	findings []string
}

// New makes a target that holds nothing and behaves.
func New() *Target {
	return &Target{
		held:     map[access.EntitlementKey]time.Time{},
		sessions: map[*Session]struct{}{},
		class:    access.ExpiryReaper,
	}
}

var (
	_ connector.Connector    = (*Target)(nil)
	_ connector.Accounter    = (*Target)(nil)
	_ connector.Credentialer = (*Target)(nil)
	_ connector.Preflighter  = (*Target)(nil)
	_ connector.Expirer      = (*Target)(nil)
)

// Ensure implements connector.Connector.
func (t *Target) Ensure(ctx context.Context, e access.EntitlementKey, until time.Time) (connector.Observation, error) {
	return t.call(ctx, Ensure, e, until, func() { t.held[e] = until })
}

// Remove implements connector.Connector.
func (t *Target) Remove(ctx context.Context, e access.EntitlementKey) (connector.Observation, error) {
	var ended atomic.Int64 // a late effect counts when nobody looks any more
	o, err := t.call(ctx, Remove, e, time.Time{}, func() {
		delete(t.held, e)
		for s := range t.sessions {
			if s.key == e {
				delete(t.sessions, s)
				ended.Add(1)
			}
		}
	})
	o.SessionsEnded = int(ended.Load())
	return o, err
}

// Observe implements connector.Connector.
func (t *Target) Observe(ctx context.Context, e access.EntitlementKey) (connector.Observation, error) {
	return t.call(ctx, Observe, e, time.Time{}, func() {})
}

// Credential implements connector.Credentialer. The password is not a secret.
func (t *Target) Credential(ctx context.Context, e access.EntitlementKey, until time.Time) (connector.Credential, error) {
	o, err := t.call(ctx, Credential, e, until, func() {})
	if err != nil {
		return connector.Credential{}, err
	}
	if !o.Present {
		return connector.Credential{}, fmt.Errorf("%s does not hold %s: %w", e.Account, e.Permission, connector.ErrRefused)
	}
	return connector.Credential{Username: e.Account, Password: "password of " + e.Account, Until: until}, nil
}

// Account implements connector.Accounter: the username, or else the subject.
func (t *Target) Account(s access.Subject) (string, error) {
	if s.Username != "" {
		return s.Username, nil
	}
	if sub := s.ID.Subject(); sub != "" {
		return sub, nil
	}
	return "", &access.Error{Code: access.Invalid, Message: "This person has no account on the target."}
}

// Preflight implements connector.Preflighter.
func (t *Target) Preflight(context.Context) ([]connector.Check, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.down {
		return []connector.Check{{Name: "connect", Detail: errDown.Error()}}, nil
	}
	return []connector.Check{{Name: "connect", OK: true, Detail: "in memory"}}, nil
}

// Expiry implements connector.Expirer.
func (t *Target) Expiry() (access.ExpiryClass, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.class, t.residual
}

// SetExpiry sets what Expiry declares; at first it is reaper and zero.
func (t *Target) SetExpiry(class access.ExpiryClass, residual time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.class, t.residual = class, residual
}

// SetFindings sets the findings of every observation from now on.
func (t *Target) SetFindings(findings ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.findings = findings
}

// Grant makes an entitlement present behind the broker's back.
func (t *Target) Grant(e access.EntitlementKey, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held[e] = until
}

// Take removes an entitlement behind the broker's back; sessions stay.
func (t *Target) Take(e access.EntitlementKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.held, e)
}

// Holds says whether the entitlement is present now.
func (t *Target) Holds(e access.EntitlementKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.held[e]
	return ok
}

// Until gives the end that was last written for a present entitlement.
func (t *Target) Until(e access.EntitlementKey) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held[e]
}

// Held gives what is present, sorted.
func (t *Target) Held() []access.EntitlementKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := make([]access.EntitlementKey, 0, len(t.held))
	for e := range t.held {
		keys = append(keys, e)
	}
	slices.SortFunc(keys, func(a, b access.EntitlementKey) int {
		return slices.Compare([]string{a.Connector, a.Account, a.Permission}, []string{b.Connector, b.Account, b.Permission})
	})
	return keys
}

// Calls gives the calls so far, oldest first, of the verbs, or of all.
func (t *Target) Calls(verbs ...Verb) []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(t.calls), func(c Call) bool {
		return len(verbs) > 0 && !slices.Contains(verbs, c.Verb)
	})
}

// Session is a live session that uses an entitlement.
type Session struct {
	target *Target
	key    access.EntitlementKey
}

// Open opens a session, or fails where the entitlement is absent. A session
// outlives its entitlement until Remove ends it.
func (t *Target) Open(e access.EntitlementKey) (*Session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.held[e]; !ok {
		return nil, fmt.Errorf("%s does not hold %s", e.Account, e.Permission)
	}
	s := &Session{target: t, key: e}
	t.sessions[s] = struct{}{}
	return s, nil
}

// Alive says whether the session still works.
func (s *Session) Alive() bool {
	s.target.mu.Lock()
	defer s.target.mu.Unlock()
	_, ok := s.target.sessions[s]
	return ok
}

// Close ends the session.
func (s *Session) Close() {
	s.target.mu.Lock()
	defer s.target.mu.Unlock()
	delete(s.target.sessions, s)
}
