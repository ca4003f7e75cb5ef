package store

import (
	"context"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// InsertGrant puts a scheduled grant on record (T3) with the entitlements it
// needs and the holder's account on the target. An account that belongs to
// somebody else is a StateConflict. The caller records grant.scheduled at
// version 1.
func (tx *Tx) InsertGrant(ctx context.Context, g access.Grant, needs []access.EntitlementKey) error {
	panic("soon")
}

// Grant gives one grant, or NotFound.
func (tx *Tx) Grant(ctx context.Context, id access.GrantID) (access.Grant, error) { panic("soon") }

// GrantsOf gives the grants of the requests, by request and item.
func (tx *Tx) GrantsOf(ctx context.Context, requests ...access.RequestID) ([]access.Grant, error) {
	panic("soon")
}

// LiveCount is how many grants of a contract are live.
type LiveCount struct {
	Contract       string
	Subject, Total int // of the one person, and of all
}

// LiveGrants counts the live grants of the contracts. The grant except is not
// counted; its zero value excepts none.
func (tx *Tx) LiveGrants(ctx context.Context, holder access.PrincipalID, contracts []string, except access.GrantID) ([]LiveCount, error) {
	panic("soon")
}

// GrantFilter says which grants to list. Zero members do not filter.
type GrantFilter struct {
	States   []access.GrantState
	Contract string
	Resource string
	Holder   access.PrincipalID
	Since    time.Time
	Query    string
}
