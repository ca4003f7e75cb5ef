package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// ExplainInput is a question to the policy.
type ExplainInput struct {
	// Subject is whom the question is about; nil means the caller. Only
	// auditors and contract admins may name somebody else.
	Subject *access.PrincipalID
	// Ask may leave the duration out: then it is what each contract gives to
	// those who do not say. Neither is a missing reason or ticket a fault.
	Ask access.Ask
}

// errNoSubject is what those who may ask about others hear about somebody who
// was never here.
var errNoSubject = &access.Error{
	Code: access.Invalid, Message: "Nobody of that name has signed in here yet.",
	Details: []access.Detail{{Pointer: "/subject", Detail: "issuer|subject of a person or machine that has used Rampkeeper"}},
}

// Explain says what the policy in force would answer, and why, clause by
// clause. Nothing is stored. A refusal is an answer here, not an error.
//
// Callers who are neither auditor nor contract admin see what they may know
// of as requesters; see engine.Redact.
func (b *Broker) Explain(ctx context.Context, who access.Caller, in ExplainInput) (access.Decision, error) {
	var d access.Decision
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		subject, err := explained(ctx, tx, who, in.Subject)
		if err != nil {
			return err
		}
		ask, err := question(ctx, tx, in.Ask, subject.ID)
		if err != nil {
			return err
		}
		ix, err := b.inPolicy(ctx, tx)
		if err != nil {
			return fmt.Errorf("loading policy: %w", err)
		}
		facts, err := b.facts(ctx, tx, ix, subject, ask)
		if err != nil {
			return fmt.Errorf("gathering facts: %w", err)
		}
		d = engine.Explain(ix, ask, facts)
		return nil
	})
	if err != nil {
		return access.Decision{}, fmt.Errorf("explaining: %w", b.refused(ctx, who, "decision.explain", "", err))
	}
	if !mayReadTraces(who) {
		d = engine.Redact(d)
	}
	return d, nil
}

// explained gives the subject of a question: the caller as signed in now, or
// somebody else as last seen.
func explained(ctx context.Context, tx *store.Tx, who access.Caller, of *access.PrincipalID) (access.Subject, error) {
	if of == nil || *of == who.ID {
		return who.Subject, nil
	}
	if !mayReadTraces(who) {
		return access.Subject{}, &access.Error{Code: access.Forbidden, Message: "Only auditors and contract admins may ask about somebody else. Leave the subject out to ask about yourself."}
	}
	s, err := tx.Principal(ctx, *of)
	if errors.Is(err, store.ErrNotFound) {
		return access.Subject{}, errNoSubject
	}
	return s, err
}

// question checks the ask of a question as that of a request is checked. It
// may leave the duration out, and the grant that it extends has to be the
// subject's.
func question(ctx context.Context, tx *store.Tx, ask access.Ask, subject access.PrincipalID) (access.Ask, error) {
	ask.StartAt = ask.StartAt.UTC().Truncate(time.Microsecond)
	checked := ask
	if checked.Duration == 0 {
		checked.Duration = 1
	}
	if err := checked.Validate(tx.Now); err != nil {
		return ask, err
	}
	if ask.Extends.IsZero() {
		return ask, nil
	}
	g, err := tx.Grant(ctx, ask.Extends)
	if err == nil && g.Holder != subject {
		err = store.NoGrant()
	}
	return ask, err
}

// errNoDecision is what everybody hears about a decision that they may not
// see or that does not exist.
var errNoDecision = &access.Error{Code: access.NotFound, Message: "There is no such decision, or it is not yours to see."}

// Decision gives a stored decision to those who may see its request. Auditors
// and contract admins see it as it was made, the others as Redact leaves it.
func (b *Broker) Decision(ctx context.Context, who access.Caller, id access.DecisionID) (access.Decision, error) {
	var d access.Decision
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		row, err := tx.DecisionRow(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return errNoDecision
		case err != nil:
			return fmt.Errorf("reading the decision: %w", err)
		}
		d = row.Decision
		if mayReadTraces(who) {
			return nil
		}
		if row.RequestID.IsZero() {
			return errNoDecision
		}
		req, err := tx.Request(ctx, row.RequestID)
		if err != nil {
			return fmt.Errorf("reading its request: %w", err)
		}
		seen, err := b.sights(ctx, tx, who, req)
		if err != nil {
			return err
		}
		if seen[req.ID] == unseen {
			return errNoDecision
		}
		return nil
	})
	if err != nil {
		return access.Decision{}, fmt.Errorf("reading decision: %w", b.refused(ctx, who, "decision.read", id.String(), err))
	}
	if !mayReadTraces(who) {
		d = engine.Redact(d)
	}
	return d, nil
}
