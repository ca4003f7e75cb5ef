// Package connector makes entitlements real on targets and takes them away.
//
// A connector is three verbs over one access.EntitlementKey. Each is
// idempotent, reads back what it did, and may be called again after a crash
// with no memory of the call before. Abilities that only some targets have
// are optional interfaces, found by type assertion.
package connector

import (
	"context"
	"errors"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Connector is one configured target.
type Connector interface {
	// Ensure makes the entitlement present until the instant and reads it
	// back. Where the target has an expiry of its own it is set to until.
	Ensure(ctx context.Context, e access.EntitlementKey, until time.Time) (Observation, error)
	// Remove ends the live sessions that the entitlement gives, removes it
	// and reads it back. Removing what is absent succeeds.
	Remove(ctx context.Context, e access.EntitlementKey) (Observation, error)
	// Observe reads the entitlement back and changes nothing.
	Observe(ctx context.Context, e access.EntitlementKey) (Observation, error)
}

// Observation is what was read back from the target.
type Observation struct {
	Present bool `json:"present"`
	// Until is the target's own expiry, where it has one.
	Until time.Time `json:"until,omitzero"`
	// Sessions is how many live sessions still use the access.
	Sessions int `json:"sessions,omitempty"`
	// SessionsEnded is how many Remove ended.
	SessionsEnded int `json:"sessions_ended,omitempty"`
	// Findings are facts the auditor should see, such as access that remains
	// by another way. They hold no secrets.
	Findings []string `json:"findings,omitempty"`
}

// ErrRefused marks a definite answer of the target: the call had no effect
// and will have none later. Any other error leaves the effect uncertain.
var ErrRefused = errors.New("the target refused")

// ErrPermanent marks a definite answer that trying again will not change,
// such as a permission that does not exist. Provisioning gives up on it;
// removal never gives up.
var ErrPermanent = errors.New("trying again will not help")

// Accounter maps a subject to its account on the target. The answer must be
// the same every time, and an Invalid access.Error when there is none.
type Accounter interface {
	Account(s access.Subject) (string, error)
}

// Credential is handed over once and never stored. It must not be logged.
type Credential struct {
	Username string            `json:"username,omitempty"`
	Password string            `json:"password,omitempty"`
	DSN      string            `json:"dsn,omitempty"`  // complete, with the password
	Command  []string          `json:"-"`              // what a person would run
	Env      map[string]string `json:"-"`              // for Command
	Until    time.Time         `json:"until,omitzero"` // the target refuses it from then on
}

// Credentialer hands over what a person needs to use the access.
type Credentialer interface {
	Credential(ctx context.Context, e access.EntitlementKey, until time.Time) (Credential, error)
}

// Preflighter proves that the broker's own rights on the target are enough,
// and no more than enough, before the connector is used.
type Preflighter interface {
	Preflight(ctx context.Context) ([]Check, error)
}

// Check is one thing that a preflight looked at.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // what was seen, and what to do about it
}

// Expirer declares who ends the access on time and how long it may outlive
// its end at worst if the broker is down; a negative residual says that
// nothing else ends all of it. Without it the class is reaper, without bound.
type Expirer interface {
	Expiry() (class access.ExpiryClass, residual time.Duration)
}

// Closer gives back what a connector holds open.
type Closer interface{ Close() }
