package engine

import (
	"cmp"
	"slices"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// place is one seat of a track, with the people who were found for it.
type place struct {
	track, stage, seat int
	want               access.Seat
	eligible           []int // indexes of people, ascending
	taken              int
	filled             []int // indexes of people, ascending; set at the end
}

func (p *place) missing() int { return p.want.Count - p.taken }

// breadth tells seats for few from seats for many. Within a stage the narrow
// ones are filled first, so that what is reported as missing is what more
// people can help with.
func breadth(s access.Seat) int {
	n := 0
	for _, w := range s.Who {
		n++
		if w.Group != "" {
			n += 1000
		}
	}
	return n
}

// fill assigns people to the seats of the stages that include admits: as many
// as can be, each person at most once over all tracks, earlier stages before
// later ones. It is Kuhn's algorithm from the side of the seats: a seat that
// was filled stays filled, so that what is taken first is kept.
//
// Source: Kuhn, The Hungarian method for the assignment problem, 1955; that
// the greedy order loses nothing is the matroid property of transversals
// (Edmonds and Fulkerson, 1965).
func fill(tracks []access.Track, people []access.Subject, include func(track, stage int) bool) []*place {
	return match(tracks, include, len(people), func(seat access.Seat, k int) bool { return covers(seat, people[k]) })
}

// match is fill for n of anything that fits into seats.
func match(tracks []access.Track, include func(track, stage int) bool, n int, fits func(seat access.Seat, k int) bool) []*place {
	var places []*place
	for t, track := range tracks {
		for s, stage := range track.Stages {
			for i, seat := range stage.Seats {
				if !include(t, s) {
					continue
				}
				p := &place{track: t, stage: s, seat: i, want: seat}
				for k := range n {
					if fits(seat, k) {
						p.eligible = append(p.eligible, k)
					}
				}
				places = append(places, p)
			}
		}
	}
	slices.SortStableFunc(places, func(a, b *place) int {
		return cmp.Or(cmp.Compare(a.stage, b.stage), cmp.Compare(breadth(a.want), breadth(b.want)))
	})

	at := make([]*place, n) // where each person sits
	for _, p := range places {
		for p.missing() > 0 && augment(p, at, make([]bool, n)) {
			p.taken++ // whoever had to move keeps a seat, so no other count changes
		}
	}
	for k, p := range at {
		if p != nil {
			p.filled = append(p.filled, k)
		}
	}
	return places
}

// augment finds one more person for p, moving others to seats that they can
// fill as well.
func augment(p *place, at []*place, tried []bool) bool {
	for _, k := range p.eligible {
		if tried[k] {
			continue
		}
		tried[k] = true
		if at[k] == p {
			continue
		}
		if at[k] == nil || augment(at[k], at, tried) {
			at[k] = p
			return true
		}
	}
	return false
}

func covers(seat access.Seat, s access.Subject) bool {
	return slices.ContainsFunc(seat.Who, func(w access.Who) bool { return w.Covers(s) })
}

func every(int, int) bool { return true }

// others gives the people without the requester, each once, sorted by id.
func others(people []access.Subject, requester access.PrincipalID) []access.Subject {
	people = slices.DeleteFunc(slices.Clone(people), func(s access.Subject) bool { return s.ID == requester })
	slices.SortStableFunc(people, func(a, b access.Subject) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(people, func(a, b access.Subject) bool { return a.ID == b.ID })
}

// Satisfiable says whether the people known could fill every seat of all
// tracks, one person one seat, without the requester; if not, it gives the
// first seat that stays empty.
func Satisfiable(tracks []access.Track, requester access.PrincipalID, people []access.Subject) (ok bool, missing access.Seat) {
	if p := unfillable(tracks, requester, people); p != nil {
		return false, p.want
	}
	return true, access.Seat{}
}

func unfillable(tracks []access.Track, requester access.PrincipalID, people []access.Subject) *place {
	for _, p := range fill(tracks, others(people, requester), every) {
		if p.missing() > 0 {
			return p
		}
	}
	return nil
}

// Lacking gives a seat of wanted that is not made sure of by what was asked,
// with as many people as lack, or nil: then whoever fills all that was asked
// fills all that is wanted as well. Seats of the same people add up, whatever
// stages they are in, because one person fills one seat of a request.
func Lacking(asked, wanted []access.Track) *access.Seat {
	var units []access.Seat // each for one person
	for _, t := range asked {
		for _, stage := range t.Stages {
			for _, seat := range stage.Seats {
				for range seat.Count {
					units = append(units, seat)
				}
			}
		}
	}
	for _, p := range match(wanted, every, len(units), func(seat access.Seat, k int) bool { return within(units[k].Who, seat.Who) }) {
		if p.missing() > 0 {
			p.want.Count = p.missing()
			return &p.want
		}
	}
	return nil
}

// within says whether outer names everybody whom inner names.
func within(inner, outer []access.Who) bool {
	return !slices.ContainsFunc(inner, func(w access.Who) bool { return !slices.Contains(outer, w) })
}
