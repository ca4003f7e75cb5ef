package main

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// standIn answers as a broker might, so that what a real one does rarely can
// be seen here.
func standIn(t *testing.T, answer http.HandlerFunc) *person {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return &person{server: server.URL, dir: t.TempDir(), token: "token"}
}

func respond(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func TestProblemsBecomeSentences(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		code   int
		said   string
	}{
		{"RateLimited", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "17")
			respond(w, 429, map[string]any{"code": "rate_limited", "title": "Too many calls", "detail": "Too many calls."})
		}, 1, "ramp: Too many calls.\n  try again in 17 seconds\n"},
		{"Internal", func(w http.ResponseWriter, _ *http.Request) {
			respond(w, 500, map[string]any{"code": "internal", "title": "Something failed", "request_id": "abc"})
		}, 1, "ramp: Something failed\n  request id abc, for the operator\n"},
		{"SomethingElse", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<h1>hello</h1>", http.StatusBadGateway)
		}, 1, "ramp: the server answered 502 Bad Gateway, which is not from Rampkeeper; is the address right?\n"},
		{"Redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example.com/", http.StatusFound)
		}, 1, "ramp: the server answered 302 Found, which is not from Rampkeeper; is the address right?\n"},
		{"Escapes", func(w http.ResponseWriter, _ *http.Request) {
			respond(w, 403, map[string]any{"code": "forbidden", "detail": "No\x1b[2J\u009b2J\nramp: all is well\u202e"})
		}, 3, "ramp: No\ufffd[2J\ufffd2J ramp: all is well\ufffd\n"},
		{"NotJSON", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }, 1, "ramp: the server's answer cannot be read; is ramp dev made for it? (invalid character 'h' looking for beginning of value)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := standIn(t, tt.answer).run(t, "whoami")
			require.Equal(t, tt.said, stderr)
			require.Equal(t, tt.code, code)
			require.Empty(t, stdout)
		})
	}
}

// The broker restarts while somebody waits.
func TestWaitingOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	id := access.NewID[access.RequestID](time.Now())
	request := func(state string, version int) map[string]any {
		return map[string]any{
			"id": id, "number": 7, "state": state, "version": version, "duration": "1h", "grants": []any{}, "votes": []any{},
			"requester": map[string]any{"id": "i|ada", "name": "Ada"}, "items": []any{map[string]any{"role": "r", "resource": "s"}},
		}
	}
	var calls atomic.Int64
	p := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		switch calls.Add(1) {
		case 1:
			respond(w, 200, request("pending", 1))
		case 2:
			w.Header().Set("Retry-After", "1")
			respond(w, 503, map[string]any{"code": "not_ready", "detail": "The server is stopping."})
		case 3:
			hijacked, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				hijacked.Close()
			}
		default:
			respond(w, 200, request("approved", 2))
		}
	})
	_, stderr, code := p.run(t, "requests", "watch", id.String())
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stderr, "The server is stopping. Trying again; Ctrl-C stops.\n")
	require.Equal(t, 1, strings.Count(stderr, "Trying again"), "said once: %s", stderr)
	require.Contains(t, stderr, "Request #7 is approved.")
}

func TestListsFollowCursors(t *testing.T) {
	t.Parallel()
	get := func(cursor *string, limit int) ([]int, error) {
		from := 0
		if cursor != nil {
			from, _ = strconv.Atoi(*cursor)
		}
		var page []int
		for i := from; i < min(from+limit, 450); i++ {
			page = append(page, i)
		}
		return page, nil
	}
	split := func(page []int) ([]int, string) {
		if next := page[len(page)-1] + 1; next < 450 {
			return page, strconv.Itoa(next)
		}
		return page, ""
	}
	for _, tt := range []struct {
		most, got int
		more      bool
	}{{0, 450, false}, {1, 1, true}, {200, 200, true}, {250, 250, true}, {450, 450, false}, {1000, 450, false}} {
		all, more, err := collect(tt.most, get, split)
		require.NoError(t, err)
		require.Len(t, all, tt.got)
		require.Equal(t, tt.more, more)
	}
}

// log is an audit log in which transactions commit in another order than
// events are numbered.
type log struct {
	events  []map[string]any // committed
	horizon int              // below it every transaction is over
}

func (l *log) add(index, xid int) {
	l.events = append(l.events, map[string]any{
		"id": access.NewID[access.EventID](time.Now()), "index": index, "xid": strconv.Itoa(xid), "stream": "s", "type": "a.b", "actor": "system",
		"at": "2026-11-23T12:00:00Z", "recorded_at": "2026-11-23T12:00:00Z", "data": map[string]any{},
	})
}

func place(e map[string]any) [2]int {
	xid, _ := strconv.Atoi(e["xid"].(string))
	return [2]int{xid, e["index"].(int)}
}

func (l *log) list(r *http.Request) []map[string]any {
	after := r.URL.Query().Get("after")
	if after == "" {
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		newest := slices.SortedFunc(slices.Values(l.events), func(x, y map[string]any) int { return y["index"].(int) - x["index"].(int) })
		return newest[:min(limit, len(newest))]
	}
	from := [2]int{}
	for _, e := range l.events {
		if e["id"].(access.EventID).String() == after {
			from = place(e)
		}
	}
	compare := func(x, y [2]int) int { return cmp.Or(x[0]-y[0], x[1]-y[1]) }
	var found []map[string]any
	for _, e := range l.events {
		if p := place(e); compare(p, from) > 0 && p[0] < l.horizon {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(x, y map[string]any) int { return compare(place(x), place(y)) })
	return found
}

func TestTailMissesNothing(t *testing.T) {
	t.Parallel()
	l := &log{horizon: 12}
	l.add(1, 10)
	l.add(2, 11)
	l.add(5, 14) // while 12 and 13 still run
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var calls atomic.Int64
	p := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		switch calls.Add(1) {
		case 4: // newest, settled, newest, and now what follows
			l.add(4, 13)
		case 5:
			l.add(3, 12)
			l.horizon = 15
		case 7:
			stop()
		}
		items := l.list(r)
		if items == nil {
			items = []map[string]any{}
		}
		respond(w, 200, map[string]any{"items": items})
	})
	var out strings.Builder
	env := map[string]string{"RAMP_SERVER": p.server, "RAMP_CONFIG_DIR": p.dir, "RAMP_TOKEN": p.token}
	a := &app{in: strings.NewReader(""), out: &out, err: &out, getenv: func(name string) string { return env[name] }}
	require.Equal(t, 0, a.execute(ctx, []string{"audit", "tail", "-f", "-o", "json"}), out.String())
	var seen []int
	for line := range strings.Lines(out.String()) {
		var e struct {
			Index int `json:"index"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		seen = append(seen, e.Index)
	}
	require.Equal(t, []int{1, 2, 3, 4, 5}, seen)
}
