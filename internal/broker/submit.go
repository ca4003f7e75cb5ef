package broker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Submit decides what who asks for and puts the request on record (T1),
// together with its grants if no approval is needed.
//
// A refusal is put on record as well: it comes back as a request in the state
// refused and as a PolicyRefused error that says why and what would work. An
// identical request that still waits is given back instead of a second one;
// one that gives another reason or ticket is a DuplicateRequest error.
func (b *Broker) Submit(ctx context.Context, who access.Caller, ask access.Ask, key Key) (Submitted, error) {
	if !ask.Extends.IsZero() {
		return Submitted{}, &access.Error{Code: access.Invalid, Message: "A request extends nothing; extend the grant itself."}
	}
	return b.submit(ctx, who, ask, key)
}

func (b *Broker) submit(ctx context.Context, who access.Caller, ask access.Ask, key Key) (Submitted, error) {
	// Postgres keeps microseconds; the hash is taken of what it keeps.
	ask.StartAt = ask.StartAt.UTC().Truncate(time.Microsecond)
	if ask.Items == nil {
		ask.Items = []access.Item{}
	}
	fingerprint := fingerprintOf(ask)

	var (
		out     Submitted
		made    access.Request
		verdict access.Decision
		overdue closing
	)
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		out, made, overdue = Submitted{}, access.Request{}, closing{}
		ix, err := b.inPolicy(ctx, tx)
		if err != nil {
			return fmt.Errorf("loading policy: %w", err)
		}
		if ix.Revision == 0 {
			return errNoPolicy
		}
		if who.Subject, err = asKnown(ctx, tx, who.Subject); err != nil {
			return err
		}
		proposed := newRequestID(tx.Now, who.ID, key)
		id, replayed, err := useKey(ctx, tx, who.ID, key, proposed)
		if err != nil {
			return err
		}
		if out.Replayed = replayed; replayed {
			out.Existing = !sameOrigin(id, proposed)
		} else {
			if id, out.Existing, overdue, err = b.liveTwin(ctx, tx, who.ID, ask, fingerprint, key, id); err != nil {
				return err
			}
		}
		if out.Replayed || out.Existing {
			out.Request, err = b.loadView(ctx, tx, who, id)
			return err
		}
		if err := ask.Validate(tx.Now); err != nil {
			return err
		}
		if err := b.checkExtends(ctx, tx, who.ID, ask); err != nil {
			return err
		}

		made = access.Request{
			ID: id, Requester: who.ID, Ask: ask, ReasonSalt: newSalt(),
			Version: 1, CreatedAt: tx.Now,
		}
		made.Hash = access.HashRequest(id, who.ID, ask, made.ReasonSalt)
		facts, err := b.facts(ctx, tx, ix, who.Subject, ask)
		if err != nil {
			return fmt.Errorf("gathering facts: %w", err)
		}
		facts.Salt = hex.EncodeToString(newSalt())
		verdict = engine.Evaluate(ix, ask, made.Hash, facts)
		verdict.ID = access.NewID[access.DecisionID](tx.Now)
		made.DecisionID = verdict.ID
		made.State = stateAfter[verdict.Outcome]
		if made.State == access.Pending {
			made.DecideBy = tx.Now.Add(verdict.DecideWithin.Duration())
		} else {
			made.DecidedAt = tx.Now
		}
		if err := b.saveRequest(ctx, tx, &made, verdict, facts, fingerprint); err != nil {
			return err
		}
		out.Request, err = b.loadView(ctx, tx, who, id)
		return err
	})
	if err != nil {
		return Submitted{}, fmt.Errorf("submitting request: %w", err)
	}
	b.countClosed(overdue)
	if !made.ID.IsZero() {
		b.countSubmitted(made, verdict)
	}
	return out, refusal(out.Request)
}

// saveRequest writes all that T1 writes: request, decision, grants, events.
func (b *Broker) saveRequest(ctx context.Context, tx *store.Tx, req *access.Request, d access.Decision, f engine.Facts, fingerprint access.Digest) error {
	facts, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encoding facts: %w", err)
	}
	if req.Number, err = tx.InsertRequest(ctx, *req, d, facts, fingerprint); err != nil {
		return fmt.Errorf("inserting request: %w", err)
	}
	if err := tx.Record(ctx, submittedEvent(*req, d)); err != nil {
		return fmt.Errorf("recording the request: %w", err)
	}
	if req.State == access.Approved {
		return b.grantAll(ctx, tx, *req, d, req.Requester)
	}
	return nil
}

var errNoPolicy = &access.Error{
	Code:    access.NotReady,
	Message: "No policy is in force yet, so there is nothing to ask for. A contract admin puts one in force with: ramp contracts apply.",
}

var stateAfter = map[access.Outcome]access.RequestState{
	access.Permit: access.Approved,
	access.Review: access.Pending,
	access.Refuse: access.Refused,
}

// refusal derives the error of a refused request from its decision, as the
// caller may see it.
func refusal(v RequestView) error {
	if v.State != access.Refused {
		return nil
	}
	return &access.Error{
		Code:       access.PolicyRefused,
		Message:    "Policy does not allow this request",
		Reasons:    v.Decision.Reasons,
		DecisionID: v.DecisionID,
	}
}

// newSalt gives the salt of a free text's digest.
func newSalt() []byte {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	return salt
}
