package httpapi

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

func contextOf(t *testing.T, c *call) context.Context {
	t.Helper()
	return context.WithValue(t.Context(), callKey{}, c)
}

// listen opens a stream and gives its lines.
func (s *scene) listen(ctx context.Context, name string, parts ...part) <-chan string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+"/api/v1/events", nil)
	require.NoError(s.t, err)
	for _, p := range append(parts, as(name)) {
		p(s, r)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, res.StatusCode)
	require.Equal(s.t, "text/event-stream", res.Header.Get("Content-Type"))
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		defer res.Body.Close()
		for scan := bufio.NewScanner(res.Body); scan.Scan(); {
			if line := scan.Text(); line != "" {
				lines <- line
			}
		}
	}()
	return lines
}

// hears waits for a line that holds the text.
func hears(t *testing.T, lines <-chan string, text string) {
	t.Helper()
	timeout := time.After(15 * time.Second)
	for {
		select {
		case line, ok := <-lines:
			require.True(t, ok, "the stream ended before %q", text)
			if strings.Contains(line, text) {
				return
			}
		case <-timeout:
			t.Fatalf("nobody said %q", text)
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.run()
	ctx, stop := context.WithCancel(t.Context())
	alice, mallory := s.listen(ctx, "alice"), s.listen(ctx, "mallory")
	hears(t, alice, ": welcome")
	hears(t, mallory, ": welcome")

	req := s.submit("alice", "pg/admin")
	s.call("POST", "/api/v1/contracts/apply", as("carol"), with("If-Match", "*"), yaml(policy+"\n---\n"+extra)).is(t, http.StatusOK)

	hears(t, alice, `data: {"stream":"request:`+req.ID.String()+`"}`)
	hears(t, alice, `data: {"stream":"policy"}`)
	for heard := false; !heard; { // mallory hears of the policy, and of nothing before it
		select {
		case line := <-mallory:
			require.NotContains(t, line, "request:")
			heard = strings.Contains(line, `"policy"`)
		case <-time.After(15 * time.Second):
			t.Fatal("mallory hears nothing")
		}
	}

	back := s.listen(ctx, "alice", with("Last-Event-ID", "7"))
	hears(t, back, "event: resync")
	s.hub.resync()
	hears(t, alice, "event: resync")

	stop()
	s.eventually(func() bool { return s.watchers() == 0 }, "streams end with their clients")
}

// What others do leaves nothing in the record of those who only listen.
func TestListeningIsNoAttempt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.run()
	mallory := s.listen(t.Context(), "mallory")
	hears(t, mallory, ": welcome")
	recorded := func() int {
		page := s.call("GET", "/api/v1/audit/events?type=attempt.refused", as("audrey")).is(t, http.StatusOK)
		return len(read[api.EventPage](t, page).Items)
	}

	req := s.submit("alice", "pg/readonly")
	s.call("GET", "/api/v1/grants/"+req.Grants[0].ID.String(), as("mallory")).is(t, http.StatusNotFound)
	s.call("POST", "/api/v1/contracts/apply", as("carol"), with("If-Match", "*"), yaml(policy+"\n---\n"+extra)).is(t, http.StatusOK)
	for heard := ""; !strings.Contains(heard, `"policy"`); {
		select {
		case heard = <-mallory:
			require.NotRegexp(t, "grant:|request:|attempt:|principal:", heard)
		case <-time.After(15 * time.Second):
			t.Fatal("mallory hears nothing")
		}
	}
	require.Equal(t, 1, recorded(), "her own one")
}

func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.MaxWatchersEach, c.MaxWatchers = 1, 2 })
	alice := s.listen(t.Context(), "alice")
	hears(t, alice, ": welcome")
	s.call("GET", "/api/v1/events", as("alice")).code(t, http.StatusTooManyRequests, access.RateLimited)
	alan := s.listen(t.Context(), "alan")
	s.call("GET", "/api/v1/events", as("olive")).code(t, http.StatusServiceUnavailable, access.NotReady)
	s.Drain()
	for range alice { // until it ends
	}
	for range alan {
	}
}

func TestSlowListenersAreTold(t *testing.T) {
	t.Parallel()
	h := newHub(10, 10)
	w, err := h.watch("somebody")
	require.NoError(t, err)
	for range hintBuffer + 5 {
		h.publish("request:req_1")
	}
	require.Len(t, w.missed, 1)
	w.close()
	require.Empty(t, h.each)
}
