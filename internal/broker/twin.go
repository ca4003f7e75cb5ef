package broker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// fingerprintOf identifies asks for the same, whatever reason and ticket they
// give. The start is part of it: Monday's access is not Tuesday's.
func fingerprintOf(ask access.Ask) access.Digest {
	ask.Reason, ask.Ticket = "", ""
	return access.DigestOf(ask)
}

// newRequestID gives a request its id. With an idempotency key, all of it but
// the time comes from the key, so that a repetition can tell whether the first
// call made the request or met one that was live.
func newRequestID(now time.Time, who access.PrincipalID, key Key) access.RequestID {
	id := access.NewID[access.RequestID](now)
	if key.Key != "" {
		sum := sha256.Sum256([]byte(access.DigestOf([]string{string(who), key.Key})))
		copy(id[6:], sum[:])
		id[6] = id[6]&0x0f | 0x70 // still a UUIDv7
		id[8] = id[8]&0x3f | 0x80
	}
	return id
}

// sameOrigin says whether two ids come from the same key.
func sameOrigin(a, b access.RequestID) bool { return bytes.Equal(a[6:], b[6:]) }

// useKey claims the caller's idempotency key for an object. When the key was
// used before, with the same body, it gives the object of that time.
func useKey(ctx context.Context, tx *store.Tx, who access.PrincipalID, key Key, id access.RequestID) (_ access.RequestID, replayed bool, err error) {
	if key.Key == "" {
		return id, false, nil
	}
	object, replayed, err := tx.UseKey(ctx, who, key.Key, key.BodyHash, id)
	if err != nil {
		return id, false, fmt.Errorf("claiming the idempotency key: %w", err)
	}
	return object, replayed, nil
}

// liveTwin gives the id of an identical request that still waits, and makes
// the key stand for it; one for another reason is in the way. With none it gives id back, and it is the requester's
// turn until the transaction ends, so that nobody makes a twin meanwhile. One
// that nobody decided in time is in the way no longer: it expires here.
func (b *Broker) liveTwin(ctx context.Context, tx *store.Tx, who access.PrincipalID, ask access.Ask, fingerprint access.Digest, key Key, id access.RequestID) (_ access.RequestID, found bool, expired closing, err error) {
	late := func(r access.Request) bool { return r.State == access.Pending && !tx.Now.Before(r.DecideBy) }
	twin, found, err := tx.LiveTwin(ctx, who, fingerprint)
	if err == nil && (!found || late(twin)) {
		if err := tx.LockSubmissions(ctx, who); err != nil {
			return id, false, expired, fmt.Errorf("taking the requester's turn: %w", err)
		}
		twin, found, err = tx.LiveTwin(ctx, who, fingerprint)
	}
	if err != nil {
		return id, false, expired, fmt.Errorf("looking for an identical request: %w", err)
	}
	if found && late(twin) {
		found = false
		if expired, err = b.expireTwin(ctx, tx, twin.ID); err != nil {
			return id, false, expired, err
		}
	}
	if !found {
		return id, false, expired, nil
	}
	if twin.Ask.Reason != ask.Reason || twin.Ask.Ticket != ask.Ticket {
		return id, false, expired, inTheWay(twin)
	}
	if key.Key != "" {
		if err := tx.PointKey(ctx, who, key.Key, twin.ID); err != nil {
			return id, false, expired, fmt.Errorf("keeping the idempotency key: %w", err)
		}
	}
	return twin.ID, true, expired, nil
}

// inTheWay refuses to ask for the same again with other words: the people who
// decide have read those of the first request.
func inTheWay(twin access.Request) error {
	message := "You have asked for the same already, with another reason or ticket: request #%d. Go on with it, or withdraw it first."
	if twin.State != access.Pending {
		message = "You have asked for the same already, with another reason or ticket: request #%d, which is approved. Go on with it."
	}
	return &access.Error{Code: access.DuplicateRequest, Message: fmt.Sprintf(message, twin.Number), Current: string(twin.State)}
}

func (b *Broker) expireTwin(ctx context.Context, tx *store.Tx, id access.RequestID) (closing, error) {
	req, err := tx.LockRequest(ctx, id)
	if err != nil {
		return closing{}, fmt.Errorf("locking the late request: %w", err)
	}
	if req.State != access.Pending {
		return closing{}, nil
	}
	d, err := tx.Decision(ctx, req.DecisionID)
	if err != nil {
		return closing{}, fmt.Errorf("reading its decision: %w", err)
	}
	err = b.expire(ctx, tx, &req)
	return closing{req, d}, err
}
