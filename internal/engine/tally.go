package engine

import (
	"cmp"
	"slices"

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
	Tracks []TrackTally `json:"tracks"` // in the order of Decision.Approvals
}

// TrackTally is the count of one track.
type TrackTally struct {
	OpenStage int         `json:"open_stage"` // index of the first stage with a seat missing, -1 when all are full
	Denies    int         `json:"denies"`
	Seats     []SeatTally `json:"seats"` // by stage, then seat
}

// SeatTally is the count of one seat.
type SeatTally struct {
	Stage   int                  `json:"stage"` // index into the track's stages
	Seat    int                  `json:"seat"`  // index into the stage's seats
	Filled  []access.PrincipalID `json:"filled"`
	Missing int                  `json:"missing"`
}

// Count tallies the votes. Only those of people who may vote now count:
// people holds what is known of the voters now, and a voter who is missing
// from it, or no longer covered by any seat, counts for nothing. The order of
// votes does not matter. One person fills one seat of a request, and whoever
// denied fills none. The requester's vote never counts.
func Count(d access.Decision, requester access.PrincipalID, votes []access.Vote, people map[access.PrincipalID]access.Subject) Tally {
	approvers, deniers := sides(requester, votes, people)
	tally := Tally{State: Filled, Tracks: make([]TrackTally, len(d.Approvals))}
	for t, track := range d.Approvals {
		tt := TrackTally{OpenStage: -1, Seats: []SeatTally{}}
		for _, s := range deniers {
			if inTrack(track, s) {
				tt.Denies++
			}
		}
		tally.Tracks[t] = tt
	}
	for _, p := range fill(d.Approvals, approvers, every) { // by stage
		tt := &tally.Tracks[p.track]
		st := SeatTally{Stage: p.stage, Seat: p.seat, Filled: []access.PrincipalID{}, Missing: p.missing()}
		for _, k := range p.filled {
			st.Filled = append(st.Filled, approvers[k].ID)
		}
		tt.Seats = append(tt.Seats, st)
		if st.Missing > 0 {
			tally.State = Open
			if tt.OpenStage < 0 {
				tt.OpenStage = p.stage
			}
		}
	}
	for t, track := range d.Approvals {
		slices.SortFunc(tally.Tracks[t].Seats, func(a, b SeatTally) int {
			return cmp.Or(cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Seat, b.Seat))
		})
		if tally.Tracks[t].Denies >= max(1, track.DeniesNeeded) {
			tally.State = Denied
		}
	}
	return tally
}

// sides gives the people behind the votes that count, sorted by id. A person
// who said both is one who denied.
func sides(requester access.PrincipalID, votes []access.Vote, people map[access.PrincipalID]access.Subject) (approvers, deniers []access.Subject) {
	votes = slices.Clone(votes)
	slices.SortStableFunc(votes, func(a, b access.Vote) int { return cmp.Compare(a.Voter, b.Voter) })
	for len(votes) > 0 {
		voter := votes[0].Voter
		denied := false
		for len(votes) > 0 && votes[0].Voter == voter {
			denied = denied || votes[0].Decision != access.Approve
			votes = votes[1:]
		}
		person, known := people[voter]
		switch {
		case !known || voter == requester || person.ID != voter:
		case denied:
			deniers = append(deniers, person)
		default:
			approvers = append(approvers, person)
		}
	}
	return approvers, deniers
}

func inTrack(track access.Track, s access.Subject) bool {
	for _, stage := range track.Stages {
		for _, seat := range stage.Seats {
			if covers(seat, s) {
				return true
			}
		}
	}
	return false
}
