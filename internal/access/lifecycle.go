package access

import (
	"fmt"
	"time"
)

// Trigger is what may move a request or a grant.
type Trigger string

// The triggers, with their rows of the transition table in docs/lifecycle.md.
const (
	OnSubmit     Trigger = "submit"     // T1
	OnVote       Trigger = "vote"       // T2
	OnApprove    Trigger = "approve"    // T3: every seat is filled
	OnDeny       Trigger = "deny"       // T4
	OnWithdraw   Trigger = "withdraw"   // T4
	OnExpire     Trigger = "expire"     // T4: nobody decided in time
	OnInvalidate Trigger = "invalidate" // T4

	OnStart   Trigger = "start"   // T5
	OnConfirm Trigger = "confirm" // T6: read back as present
	OnEnd     Trigger = "end"     // T7, T8: expiry, revocation, failure
	OnLapse   Trigger = "lapse"   // T9
	OnCancel  Trigger = "cancel"  // T9
	OnVerify  Trigger = "verify"  // T10: verified gone, or still needed by another
	OnAttest  Trigger = "attest"  // T11
	OnExtend  Trigger = "extend"  // T12
	OnShorten Trigger = "shorten" // T13
)

// Transition is one allowed step. The database holds the same rows and
// refuses any other step with a foreign key; a test compares the two.
type Transition[S ~string] struct {
	From S // "" for a row that does not exist yet
	On   Trigger
	To   S
}

// RequestTransitions is every step a request may take.
var RequestTransitions = []Transition[RequestState]{
	{"", OnSubmit, Pending},
	{"", OnSubmit, Approved},
	{"", OnSubmit, Refused},
	{Pending, OnVote, Pending},
	{Pending, OnApprove, Approved},
	{Pending, OnDeny, Denied},
	{Pending, OnWithdraw, Withdrawn},
	{Pending, OnExpire, LapsedAsk},
	{Pending, OnInvalidate, Invalidated},
}

// GrantTransitions is every step a grant may take.
var GrantTransitions = []Transition[GrantState]{
	{"", OnApprove, Scheduled},
	{Scheduled, OnStart, Provisioning},
	{Scheduled, OnLapse, Lapsed},
	{Scheduled, OnCancel, Cancelled},
	{Provisioning, OnConfirm, Active},
	{Provisioning, OnEnd, Revoking},
	{Provisioning, OnExtend, Provisioning},
	{Provisioning, OnShorten, Provisioning},
	{Active, OnEnd, Revoking},
	{Active, OnExtend, Active},
	{Active, OnShorten, Active},
	{Revoking, OnVerify, Ended},
	{Revoking, OnAttest, Ended},
}

// GrantFacts is what the guards of a grant's transitions look at.
type GrantFacts struct {
	Now       time.Time
	ExpiresAt time.Time
	StartAt   time.Time
	StartBy   time.Time
	// Settled says for each entitlement of the grant how it stands.
	Entitlements []EntitlementFacts
	NewExpiry    time.Time     // of OnExtend and OnShorten
	MaxTotal     time.Duration // of OnExtend: the longest that NewExpiry − StartedAt may be
	StartedAt    time.Time
}

// EntitlementFacts is what decides about one entitlement of one grant.
type EntitlementFacts struct {
	Presence   Presence
	Unresolved bool // what an operation did is not known: see Unresolved
	Needed     bool // another live grant needs it: Wanted, this grant left out
}

// NextGrant gives the state that the trigger leads to, or an error that names
// the guard which stops it. Server, model check and tests share it.
func NextGrant(from GrantState, on Trigger, f GrantFacts) (GrantState, error) {
	to, err := next(GrantTransitions, from, on)
	if err != nil {
		return from, err
	}
	if guard, ok := grantGuards[on]; ok {
		if why := guard(f); why != "" {
			return from, &Error{Code: StateConflict, Message: why, Current: string(from)}
		}
	}
	return to, nil
}

var grantGuards = map[Trigger]func(GrantFacts) string{
	OnStart: func(f GrantFacts) string {
		switch {
		case f.Now.Before(f.StartAt):
			return "This grant starts by itself at " + f.StartAt.UTC().Format(time.RFC3339) + "."
		case !f.Now.Before(f.StartBy):
			return "This grant had to start by " + f.StartBy.UTC().Format(time.RFC3339) + "."
		case !f.Now.Before(f.ExpiresAt):
			return "This grant's end has passed."
		}
		return ""
	},
	OnConfirm: func(f GrantFacts) string {
		if !f.Now.Before(f.ExpiresAt) {
			return "This grant's end has passed."
		}
		for _, e := range f.Entitlements {
			if e.Presence != Present || e.Unresolved {
				return "The target has not confirmed the access yet."
			}
		}
		return ""
	},
	OnVerify: func(f GrantFacts) string {
		for _, e := range f.Entitlements {
			if !e.Needed && (e.Presence != Absent || e.Unresolved) {
				return "The target has not confirmed the removal yet."
			}
		}
		return ""
	},
	OnLapse: func(f GrantFacts) string {
		if f.Now.Before(f.StartBy) && f.Now.Before(f.ExpiresAt) {
			return "This grant may still start."
		}
		return ""
	},
	OnExtend: func(f GrantFacts) string {
		switch {
		case !f.Now.Before(f.ExpiresAt):
			return "This grant's end has passed; ask again instead."
		case !f.NewExpiry.After(f.ExpiresAt):
			return "An extension must end later than the grant does now."
		case f.NewExpiry.Sub(f.StartedAt) > f.MaxTotal:
			return "The contract allows at most " + Seconds(f.MaxTotal/time.Second).String() + " in all."
		}
		return ""
	},
	OnShorten: func(f GrantFacts) string {
		if !f.NewExpiry.Before(f.ExpiresAt) {
			return "The new end must be earlier than " + f.ExpiresAt.UTC().Format(time.RFC3339) + "."
		}
		return ""
	},
}

// NextRequest gives the state that the trigger leads to for a pending
// request. Guards of requests are the engine's tally and the clock.
func NextRequest(from RequestState, on Trigger) (RequestState, error) {
	return next(RequestTransitions, from, on)
}

func next[S ~string](table []Transition[S], from S, on Trigger) (S, error) {
	for _, t := range table {
		if t.From == from && t.On == on {
			return t.To, nil
		}
	}
	return from, &Error{
		Code:    StateConflict,
		Message: fmt.Sprintf("This is %s now, and %s does not apply to it.", from, on),
		Current: string(from),
	}
}

// Need is one grant's claim on an entitlement.
type Need struct {
	Grant     GrantID
	State     GrantState
	ExpiresAt time.Time
}

// Wanted computes the desired state of an entitlement: present until the
// latest end of the grants that are provisioning or active and need it (R2,
// I7), absent when until is zero.
func Wanted(needs []Need, now time.Time) (until time.Time) {
	for _, n := range needs {
		if (n.State == Provisioning || n.State == Active) && now.Before(n.ExpiresAt) && n.ExpiresAt.After(until) {
			until = n.ExpiresAt
		}
	}
	return until
}

// Quiet gives the instant from which nothing that was started earlier can
// still land (R3): the latest deadline of the operations without a definite
// answer, plus the skew. A zero time means it is quiet.
func Quiet(ops []Operation, now time.Time, skew time.Duration) (at time.Time) {
	for _, op := range ops {
		if op.Outcome == Succeeded || op.Outcome == Failed {
			continue
		}
		if end := op.Deadline.Add(skew); now.Before(end) && end.After(at) {
			at = end
		}
	}
	return at
}

// Unresolved says whether the presence that was last verified may no longer be
// so: something may still land (R3), or an operation that was started since
// the last one that succeeded has no known effect, because its worker never
// came back or its answer was lost. Then only another operation can tell.
// ops is in the order of the fences.
func Unresolved(ops []Operation, now time.Time, skew time.Duration) bool {
	unknown := false
	for _, op := range ops {
		switch op.Outcome {
		case Succeeded:
			// Credentials say nothing about presence.
			unknown = unknown && op.Kind == OpCredential
		case Open, Uncertain:
			unknown = true
		case Failed: // it had no effect
		}
	}
	return unknown || !Quiet(ops, now, skew).IsZero()
}

// Backoff is how long to wait after the n-th failure in a row: 1 s, 2 s, 4 s
// and so on, at most five minutes, without end (R4).
func Backoff(failures int) time.Duration {
	const most = 5 * time.Minute
	if failures > 9 {
		return most
	}
	return min(most, time.Second<<max(0, failures-1))
}
