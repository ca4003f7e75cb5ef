package httpapi

import (
	"bytes"
	"compress/gzip"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// The numbers are those of SECURITY.md.

func TestO7NoLeak(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit("alice", "pg/admin")
	granted := s.submit("alice", "pg/readonly")
	body := func(path string) string {
		a := s.call("GET", "/api/v1"+path, as("mallory"), with("X-Request-ID", "same"))
		a.code(t, http.StatusNotFound, access.NotFound)
		return strings.ReplaceAll(string(a.body), a.problem(t).Instance, "instance")
	}
	for _, pair := range [][2]string{
		{"/requests/" + req.ID.String(), "/requests/req_01m843dj1xftgsy5stz96vwa7j"},
		{"/requests/" + req.ID.String() + "/timeline", "/requests/req_01m843dj1xftgsy5stz96vwa7j/timeline"},
		{"/grants/" + granted.Grants[0].ID.String(), "/grants/grt_01m843dj1xftgsy5stz96vwa7j"},
		{"/grants/" + granted.Grants[0].ID.String() + "/credentials", "/grants/grt_01m843dj1xftgsy5stz96vwa7j/credentials"},
		{"/decisions/" + req.Decision.ID.String(), "/decisions/dec_01m843dj1xftgsy5stz96vwa7j"},
		{"/contracts/changes", "/contracts/nothing"},
		{"/catalog/postgres%2Fdatabase:prod%2Fvault", "/catalog/postgres%2Fdatabase:prod%2Fnothing"},
	} {
		require.Equal(t, body(pair[1]), body(pair[0]))
	}
	for _, path := range []string{"/requests", "/grants", "/catalog", "/approvals"} {
		require.Empty(t, read[struct {
			Items []any `json:"items"`
		}](t, s.call("GET", "/api/v1"+path, as("mallory"))).Items, path)
	}
}

func TestO8Idempotency(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	key := with("Idempotency-Key", "one-and-only")
	answers := make(chan answer, 20)
	for range cap(answers) {
		go func() { answers <- s.call("POST", "/api/v1/requests", as("alice"), key, body(ask("pg/admin"))) }()
	}
	seen, firsts := map[access.RequestID]bool{}, 0
	for range cap(answers) {
		a := <-answers
		if a.status == http.StatusConflict {
			a.code(t, http.StatusConflict, access.InProgress)
			continue
		}
		a.is(t, http.StatusCreated)
		seen[read[api.Request](t, a).ID] = true
		if a.header.Get("Idempotency-Replayed") == "" {
			firsts++
		}
	}
	require.Len(t, seen, 1)
	require.Equal(t, 1, firsts)

	again := s.call("POST", "/api/v1/requests", as("alice"), key, body(` {"reason":"ticket 42 is on fire", "duration":"30m",
		"items":[{"resource":"`+orders+`","role":"pg/admin"}]}`)).is(t, http.StatusCreated)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"), "the same body, written another way")

	other := ask("pg/admin")
	other["duration"] = "31m"
	s.call("POST", "/api/v1/requests", as("alice"), key, body(other)).code(t, http.StatusUnprocessableEntity, access.KeyReused)
	s.call("POST", "/api/v1/requests", as("alan"), key, body(other)).is(t, http.StatusCreated) // a key is its caller's own
	p := s.call("POST", "/api/v1/requests", as("alice"), with("Idempotency-Key", "with blank"), body(other)).code(t, http.StatusBadRequest, access.Invalid)
	require.Equal(t, "Idempotency-Key", p.Errors[0].Parameter)

	twin := s.call("POST", "/api/v1/requests", as("alice"), body(ask("pg/admin"))).is(t, http.StatusOK)
	require.True(t, seen[read[api.Request](t, twin).ID], "an identical live request is answered, not made again")
	for _, replayed := range []string{"", "true"} {
		met := s.call("POST", "/api/v1/requests", as("alice"), with("Idempotency-Key", "two"), body(ask("pg/admin"))).is(t, http.StatusOK)
		require.Equal(t, replayed, met.header.Get("Idempotency-Replayed"))
	}
}

func TestO9Cursors(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, d := range []string{"10m", "11m", "12m"} {
		a := ask("pg/admin")
		a["duration"] = d
		s.call("POST", "/api/v1/requests", as("alice"), body(a)).is(t, http.StatusCreated)
	}
	var numbers []int64
	cursor := ""
	for range 3 {
		page := read[api.RequestPage](t, s.call("GET", "/api/v1/requests?limit=1"+cursor, as("alice")).is(t, http.StatusOK))
		require.Len(t, page.Items, 1)
		numbers = append(numbers, page.Items[0].Number)
		cursor = "&cursor=" + page.NextCursor
		if page.NextCursor == "" {
			cursor = ""
		}
	}
	require.Equal(t, []int64{3, 2, 1}, numbers)
	require.Empty(t, cursor)

	next := read[api.RequestPage](t, s.call("GET", "/api/v1/requests?limit=1", as("alice"))).NextCursor
	for what, get := range map[string]func() answer{
		"tampered":     func() answer { return s.call("GET", "/api/v1/requests?cursor=A"+next[1:], as("alice")) },
		"cut":          func() answer { return s.call("GET", "/api/v1/requests?cursor="+next[:len(next)-1], as("alice")) },
		"somebody's":   func() answer { return s.call("GET", "/api/v1/requests?cursor="+next, as("audrey")) },
		"another list": func() answer { return s.call("GET", "/api/v1/grants?cursor="+next, as("alice")) },
		"made up":      func() answer { return s.call("GET", "/api/v1/requests?cursor=%27%3Bdrop", as("alice")) },
	} {
		p := get().code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, "cursor", p.Errors[0].Parameter, what)
	}
}

func TestO10Parameters(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for query, parameter := range map[string]string{
		"sort=created;drop": "", "sort=created": "sort", "offset=3": "offset", "state=bogus": "state", "state=pending,bogus": "state",
		"limit=0": "limit", "limit=201": "limit", "limit=x": "limit", "limit=1&limit=2": "limit", "since=yesterday": "since", "state=": "state",
		"LIMIT=1": "LIMIT", "approver=mallory": "approver",
	} {
		p := s.call("GET", "/api/v1/requests?"+query, as("alice")).code(t, http.StatusBadRequest, access.Invalid)
		if parameter != "" {
			require.Equal(t, parameter, p.Errors[0].Parameter, query)
		}
	}
}

func TestO11Methods(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, method := range []string{"TRACE", "PATCH", "PUT", "DELETE", "BREW", "OPTIONS"} {
		a := s.call(method, "/api/v1/requests", as("alice"), with("X-HTTP-Method-Override", "GET"))
		require.Equal(t, http.StatusMethodNotAllowed, a.status, method)
		require.Equal(t, "GET, POST", a.header.Get("Allow"))
	}
	s.call("DELETE", "/healthz").code(t, http.StatusMethodNotAllowed, methodNotAllowed)
	s.call("POST", "/api/v1/me", as("alice"), with("X-HTTP-Method-Override", "GET")).code(t, http.StatusMethodNotAllowed, methodNotAllowed)
	text, err := testutil.GatherAndCount(s.registry, "http_server_request_duration_seconds")
	require.NoError(t, err)
	require.Positive(t, text)
	w := httptest.NewRecorder()
	s.MetricsHandler(s.registry).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Contains(t, w.Body.String(), `http_request_method="other"`)
	require.NotContains(t, w.Body.String(), "BREW")
	require.NotContains(t, w.Body.String(), "alice")
	require.Contains(t, w.Body.String(), `http_route="/api/v1/me"`)
}

func TestO12LargeHeaders(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := HTTPServer(s.Server, s.Log)
	done := make(chan error)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+ln.Addr().String()+"/healthz", nil)
	require.NoError(t, err)
	r.Header.Set("Cookie", strings.Repeat("a=b; ", 200_000))
	res, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, res.StatusCode)
}

func TestO13PackedBodies(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(make([]byte, 10<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	s.call("POST", "/api/v1/requests", as("alice"), body(packed.String()), with("Content-Encoding", "gzip")).
		code(t, http.StatusUnsupportedMediaType, access.UnsupportedMedia)
}

func TestO14PathTricks(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, path := range []string{
		"//api/v1/me", "/api//v1/me", "/api/v1/me/", "/api/v1/./me", "/api/v1/x/../me", "/api/v1/%6de", "/api/v1/me;x", "/api/v1/me%00", "/API/v1/me",
		"/healthz/../api/v1/me", "/healthz/%2e%2e/api/v1/me", "/api/v1%2fme", "/api/v1/me%2f", "/%2e%2e/etc/passwd", "/auth/../api/v1/me", "/nothing", "/api/v1/", "/api/v1",
	} {
		a := s.call("GET", path, as("alice"))
		require.Contains(t, []int{http.StatusNotFound, http.StatusBadRequest}, a.status, path)
	}
	// Decoded twice, this would be a NUL, and 400.
	s.call("GET", "/api/v1/contracts/x%2500", as("alice")).code(t, http.StatusNotFound, access.NotFound)
}

func TestO15ForgedHeaders(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.call("POST", "/api/v1/requests", as("alice"), body(ask("pg/admin")),
		with("X-Forwarded-Host", "evil.example"), with("X-Forwarded-Proto", "gopher"), with("X-Forwarded-For", "203.0.113.9"), with("X-Real-IP", "203.0.113.9"),
		with("True-Client-IP", "203.0.113.9"), func(_ *scene, r *http.Request) { r.Host = "evil.example" }).is(t, http.StatusCreated)
	require.NotContains(t, string(a.body), "evil.example")
	require.NotContains(t, a.header.Get("Location"), "evil.example")
	require.NotContains(t, s.log.String(), "203.0.113.9")
	require.Contains(t, s.log.String(), `"client_ip":"127.0.0.1"`)

	behind := newScene(t, func(c *Config) { c.TrustedProxies = []string{"127.0.0.0/8"} })
	behind.call("GET", "/api/v1/me", as("alice"), with("X-Forwarded-For", "198.51.100.7, 203.0.113.9"))
	require.Contains(t, behind.log.String(), `"client_ip":"203.0.113.9"`, "what the proxy saw, not what the client said")

	_, err := NewServer(Config{Auth: s.Auth, Store: s.store, Now: time.Now, TrustedProxies: []string{"not a network"}})
	require.ErrorContains(t, err, "reading the trusted proxies")
}

func TestO16SlowClients(t *testing.T) {
	t.Parallel()
	server := HTTPServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	require.Positive(t, server.ReadHeaderTimeout)
	require.Positive(t, server.ReadTimeout)
	require.Positive(t, server.IdleTimeout)
	require.LessOrEqual(t, server.MaxHeaderBytes, 64<<10)
}

func TestO17Draining(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Drain()
	s.Drain() // twice is once
	p := s.call("GET", "/readyz").code(t, http.StatusServiceUnavailable, access.NotReady)
	require.Equal(t, []api.Fault{{Detail: "accepting is shutting down"}}, p.Errors)
	s.call("GET", "/healthz").is(t, http.StatusOK)
	s.call("HEAD", "/healthz").is(t, http.StatusOK)
	s.call("POST", "/api/v1/requests", as("alice"), body(ask("pg/admin"))).is(t, http.StatusCreated)
}
