package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// recorded are the refusals that go on record: somebody who is known tried
// what a rule forbids, or named what is not there for them. That goes on
// record whether it is hidden or does not exist: if only the hidden were,
// the numbers of the events that the caller may read would tell the two
// apart, and so would the time it takes.
var recorded = map[access.Code]bool{
	access.SelfApproval:  true,
	access.NotAnApprover: true,
	access.StaleVote:     true,
	access.Forbidden:     true,
	access.NotFound:      true,
}

// errNoRequest is what everybody hears about a request that they may not see
// or that does not exist.
var errNoRequest = &access.Error{Code: access.NotFound, Message: "There is no such request, or it is not yours to see."}

// refused puts on record that an authenticated caller was told no, in a
// transaction of its own, and gives err back. Only refusals by a rule are
// recorded: what was merely malformed or late is not.
func (b *Broker) refused(ctx context.Context, who access.Caller, action, object string, err error) error {
	if err == nil {
		return nil
	}
	code := access.AsError(err).Code
	if !recorded[code] {
		return err
	}
	stream := access.PrincipalStream(who.ID)
	if code == access.NotFound {
		stream = access.AttemptStream(who.ID)
	}
	b.metrics.denied(string(code), "")
	if access.CheckText(object, access.MaxName) != "" {
		object = "(not a name)"
	}
	recErr := b.store.InTx(ctx, func(tx *store.Tx) error {
		return tx.Record(ctx, access.Event{
			Stream: stream, Type: access.AttemptRefused, Actor: who.ID,
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
var errUnrecorded = &access.Error{Code: access.Internal, Message: "Something went wrong on our side. What you tried was not done; try again."}
