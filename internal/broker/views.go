package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// loadView reads one request as the caller may see it.
func (b *Broker) loadView(ctx context.Context, tx *store.Tx, who access.Caller, id access.RequestID) (RequestView, error) {
	req, err := tx.Request(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return RequestView{}, errNoRequest
	}
	if err != nil {
		return RequestView{}, fmt.Errorf("reading the request: %w", err)
	}
	views, err := b.views(ctx, tx, who, []access.Request{req})
	if err != nil {
		return RequestView{}, err
	}
	if len(views) == 0 {
		return RequestView{}, errNoRequest
	}
	return views[0], nil
}

// material is what a number of views is made of, read in one go.
type material struct {
	now        time.Time
	who        access.Caller
	seen       map[access.RequestID]sight
	decisions  map[access.DecisionID]store.DecisionRow
	votes      map[access.RequestID][]access.Vote
	grants     map[access.RequestID][]access.Grant
	people     map[access.PrincipalID]access.Subject
	candidates []access.Subject // known people whom open seats name
}

// views renders requests as the caller may see them. Those that are hidden
// from the caller are left out.
func (b *Broker) views(ctx context.Context, tx *store.Tx, who access.Caller, reqs []access.Request) ([]RequestView, error) {
	m := material{now: tx.Now, who: who}
	var err error
	if m.seen, err = b.sights(ctx, tx, who, reqs...); err != nil {
		return nil, err
	}
	reqs = slices.DeleteFunc(slices.Clone(reqs), func(r access.Request) bool { return m.seen[r.ID] == unseen })
	if len(reqs) == 0 {
		return []RequestView{}, nil
	}
	if err := m.load(ctx, tx, reqs); err != nil {
		return nil, err
	}
	out := make([]RequestView, len(reqs))
	for i, r := range reqs {
		out[i] = m.view(r)
	}
	return out, nil
}

func (m *material) load(ctx context.Context, tx *store.Tx, reqs []access.Request) error {
	ids := make([]access.RequestID, len(reqs))
	decisions := make([]access.DecisionID, len(reqs))
	var people []access.PrincipalID
	for i, r := range reqs {
		ids[i], decisions[i] = r.ID, r.DecisionID
		people = append(people, r.Requester)
	}
	var err error
	if m.decisions, err = tx.Decisions(ctx, decisions...); err != nil {
		return fmt.Errorf("reading decisions: %w", err)
	}
	votes, err := tx.VotesOn(ctx, ids...)
	if err != nil {
		return fmt.Errorf("reading votes: %w", err)
	}
	m.votes = map[access.RequestID][]access.Vote{}
	for _, v := range votes {
		m.votes[v.RequestID] = append(m.votes[v.RequestID], v)
		people = append(people, v.Voter)
	}
	grants, err := tx.GrantsOf(ctx, ids...)
	if err != nil {
		return fmt.Errorf("reading grants: %w", err)
	}
	m.grants = map[access.RequestID][]access.Grant{}
	for _, g := range grants {
		m.grants[g.RequestID] = append(m.grants[g.RequestID], g)
	}
	var named []access.Who
	for _, r := range reqs {
		if r.State == access.Pending {
			named = append(named, whoOf(m.decisions[r.DecisionID].Decision.Approvals)...)
		}
		if r.Ask.Extends.IsZero() {
			continue
		}
		g, err := tx.Grant(ctx, r.Ask.Extends)
		if err != nil {
			return fmt.Errorf("reading the grant to extend: %w", err)
		}
		m.grants[r.ID] = append(m.grants[r.ID], g)
	}
	if m.people, err = peopleByID(ctx, tx, people...); err != nil {
		return err
	}
	if len(named) > 0 {
		if m.candidates, err = tx.PeopleMatching(ctx, named); err != nil {
			return fmt.Errorf("reading who could vote: %w", err)
		}
	}
	return nil
}

func (m *material) view(r access.Request) RequestView {
	d := m.decisions[r.DecisionID].Decision
	votes := m.votes[r.ID]
	v := RequestView{
		Request: r, Requester: m.people[r.Requester], Decision: d,
		Tally: engine.Count(d, r.Requester, votes, m.people), Votes: []VoteView{}, Grants: m.grants[r.ID],
		People: map[access.PrincipalID]string{}, Open: []OpenSeat{}, Can: m.can(r, d, votes),
	}
	if v.Grants == nil {
		v.Grants = []access.Grant{}
	}
	v.People[r.Requester] = v.Requester.DisplayName()
	for _, vote := range votes {
		voter := m.people[vote.Voter]
		v.People[vote.Voter] = voter.DisplayName()
		v.Votes = append(v.Votes, VoteView{Vote: vote, VoterName: voter.DisplayName(), Counts: counts(v.Tally, vote)})
	}
	if r.State == access.Pending {
		v.Open = m.openSeats(r, d, v.Tally, votes)
		for _, seat := range v.Open {
			for _, id := range seat.Eligible {
				v.People[id] = m.name(id)
			}
		}
	}
	m.redact(&v)
	return v
}

// redact takes out what the caller may not read.
func (m *material) redact(v *RequestView) {
	if m.seen[v.ID] == withheld {
		v.ReasonHidden, v.Ask.Reason = true, ""
		for i := range v.Votes {
			v.Votes[i].Reason = ""
		}
	}
	if !mayReadTraces(m.who) {
		v.Decision = engine.Redact(v.Decision)
	}
}

// mayReadTraces says whether the caller may read decisions whole, even about
// what a requester may not know of. Approvers decide by the offer, the stages
// and the reasons, which everybody who sees the request reads.
func mayReadTraces(who access.Caller) bool {
	return who.Has(access.Auditor) || who.Has(access.ContractAdmin)
}

func counts(t engine.Tally, v access.Vote) bool {
	if v.Decision == access.Deny {
		return t.State == engine.Denied
	}
	for _, track := range t.Tracks {
		for _, seat := range track.Seats {
			if slices.Contains(seat.Filled, v.Voter) {
				return true
			}
		}
	}
	return false
}

// openSeats gives the seats of the open stages that need somebody, with the
// known people who could fill them.
func (m *material) openSeats(r access.Request, d access.Decision, t engine.Tally, votes []access.Vote) []OpenSeat {
	voted := map[access.PrincipalID]bool{r.Requester: true}
	for _, v := range votes {
		voted[v.Voter] = true
	}
	open := []OpenSeat{}
	for i, track := range t.Tracks {
		for _, seat := range track.Seats {
			if seat.Missing == 0 || seat.Stage != track.OpenStage {
				continue
			}
			stage := d.Approvals[i].Stages[seat.Stage]
			row := OpenSeat{
				Track: i, Stage: seat.Stage, Seat: seat.Seat, Contract: d.Approvals[i].Contract, Name: stage.Name,
				From: stage.Seats[seat.Seat].From, Missing: seat.Missing, Eligible: []access.PrincipalID{},
			}
			for _, p := range m.candidates {
				if !voted[p.ID] && slices.ContainsFunc(stage.Seats[seat.Seat].Who, func(w access.Who) bool { return w.Covers(p) }) {
					row.Eligible = append(row.Eligible, p.ID)
				}
			}
			open = append(open, row)
		}
	}
	return open
}

func (m *material) name(id access.PrincipalID) string {
	for _, p := range m.candidates {
		if p.ID == id {
			return p.DisplayName()
		}
	}
	return m.people[id].DisplayName()
}

// can says what the caller may do to the request, by the functions that
// decide when it is tried.
func (m *material) can(r access.Request, d access.Decision, votes []access.Vote) []Can {
	people := make(map[access.PrincipalID]access.Subject, len(m.people)+1)
	maps.Copy(people, m.people)
	people[m.who.ID] = m.who.Subject
	list := []Can{
		canDo("withdraw", mayWithdraw(r, m.who.ID)),
		canDo("approve", mayVote(r, d, votes, people, m.who.Subject, access.Approve, m.now)),
		canDo("deny", mayVote(r, d, votes, people, m.who.Subject, access.Deny, m.now)),
	}
	for _, g := range m.grants[r.ID] {
		list = append(list, canDo("extend", mayExtend(g, m.who.ID, m.now)))
		break // one entry speaks for the request; each grant lists its own
	}
	return list
}

func canDo(action string, why error) Can {
	if why == nil {
		return Can{Action: action, Allowed: true}
	}
	return Can{Action: action, Why: access.AsError(why).Message}
}

func whoOf(tracks []access.Track) []access.Who {
	var all []access.Who
	for _, t := range tracks {
		for _, stage := range t.Stages {
			for _, seat := range stage.Seats {
				all = append(all, seat.Who...)
			}
		}
	}
	return all
}
