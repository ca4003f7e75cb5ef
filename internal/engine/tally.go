package engine

import (
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// TallyState is how far the votes on a request have come.
type TallyState string

// The states of a tally.
const (
	Open   TallyState = "open"   // seats are missing
	Filled TallyState = "filled" // every seat of every stage is filled
	Denied TallyState = "denied" // enough people said no; deny wins over filled
)

// Tally is the count of the votes on a request.
type Tally struct {
	State  TallyState   `json:"state"`
	Tracks []TrackTally `json:"tracks"` // as Decision.Approvals
}

// TrackTally is the count of one track.
type TrackTally struct {
	OpenStage int         `json:"open_stage"` // index of the first stage with a seat missing, -1 when all are full
	Denies    int         `json:"denies"`
	Seats     []SeatTally `json:"seats"`
}

// SeatTally is the count of one seat.
type SeatTally struct {
	Stage   int                  `json:"stage"` // index into the track's stages
	Seat    int                  `json:"seat"`  // index into the stage's seats
	Filled  []access.PrincipalID `json:"filled"`
	Missing int                  `json:"missing"`
}

// Count tallies the votes.
func Count(d access.Decision, requester access.PrincipalID, votes []access.Vote, people map[access.PrincipalID]access.Subject) Tally {
	panic("soon")
}

// CanVote says why the voter may not say v now, or nil.
func CanVote(d access.Decision, requester access.PrincipalID, votes []access.Vote, people map[access.PrincipalID]access.Subject, voter access.Subject, v access.VoteDecision) *access.Error {
	panic("soon")
}

// Satisfiable says whether the people known could fill every seat.
func Satisfiable(tracks []access.Track, requester access.PrincipalID, people []access.Subject) (ok bool, missing access.Seat) {
	panic("soon")
}
