package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// recorded are the refusals that go on record: somebody who is known tried
// what a rule forbids. What was merely mistyped, missing or late does not.
var recorded = map[access.Code]bool{
	access.SelfApproval:  true,
	access.NotAnApprover: true,
	access.StaleVote:     true,
	access.Forbidden:     true,
}

// errHidden is in the tree of a NotFound for an object that does exist. The
// caller is not told; the audit log is.
var errHidden = errors.New("hidden from the caller")

// hidden answers for an object that the caller may not know of, exactly as
// for one that does not exist.
func hidden(notFound error) error { return hiddenError{notFound} }

type hiddenError struct{ error }

func (e hiddenError) Unwrap() []error { return []error{e.error, errHidden} }

// errNoRequest is what everybody hears about a request that they may not see
// or that does not exist.
var errNoRequest = &access.Error{Code: access.NotFound, Message: "There is no such request, or it is not yours to see."}

// refused puts on record that an authenticated caller was told no, in a
// transaction of its own, and gives err back. Only refusals by a rule are
// recorded: what was merely mistyped, missing or late is not.
func (b *Broker) refused(ctx context.Context, who access.Caller, action, object string, err error) error {
	if err == nil {
		return nil
	}
	code := access.AsError(err).Code
	if !recorded[code] && !errors.Is(err, errHidden) {
		return err
	}
	b.metrics.denied(string(code), "")
	recErr := b.store.InTx(ctx, func(tx *store.Tx) error {
		return tx.Record(ctx, access.Event{
			Stream: access.PrincipalStream(who.ID), Type: access.AttemptRefused, Actor: who.ID,
			Data: encode(refusedData{Action: action, Object: object, Rule: code}),
		})
	})
	if recErr != nil {
		return fmt.Errorf("recording the refused attempt: %w", errors.Join(errUnrecorded, recErr))
	}
	return err
}

// errUnrecorded hides the refusal from the caller: what could not be put on
// record is answered as a failure of ours.
var errUnrecorded = &access.Error{Code: access.Internal, Message: "Something went wrong on our side. Nothing was changed; try again."}
