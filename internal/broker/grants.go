package broker

import (
	"context"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

// GrantView is a grant as one caller may see it.
type GrantView struct {
	access.Grant
	// Requester is who holds the access, as last seen.
	Requester access.Subject
	// Overdue says that the access may exist past its end.
	Overdue bool
	// WorstCaseEnd is when the access ends at the latest if the broker is
	// down, as the connector declares it.
	WorstCaseEnd time.Time
	// Attested names the admins who have signed that the access is gone.
	Attested []access.PrincipalID
	Can      []Can
}

// GrantFilter says which grants to list. Zero members do not filter.
type GrantFilter struct {
	States   []access.GrantState
	Contract string
	Resource string
	Holder   access.PrincipalID // "me" is the caller
	Since    time.Time          // made at or after
	Query    string             // part of a role, resource or contract, or of the holder's name
	Limit    int                // 1 to 200; zero means 50
	Cursor   string
}

// NewEnd is an earlier end for a grant: an instant, or how long from its
// start. One of the two is set.
type NewEnd struct {
	At       time.Time
	Duration access.Seconds
}

// Grant soon.
func (b *Broker) Grant(ctx context.Context, who access.Caller, id access.GrantID) (GrantView, error) {
	panic("soon")
}

// Grants soon.
func (b *Broker) Grants(ctx context.Context, who access.Caller, f GrantFilter) (Page[GrantView], error) {
	panic("soon")
}

// Activate soon.
func (b *Broker) Activate(ctx context.Context, who access.Caller, id access.GrantID) (GrantView, error) {
	panic("soon")
}

// Release soon.
func (b *Broker) Release(ctx context.Context, who access.Caller, id access.GrantID, reason string) (GrantView, error) {
	panic("soon")
}

// Revoke soon.
func (b *Broker) Revoke(ctx context.Context, who access.Caller, id access.GrantID, reason string) (GrantView, error) {
	panic("soon")
}

// Shorten soon.
func (b *Broker) Shorten(ctx context.Context, who access.Caller, id access.GrantID, by NewEnd) (GrantView, error) {
	panic("soon")
}

// Attest soon.
func (b *Broker) Attest(ctx context.Context, who access.Caller, id access.GrantID, evidence string) (GrantView, error) {
	panic("soon")
}

// Credentials soon.
func (b *Broker) Credentials(ctx context.Context, who access.Caller, id access.GrantID) (connector.Credential, error) {
	panic("soon")
}

// Run soon.
func (b *Broker) Run(ctx context.Context, wake <-chan string) error {
	panic("soon")
}
