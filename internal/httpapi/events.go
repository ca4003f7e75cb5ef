package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

const (
	heartbeat = 15 * time.Second
	// recheck is how long a stream may outlive the session or token behind
	// it, and gather how long hints about one object are collected.
	recheck = time.Minute
	gather  = 100 * time.Millisecond
)

// StreamEvents sends hints about what the caller may see.
func (s operations) StreamEvents(ctx context.Context, in api.StreamEventsRequestObject) (api.StreamEventsResponseObject, error) {
	c := callOf(ctx)
	w, err := s.hub.watch(c.caller.ID)
	if err != nil {
		return nil, err
	}
	resync := in.Params.LastEventID != nil && *in.Params.LastEventID != ""
	return stream{s.Server, ctx, c, w, resync}, nil
}

// stream is an answer that goes on.
type stream struct {
	*Server
	ctx    context.Context //nolint:containedctx // the generated interface has no place for it
	call   *call
	watch  *watcher
	resync bool
}

// VisitStreamEventsResponse writes until the client goes, the caller's sign-in
// ends or the server drains.
func (s stream) VisitStreamEventsResponse(w http.ResponseWriter) error {
	defer s.watch.close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	w.WriteHeader(http.StatusOK)
	out := &sse{w: w, rc: http.NewResponseController(w), server: s.Server}
	if s.resync {
		s.watch.drop()
	}
	if err := out.comment("welcome"); err != nil {
		return nil
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	check := time.NewTicker(recheck)
	defer check.Stop()
	for {
		var err error
		select {
		case <-s.watch.missed:
			err = out.event("resync", map[string]string{})
		case hint := <-s.watch.hints:
			err = s.pass(out, hint)
		case <-beat.C:
			err = out.comment("still here")
		case <-check.C:
			if _, err := s.Auth.Authenticate(s.call.request); err != nil {
				return nil
			}
		case <-s.hub.closed:
			return nil
		case <-s.ctx.Done():
			return nil
		}
		if err != nil {
			return nil
		}
	}
}

// pass collects what comes close together, so that a burst about one object
// is one look at who may see it, and sends what the caller may see.
func (s stream) pass(out *sse, first string) error {
	order, seen := []string{first}, map[string]bool{first: true}
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for collecting := true; collecting; {
		select {
		case hint := <-s.watch.hints:
			if !seen[hint] {
				seen[hint] = true
				order = append(order, hint)
			}
		case <-timer.C:
			collecting = false
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
	for _, hint := range order {
		if !s.mayHear(hint) {
			continue
		}
		if err := out.event("changed", map[string]string{"stream": hint}); err != nil {
			return err
		}
	}
	return nil
}

// mayHear asks the same use cases that would show the object.
func (s stream) mayHear(hint string) bool {
	kind, id, _ := strings.Cut(hint, ":")
	switch kind {
	case "request":
		var request access.RequestID
		if request.UnmarshalText([]byte(id)) != nil {
			return false
		}
		_, err := s.Broker.Request(s.ctx, s.call.caller, request)
		return err == nil
	case "grant":
		var grant access.GrantID
		if grant.UnmarshalText([]byte(id)) != nil {
			return false
		}
		_, err := s.Broker.Grant(s.ctx, s.call.caller, grant)
		return err == nil
	case "principal":
		return id == string(s.call.caller.ID)
	}
	return hint == access.PolicyStream
}

// sse writes server-sent events.
type sse struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	server *Server
	id     int64
}

func (o *sse) event(name string, data any) error {
	o.id++
	b, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	return o.write(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", o.id, name, b))
}

func (o *sse) comment(text string) error { return o.write(": " + text + "\n\n") }

func (o *sse) write(s string) error {
	if err := o.server.deadlineIn(o.rc, answerTimeout); err != nil {
		return err
	}
	if _, err := o.w.Write([]byte(s)); err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	if err := o.rc.Flush(); err != nil {
		return fmt.Errorf("sending an event: %w", err)
	}
	return nil
}

// extend moves the deadline of an answer that takes its time on purpose.
func (s *Server) extend(ctx context.Context, by time.Duration) error {
	if w := callOf(ctx).writer; w != nil {
		return s.deadlineIn(http.NewResponseController(w), by)
	}
	return nil
}

// deadlineIn sets the deadline of an answer, where the connection has one.
func (s *Server) deadlineIn(rc *http.ResponseController, by time.Duration) error {
	if err := rc.SetWriteDeadline(s.Now().Add(by)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("moving the answer's deadline: %w", err)
	}
	return nil
}
