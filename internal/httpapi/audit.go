package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/broker"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// ListEvents reads the audit log, as a page or as lines.
func (s operations) ListEvents(ctx context.Context, in api.ListEventsRequestObject) (api.ListEventsResponseObject, error) {
	p := in.Params
	var after *access.EventID
	if p.After != nil {
		after = new(access.EventID) // zero: the start
		if *p.After != "start" && after.UnmarshalText([]byte(*p.After)) != nil {
			return nil, faulty([]access.Detail{{Parameter: "after", Detail: "is not the id of an event"}})
		}
	}
	page, err := s.Broker.AuditEvents(ctx, callOf(ctx).caller, broker.EventFilter{
		Stream: or(p.Stream), Type: access.EventType(or(p.Type)), Actor: me(ctx, p.Actor),
		Since: or(p.Since), Until: or(p.Until), Limit: limitOf(p.Limit), Cursor: or(p.Cursor), After: after,
	})
	if err != nil {
		return nil, err
	}
	if accepts(callOf(ctx).request, ndjsonType) {
		return ndjson(page)
	}
	items, err := events(page.Items)
	if err != nil {
		return nil, err
	}
	return api.ListEvents200JSONResponse{Body: api.EventPage{Items: items, NextCursor: page.Next}}, nil
}

// lines is a page as one JSON document per line. The cursor of the next page
// is in the Link header, because lines have no room for it.
type lines struct {
	body []byte
	next string
}

// VisitListEventsResponse writes the lines.
func (l lines) VisitListEventsResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", ndjsonType)
	if l.next != "" {
		w.Header().Set("Next-Cursor", l.next)
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(l.body) // the client may be gone
	return nil
}

func ndjson(p broker.Page[store.EventRow]) (api.ListEventsResponseObject, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	items, err := events(p.Items)
	if err != nil {
		return nil, err
	}
	for _, shown := range items {
		if err := enc.Encode(shown); err != nil {
			return nil, fmt.Errorf("encoding an event: %w", err)
		}
	}
	return lines{b.Bytes(), p.Next}, nil
}

// accepts says whether the client names the media type.
func accepts(r *http.Request, want string) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		if kind, _, err := mime.ParseMediaType(strings.TrimSpace(part)); err == nil && kind == want {
			return true
		}
	}
	return false
}

// GetEvent gives one event.
func (s operations) GetEvent(ctx context.Context, in api.GetEventRequestObject) (api.GetEventResponseObject, error) {
	row, err := s.Broker.AuditEvent(ctx, callOf(ctx).caller, in.EventID)
	if err != nil {
		return nil, err
	}
	shown, err := event(row)
	if err != nil {
		return nil, err
	}
	return api.GetEvent200JSONResponse(shown), nil
}
