package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// EventFilter says which events of the audit log to list. Zero members do not
// filter.
type EventFilter struct {
	Stream string
	Type   access.EventType
	Actor  access.PrincipalID
	Since  time.Time
	Until  time.Time
	// After, if set, asks for the events that follow this one, oldest first;
	// the zero id asks for the whole log from its beginning. Whoever goes on
	// behind the last event of each answer misses none.
	After  *access.EventID
	Limit  int
	Cursor string
}

var errNoEvent = &access.Error{Code: access.NotFound, Message: "There is no such event, or it is not yours to see."}

// viewerOf gives who reads the log: nil for an auditor, who reads everything.
// Everybody else reads the streams of requests that are theirs or name them,
// of the grants of those, and of what they did themselves.
func viewerOf(who access.Caller) *access.Subject {
	if who.Has(access.Auditor) {
		return nil
	}
	return &who.Subject
}

// AuditEvents lists the events that the caller may see: newest first, or, with
// After, oldest first.
func (b *Broker) AuditEvents(ctx context.Context, who access.Caller, f EventFilter) (Page[store.EventRow], error) {
	limit, err := limitOf(f.Limit)
	if err != nil {
		return Page[store.EventRow]{}, err
	}
	cursor := f.Cursor
	f.Limit, f.Cursor = 0, ""
	list := "events:" + string(access.DigestOf(f))
	q := store.EventFilter{Viewer: viewerOf(who), Actor: f.Actor, Since: f.Since, Until: f.Until, Limit: limit + 1}
	if f.Stream != "" {
		q.Streams = []string{f.Stream}
	}
	if f.Type != "" {
		q.Types = []access.EventType{f.Type}
	}
	var page Page[store.EventRow]
	err = b.store.InTx(ctx, func(tx *store.Tx) error {
		from, err := tx.OpenCursor(ctx, who.ID, list, cursor)
		if err != nil {
			return err
		}
		if f.After != nil {
			page.Items, err = followEvents(ctx, tx, *f.After, from, q)
		} else {
			page.Items, err = newestEvents(ctx, tx, from, q)
		}
		if err != nil {
			return err
		}
		page.Next = ""
		if len(page.Items) <= limit {
			return nil
		}
		page.Items = page.Items[:limit]
		last := page.Items[limit-1]
		at := strconv.FormatInt(last.Seq, 10)
		if f.After != nil {
			at = last.ID.String()
		}
		page.Next, err = tx.SealCursor(ctx, who.ID, list, at)
		return err
	})
	if err != nil {
		return Page[store.EventRow]{}, fmt.Errorf("listing events: %w", err)
	}
	return page, nil
}

func newestEvents(ctx context.Context, tx *store.Tx, from string, q store.EventFilter) ([]store.EventRow, error) {
	if from != "" {
		var err error
		if q.Before, err = strconv.ParseInt(from, 10, 64); err != nil {
			return nil, fmt.Errorf("reading our own cursor: %w", err)
		}
	}
	return tx.Events(ctx, q)
}

func followEvents(ctx context.Context, tx *store.Tx, after access.EventID, from string, q store.EventFilter) ([]store.EventRow, error) {
	if from != "" {
		if err := after.UnmarshalText([]byte(from)); err != nil {
			return nil, fmt.Errorf("reading our own cursor: %w", err)
		}
	}
	if after.IsZero() {
		return tx.EventsAfter(ctx, store.Mark{}, q)
	}
	// Whether an event exists is not told to those who may not see it.
	row, err := tx.Event(ctx, after, q.Viewer)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoEvent
	}
	if err != nil {
		return nil, err
	}
	return tx.EventsAfter(ctx, row.Mark(), q)
}

// AuditEvent gives one event. One that the caller may not see is
// as absent as one that does not exist.
func (b *Broker) AuditEvent(ctx context.Context, who access.Caller, id access.EventID) (store.EventRow, error) {
	var row store.EventRow
	err := b.store.InTx(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.Event(ctx, id, viewerOf(who))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return store.EventRow{}, errNoEvent
	}
	if err != nil {
		return store.EventRow{}, fmt.Errorf("showing event: %w", err)
	}
	return row, nil
}
