// Package conformance is the one suite that every connector passes, against
// its real target.
package conformance

import (
	"context"
	"testing"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// Target is a connector with what the suite needs to look behind it.
type Target struct {
	Connector connector.Connector
	// Key gives an entitlement that nobody else uses, of a new account.
	Key func(t *testing.T) access.EntitlementKey
	// Second gives another permission for the account of the first.
	Second func(t *testing.T, first access.EntitlementKey) access.EntitlementKey
	// Works says whether the entitlement gives access now, by using it. Nil
	// means it does.
	Works func(t *testing.T, e access.EntitlementKey) error
	// Open opens a live session that uses the access.
	Open func(t *testing.T, e access.EntitlementKey) Session
	// Take removes the entitlement behind the connector's back.
	Take func(t *testing.T, e access.EntitlementKey)
	// Hostile gives keys that must be refused, and what must not happen.
	Refused []access.EntitlementKey
	// Odd gives keys with nasty but legal names, which must work.
	Odd []access.EntitlementKey
	// Residue names what the suite's accounts still have on the target.
	Residue func(t *testing.T, e access.EntitlementKey) []string
}

// Session is a live session on the target.
type Session interface {
	// Use does something that needs the access.
	Use(ctx context.Context) error
}

// Run runs the suite.
func Run(t *testing.T, newTarget func(*testing.T) Target) {}
