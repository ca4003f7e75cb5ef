package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// credentialData is the data of grant.credentials_issued. It never holds what
// was handed over.
type credentialData struct {
	Operation access.OperationID `json:"operation_id"`
	Connector string             `json:"connector"`
	Account   string             `json:"account"`
	Until     time.Time          `json:"until,omitzero"`
}

// Credentials hands over what the holder of an active grant needs to use it,
// once. An account has one password on most targets, so credentials for one
// grant replace those of the holder's others there; these may be taken again.
// It is made by the connector now and kept nowhere. When the connector
// fails, nothing was handed over and the caller may try again.
func (b *Broker) Credentials(ctx context.Context, who access.Caller, id access.GrantID) (connector.Credential, error) {
	timeout, cancel := context.WithTimeout(ctx, b.credentialTimeout())
	defer cancel()
	entitlement, op, until, err := b.beginCredential(ctx, who, id)
	if err != nil {
		return connector.Credential{}, b.refused(ctx, who, "grant.credentials", id.String(), err)
	}
	credential, callErr := b.credential(timeout, entitlement, until)
	if err := b.finishCredential(ctx, who, id, op, entitlement, until, callErr); err != nil {
		return connector.Credential{}, err
	}
	return credential, nil
}

// credentialTimeout is short: somebody is waiting, and until a call without an
// answer can land no more, the access cannot be confirmed gone.
func (b *Broker) credentialTimeout() time.Duration { return min(b.opTimeout, 10*time.Second) }

// beginCredential takes the lease on the entitlement and puts the operation on
// record, as for any call that changes a target. A crash after it leaves a
// lease that runs out and credentials that nobody was given.
func (b *Broker) beginCredential(ctx context.Context, who access.Caller, id access.GrantID) (access.Entitlement, access.Operation, time.Time, error) {
	// A worker that holds the entitlement is done in a moment.
	const tries, wait = 20, 100 * time.Millisecond
	for try := 1; ; try++ {
		e, op, until, err := b.tryBeginCredential(ctx, who, id)
		if !errors.Is(err, errBusy) || try == tries {
			return e, op, until, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return e, op, until, ctx.Err()
		case <-timer.C:
		}
	}
}

var errBusy = &access.Error{Code: access.StateConflict, Message: "The target is being worked on for this grant. Try again in a few seconds."}

func (b *Broker) tryBeginCredential(ctx context.Context, who access.Caller, id access.GrantID) (e access.Entitlement, op access.Operation, until time.Time, err error) {
	err = b.store.InTx(ctx, func(tx *store.Tx) error {
		if _, err := b.seenGrant(ctx, tx, who, id); err != nil {
			return err
		}
		needs, g, err := lockGrant(ctx, tx, id)
		if err != nil {
			return err
		}
		replaced, err := tx.ReplacedCredentials(ctx, g.ID)
		if err != nil {
			return err
		}
		if err := b.mayTakeCredentials(g, who, replaced[g.ID], tx.Now); err != nil {
			return err
		}
		standing, err := tx.Standings(ctx, needs[:1])
		if err != nil {
			return err
		}
		e = needs[0] // all of a grant's entitlements are of one account
		if tx.Now.Before(e.LeaseUntil) || !access.Quiet(standing[0].Operations, tx.Now, b.skew).IsZero() {
			return errBusy
		}
		until = access.Wanted(standing[0].Needs, tx.Now)
		op = access.Operation{
			ID: access.NewID[access.OperationID](tx.Now), EntitlementID: e.ID, Kind: access.OpCredential, Fence: e.Fence + 1,
		}
		deadline := tx.Now.Add(b.credentialTimeout())
		return tx.BeginOperations(ctx, []access.Operation{op}, deadline, deadline.Add(b.skew))
	})
	if err != nil {
		return e, op, until, fmt.Errorf("beginning to hand over credentials: %w", err)
	}
	return e, op, until, nil
}

func (b *Broker) credential(ctx context.Context, e access.Entitlement, until time.Time) (c connector.Credential, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the connector panicked: %v", p)
		}
	}()
	entry, _ := b.connectors.Get(e.Connector)
	maker, ok := entry.Connector.(connector.Credentialer)
	if !ok {
		return c, fmt.Errorf("%w: the connector hands out no credentials", connector.ErrRefused)
	}
	return maker.Credential(ctx, e.EntitlementKey, until)
}

// finishCredential gives back the lease and puts on record that the credentials
// were handed over, or that they were not. The caller gets them only after
// its commit: a crash before it means that they were never seen.
func (b *Broker) finishCredential(ctx context.Context, who access.Caller, id access.GrantID, op access.Operation, held access.Entitlement, until time.Time, callErr error) error {
	const enough = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enough)
	defer cancel()
	outcome := access.Succeeded
	switch {
	case errors.Is(callErr, connector.ErrRefused), errors.Is(callErr, connector.ErrPermanent):
		outcome = access.Failed
	case callErr != nil:
		outcome = access.Uncertain
	}
	var late error
	err := b.store.InTx(ctx, func(tx *store.Tx) error {
		late = nil
		needs, g, err := lockGrant(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := tx.FinishOperation(ctx, op.ID, outcome, textOf(callErr)); err != nil {
			return err
		}
		e := needs[0]
		if e.Fence == op.Fence {
			if err := tx.SaveEntitlement(ctx, e); err != nil {
				return err
			}
		}
		if callErr != nil {
			return nil //nolint:nilerr // what was seen is kept; the failure is reported below
		}
		replaced, err := tx.ReplacedCredentials(ctx, g.ID)
		if err != nil {
			return err
		}
		if late = b.mayTakeCredentials(g, who, replaced[g.ID], tx.Now); late == nil && e.Fence != op.Fence {
			late = errBusy
		}
		if late != nil {
			return nil //nolint:nilerr // it ended, or another call was faster; nothing is handed over
		}
		if g, err = tx.IssueCredentials(ctx, g); err != nil {
			return err
		}
		return tx.Record(ctx, access.Event{
			Stream: access.StreamOf(g.ID), Version: g.Version, Type: access.CredentialsIssued, Actor: who.ID,
			Data: encode(credentialData{Operation: op.ID, Connector: held.Connector, Account: held.Account, Until: until.UTC()}),
		})
	})
	if err != nil {
		return fmt.Errorf("handing over credentials: %w", err)
	}
	if callErr != nil {
		return fmt.Errorf("%w (%w)", &access.Error{
			Code:    access.UpstreamFailed,
			Message: "The target did not make the credentials. Nothing was handed over; try again in a moment.",
		}, callErr)
	}
	return late
}
