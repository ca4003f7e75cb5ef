package broker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Vote puts the caller's word on a pending request on record (T2), bound to
// the hash of the request that the caller saw. The vote that fills the last
// seat approves the request and makes its grants (T3), unless facts or policy
// have changed so that what was offered no longer stands: then the request is
// invalidated. Enough denials deny it (T4); deny wins.
func (b *Broker) Vote(ctx context.Context, who access.Caller, id access.RequestID, ballot Ballot, key Key) (view RequestView, replayed bool, err error) {
	if err := ballot.validate(); err != nil {
		return RequestView{}, false, err
	}
	var (
		late   error // the vote came after decide_by: the request expires instead
		closed closing
	)
	err = b.store.InTx(ctx, func(tx *store.Tx) error {
		late, closed = nil, closing{}
		ix, err := b.inPolicy(ctx, tx)
		if err != nil {
			return fmt.Errorf("loading policy: %w", err)
		}
		if who.Subject, err = asKnown(ctx, tx, who.Subject); err != nil {
			return err
		}
		object, again, err := useKey(ctx, tx, who.ID, key, id)
		if err != nil {
			return err
		}
		if replayed = again; again {
			view, err = b.loadView(ctx, tx, who, object)
			return err
		}
		req, err := b.lockSeen(ctx, tx, who, id)
		if err != nil {
			return err
		}
		d, err := tx.Decision(ctx, req.DecisionID)
		if err != nil {
			return fmt.Errorf("reading the decision: %w", err)
		}
		if req.State == access.Pending && !tx.Now.Before(req.DecideBy) {
			late = lateVote(req)
			err := b.expire(ctx, tx, &req)
			closed = closing{req, d}
			return err
		}
		if err := b.castVote(ctx, tx, ix, who, &req, d, ballot); err != nil {
			return err
		}
		closed = closing{req, d}
		view, err = b.loadView(ctx, tx, who, id)
		return err
	})
	if err != nil {
		return RequestView{}, false, b.refused(ctx, who, "vote."+string(ballot.Decision), id.String(), fmt.Errorf("voting: %w", err))
	}
	b.countClosed(closed)
	if late != nil {
		return RequestView{}, false, fmt.Errorf("voting: %w", late)
	}
	return view, replayed, nil
}

func (v Ballot) validate() error {
	var faults []access.Detail
	if v.Decision != access.Approve && v.Decision != access.Deny {
		faults = append(faults, access.Detail{Pointer: "/decision", Detail: "approve or deny"})
	}
	if f := access.CheckText(v.Reason, access.MaxReason); f != "" {
		faults = append(faults, access.Detail{Pointer: "/reason", Detail: f})
	}
	if v.RequestHash == "" {
		faults = append(faults, access.Detail{Pointer: "/request_hash", Detail: "the hash of the request as you read it"})
	}
	if len(faults) == 0 {
		return nil
	}
	return &access.Error{Code: access.Invalid, Message: "The vote cannot be taken as it is.", Details: faults}
}

func lateVote(req access.Request) error {
	return &access.Error{
		Code:    access.StateConflict,
		Message: "This request expired at " + stamp(req.DecideBy) + ": nobody had decided by then.",
		Current: string(access.LapsedAsk),
	}
}

// castVote runs with the request's row locked.
func (b *Broker) castVote(ctx context.Context, tx *store.Tx, ix *contract.Index, who access.Caller, req *access.Request, d access.Decision, ballot Ballot) error {
	votes, err := tx.VotesOn(ctx, req.ID)
	if err != nil {
		return fmt.Errorf("reading the votes: %w", err)
	}
	people, err := votersOf(ctx, tx, votes)
	if err != nil {
		return err
	}
	people[who.ID] = who.Subject
	if why := mayVote(*req, d, votes, people, who.Subject, ballot.Decision, tx.Now); why != nil {
		return why
	}
	if ballot.RequestHash != req.Hash {
		return &access.Error{Code: access.StaleVote, Message: "The request is not the one this vote names. Read it again, then vote on what it says now."}
	}
	vote := access.Vote{
		ID: access.NewID[access.VoteID](tx.Now), RequestID: req.ID, Voter: who.ID, Decision: ballot.Decision,
		Reason: ballot.Reason, ReasonSalt: newSalt(), RequestHash: req.Hash, CastAt: tx.Now,
	}
	if err := tx.InsertVote(ctx, vote); err != nil {
		return fmt.Errorf("inserting the vote: %w", err)
	}
	if err := b.move(ctx, tx, req, access.OnVote, access.VoteCast, who.ID, voteData{
		VoteID: vote.ID, Decision: vote.Decision, RequestHash: vote.RequestHash, ReasonHash: access.SaltedDigest(vote.ReasonSalt, vote.Reason),
	}); err != nil {
		return err
	}
	return b.settle(ctx, tx, ix, who.ID, req, d, append(votes, vote), people)
}

// settle draws the consequence of the votes.
func (b *Broker) settle(ctx context.Context, tx *store.Tx, ix *contract.Index, actor access.PrincipalID, req *access.Request, d access.Decision, votes []access.Vote, people map[access.PrincipalID]access.Subject) error {
	data := closedData{RequestHash: req.Hash, DecisionID: d.ID, PolicyRevision: ix.Revision}
	for _, v := range votes {
		data.Votes = append(data.Votes, v.ID)
	}
	switch engine.Count(d, req.Requester, votes, people).State {
	case engine.Denied:
		req.StateReason = "Denied by " + people[actor].DisplayName() + "."
		return b.move(ctx, tx, req, access.OnDeny, access.RequestDenied, actor, data)
	case engine.Filled:
		why, err := b.recheck(ctx, tx, ix, *req, d, nil, nil)
		if err != nil {
			return fmt.Errorf("checking that the offer stands: %w", err)
		}
		if why != "" {
			data.Why, req.StateReason = why, why
			return b.move(ctx, tx, req, access.OnInvalidate, access.RequestInvalidated, access.System, data)
		}
		if err := b.move(ctx, tx, req, access.OnApprove, access.RequestApproved, actor, data); err != nil {
			return err
		}
		return b.grantAll(ctx, tx, *req, d, actor)
	case engine.Open:
	}
	return nil
}

var decidedIt = map[access.RequestState]access.VoteDecision{access.Approved: access.Approve, access.Denied: access.Deny}

// decided says what became of a request, and by whose word.
func decided(state access.RequestState, votes []access.Vote, people map[access.PrincipalID]access.Subject) string {
	for _, v := range slices.Backward(votes) {
		if p, known := people[v.Voter]; known && v.Decision == decidedIt[state] {
			return p.DisplayName() + " has " + string(state) + " this request"
		}
	}
	return "This request is " + string(state)
}

// mayVote says why the person may not say v on the request, or nil. The vote
// and the list of what a caller can do both ask it.
func mayVote(req access.Request, d access.Decision, votes []access.Vote, people map[access.PrincipalID]access.Subject, voter access.Subject, v access.VoteDecision, now time.Time) error {
	if req.State != access.Pending {
		return &access.Error{
			Code:    access.StateConflict,
			Message: decided(req.State, votes, people) + " already; there is nothing left to decide.",
			Current: string(req.State),
		}
	}
	if !now.Before(req.DecideBy) {
		return lateVote(req)
	}
	if why := engine.CanVote(d, req.Requester, votes, people, voter, v); why != nil {
		return why
	}
	return nil
}
