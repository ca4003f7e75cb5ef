package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const changedMeanwhile = "This changed while you were looking at it. Load it again and repeat what you meant."

// constraints says what a broken constraint means to a client. Those that are
// not here only break through a fault of ours, and stay internal errors.
var constraints = map[string]access.Error{
	"request_one_pending_uq":      {Code: access.DuplicateRequest, Message: "You have a pending request for the same thing. Use that one, or withdraw it first."},
	"request_transition_fk":       {Code: access.StateConflict, Message: "This request is in a state that does not allow that any more."},
	"request_version_follows":     {Code: access.StateConflict, Message: changedMeanwhile},
	"vote_one_per_person_uq":      {Code: access.StateConflict, Message: "You have voted on this request already; a vote is final."},
	"vote_not_by_requester_ck":    {Code: access.SelfApproval, Message: "Nobody votes on a request of their own. Somebody else who is named has to decide."},
	"vote_request_hash_ck":        {Code: access.StaleVote, Message: "The vote names another version of this request. Load it again, read it, and vote on what it says now."},
	"vote_request_pending_ck":     {Code: access.StateConflict, Message: "This request is decided already."},
	"grant_transition_fk":         {Code: access.StateConflict, Message: "This grant is in a state that does not allow that any more."},
	"grant_version_follows":       {Code: access.StateConflict, Message: changedMeanwhile},
	"grant_request_item_uq":       {Code: access.StateConflict, Message: "This item has its grant already."},
	"grant_credentials_once":      {Code: access.StateConflict, Message: "The credentials of this grant were handed over already. They are kept nowhere; release the grant and ask again if they are lost."},
	"account_pk":                  {Code: access.StateConflict, Message: "This account on the target belongs to somebody else here; one account never serves two people."},
	"idempotency_pk":              {Code: access.InProgress, Message: "A request with this Idempotency-Key is being worked on. Try again in a moment."},
	"policy_revision_pk":          {Code: access.PreconditionFailed, Message: "Somebody else applied policy meanwhile. Look at the new revision and apply again."},
	"policy_revision_follows":     {Code: access.PreconditionFailed, Message: "Somebody else applied policy meanwhile. Look at the new revision and apply again."},
	"decision_policy_revision_fk": {Code: access.StateConflict, Message: "No policy is in force yet, so nothing can be asked for. A contract admin applies the first one: ramp contracts apply."},
	"event_version_follows":       {Code: access.StateConflict, Message: changedMeanwhile},
	"event_stream_version_uq":     {Code: access.StateConflict, Message: changedMeanwhile},
}

// Violated gives the name of the constraint that the database refused a
// change for, or "".
func Violated(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.ConstraintName
	}
	return ""
}

// unwell lists the answers of a database that is there but cannot serve:
// timeouts, no room, read-only, starting or stopping.
var unwell = []string{
	"55P03", "57014", "53100", "53200", "53300", "25006", "57P01", "57P02", "57P03", "25P03",
}

// explain adds the access.Error that a failure of the database stands for.
// One that the caller made itself comes first and stays.
func explain(err error) error {
	if _, ok := errors.AsType[*access.Error](err); ok {
		return err
	}
	if known, ok := constraints[Violated(err)]; ok {
		return fmt.Errorf("%w (%w)", &known, err)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	pgErr, fromServer := errors.AsType[*pgconn.PgError](err)
	_, noConnection := errors.AsType[*pgconn.ConnectError](err)
	if noConnection || fromServer && slices.Contains(unwell, pgErr.Code) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err) {
		return fmt.Errorf("%w (%w)", &access.Error{
			Code:    access.NotReady,
			Message: "The database does not answer in time. Nothing was changed; try again in a moment.",
		}, err)
	}
	return err
}
