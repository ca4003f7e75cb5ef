package httpapi

import (
	"context"
	"fmt"
	"sync"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// hub passes hints that an object changed on to streams and long polls. It is
// lossy by design: who falls behind is told to read everything again, and
// nothing depends on a hint arriving.
type hub struct {
	max, maxEach int

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	each     map[access.PrincipalID]int
	closed   chan struct{}
}

// watcher is one stream or long poll.
type watcher struct {
	hub    *hub
	who    access.PrincipalID
	hints  chan string   // names of audit streams
	missed chan struct{} // holds one when hints were dropped
}

// hintBuffer is how many hints wait for a slow client.
const hintBuffer = 256

func newHub(limit, each int) *hub {
	return &hub{
		max: limit, maxEach: each,
		watchers: map[*watcher]struct{}{},
		each:     map[access.PrincipalID]int{},
		closed:   make(chan struct{}),
	}
}

// watch adds a watcher, unless there are too many.
func (h *hub) watch(who access.PrincipalID) (*watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.each[who] >= h.maxEach:
		return nil, &access.Error{Code: access.RateLimited, Message: fmt.Sprintf("You have %d streams and long polls open already; close one.", h.maxEach)}
	case len(h.watchers) >= h.max:
		return nil, &access.Error{Code: access.NotReady, Message: "Too many streams and long polls are open. Try again in a moment."}
	}
	w := &watcher{hub: h, who: who, hints: make(chan string, hintBuffer), missed: make(chan struct{}, 1)}
	h.watchers[w] = struct{}{}
	h.each[who]++
	return w, nil
}

func (w *watcher) close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.hub.watchers, w)
	if w.hub.each[w.who]--; w.hub.each[w.who] == 0 {
		delete(w.hub.each, w.who)
	}
}

// publish hands a hint to every watcher and waits for none.
func (h *hub) publish(stream string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		select {
		case w.hints <- stream:
		default:
			w.drop()
		}
	}
}

// resync tells every watcher that hints may have been missed.
func (h *hub) resync() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		w.drop()
	}
}

func (w *watcher) drop() {
	select {
	case w.missed <- struct{}{}:
	default:
	}
}

// close ends every stream; further ones end at once.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.closed:
	default:
		close(h.closed)
	}
}

// Run passes changes on to streams and long polls until ctx ends. Without it
// long polls look for themselves and streams say nothing.
func (s *Server) Run(ctx context.Context) error {
	changes := s.Store.Listen(ctx)
	for {
		select {
		case stream, ok := <-changes:
			switch {
			case !ok:
				return ctx.Err()
			case stream == "": // connected again: anything may have happened
				s.hub.resync()
			default:
				s.hub.publish(stream)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
