package broker

import (
	"context"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// ContractFilter selects contracts.
type ContractFilter struct {
	Limit  int
	Cursor string
}

// ContractView is a contract as one caller may see it: a summary for those
// who may use it or are named by it, the whole document for contract admins
// and auditors.
type ContractView struct {
	Name        string
	Description string
	State       string // draft, active, suspended
	NotBefore   time.Time
	NotAfter    time.Time
	Revision    int64 // of the policy in force
	Digest      access.Digest
	Permits     []contract.Permit
	MinDuration access.Seconds
	// DefaultDuration is what a request without a duration should offer.
	DefaultDuration access.Seconds
	MaxDuration     access.Seconds
	Stages          []StageView
	Auto            []string // the names of the auto rules
	// Full says that Body and Source are there.
	Full   bool
	Body   []byte // canonical JSON
	Source string // as it was written, comments included
}

// StageView is a step of approval for people to read.
type StageView struct {
	Name  string
	Roles []string // the stage applies only to these; empty: to all
	Seats []SeatView
}

// SeatView is a number of people out of a set.
type SeatView struct {
	From  string // such as "set db-owners"
	Count int
}

// Contracts lists those that the caller may see, by name.
func (b *Broker) Contracts(ctx context.Context, who access.Caller, f ContractFilter) (Page[ContractView], error) {
	panic("soon")
}

// Contract gives one of them. One that the caller may not see is not found.
func (b *Broker) Contract(ctx context.Context, who access.Caller, name string) (ContractView, error) {
	panic("soon")
}
