package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rampkeeper/rampkeeper/api"
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
	s.leave(s.ctx)
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
			caller, err := s.Auth.Authenticate(s.call.request)
			if err != nil {
				return nil
			}
			s.call.caller = caller // groups may have changed
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

// pass collects what comes close together, so that a burst is one look at who
// may see it, and sends what the caller may see.
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
	if err := s.enter(s.ctx); err != nil {
		return err
	}
	may, err := s.Broker.MaySee(s.ctx, s.call.caller, order...)
	s.leave(s.ctx)
	if err != nil {
		s.watch.drop() // what they would have heard is lost
		return s.ctx.Err()
	}
	for _, hint := range order {
		if !may[hint] {
			continue
		}
		if err := out.event("changed", map[string]string{"stream": hint}); err != nil {
			return err
		}
	}
	return nil
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
