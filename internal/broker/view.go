package broker

import (
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

// RequestView is a request as one caller may see it.
type RequestView struct {
	access.Request
	// Requester is who asked, as last seen. The embedded request's member of
	// the same name holds the id alone.
	Requester access.Subject
	Decision  access.Decision
	// Tally is the count of the votes; meaningful while it is or was pending.
	Tally  engine.Tally
	Votes  []VoteView
	Grants []access.Grant
	// People holds the display names of those the view mentions.
	People map[access.PrincipalID]string
	// Open is who could fill the seats that wait for somebody now.
	Open []OpenSeat
	Can  []Can
	// ReasonHidden says that the caller may see the request but not its free
	// text.
	ReasonHidden bool
}

// OpenSeat is a seat of an open stage that still needs people.
type OpenSeat struct {
	Track    int
	Stage    int
	Seat     int
	Contract string
	Name     string // of the stage
	From     string // the people it takes, as the contract names them
	Missing  int
	Eligible []access.PrincipalID // known people who could fill it now
}

// VoteView is a vote with its voter's name.
type VoteView struct {
	access.Vote
	VoterName string
	// Counts says whether the vote fills a seat as things stand.
	Counts bool
}

// Submitted is the answer to a submission.
type Submitted struct {
	Request RequestView
	// Replayed: the idempotency key had been used for this before.
	Replayed bool
	// Existing: an identical request was live, and is returned instead of a
	// second one; or was, when the key was first used.
	Existing bool
}

// Ballot is what an approver sends.
type Ballot struct {
	Decision    access.VoteDecision
	Reason      string
	RequestHash access.Digest
}

// RequestFilter says which requests to list. Zero members do not filter.
type RequestFilter struct {
	States    []access.RequestState
	Contract  string
	Resource  string
	Requester access.PrincipalID
	// Approver lists the requests whose seats name the caller.
	Approver bool
	Since    time.Time
	Until    time.Time
	Query    string // part of a role, resource, ticket or requester's name
	Limit    int    // 1 to 200; zero means 50
	Cursor   string
}
