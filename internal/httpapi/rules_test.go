package httpapi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
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

func TestO1LargeBodies(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := ask("pg/admin")
	a["reason"] = strings.Repeat("x", 4096)
	s.call("POST", "/api/v1/requests", as("alice"), body(a)).is(t, http.StatusCreated)
	a["reason"] = strings.Repeat("x", 4097)
	p := s.call("POST", "/api/v1/requests", as("alan"), body(a)).code(t, http.StatusBadRequest, access.Invalid)
	require.Equal(t, []api.Fault{{Pointer: "/reason", Detail: "is 4097 characters long; at most 4096 are taken"}}, p.Errors)
	a["reason"] = strings.Repeat("ü", 4096) // 8192 bytes
	p = s.call("POST", "/api/v1/requests", as("alan"), body(a)).code(t, http.StatusBadRequest, access.Invalid)
	require.Equal(t, "/reason", p.Errors[0].Pointer)

	large := `{"reason":"` + strings.Repeat("x", 10<<20) + `"}`
	s.call("POST", "/api/v1/requests", as("alice"), body(large)).code(t, http.StatusRequestEntityTooLarge, access.TooLarge)
	unsized := func(_ *scene, r *http.Request) { // nobody says how much is coming
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(large)), -1
		r.Header.Set("Content-Type", jsonType)
	}
	s.call("POST", "/api/v1/requests", as("alice"), unsized).code(t, http.StatusRequestEntityTooLarge, access.TooLarge)
	comment := "# " + strings.Repeat("x", 2<<20) + "\n" + policy
	s.call("POST", "/api/v1/contracts/lint", as("alice"), yaml(comment)).is(t, http.StatusOK)
}

func TestO2Durations(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, bad := range []string{`"0"`, `"-1h"`, `"1e9h"`, `"P1M"`, `"1.5h"`, `"  1h"`, `"9223372036854775808s"`, `""`, `"1h "`, `60`, `["1h"]`} {
		p := s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":"pg/admin","resource":"`+orders+`"}],"duration":`+bad+`}`)).
			code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, "/duration", p.Errors[0].Pointer, bad)
	}
	for _, bad := range []string{"0", "-60", "1.5", "1e300", "9223372036854775808", "315360001", `"60"`} {
		p := s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":"pg/admin","resource":"`+orders+`"}],"duration_seconds":`+bad+`}`)).
			code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, "/duration_seconds", p.Errors[0].Pointer, bad)
	}
	for _, bad := range []string{``, `,"duration":"1h","duration_seconds":3600`} {
		s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":"pg/admin","resource":"`+orders+`"}]`+bad+`}`)).
			code(t, http.StatusBadRequest, access.Invalid)
	}
	long := ask("pg/admin")
	long["duration"] = "3h"
	a := s.call("POST", "/api/v1/requests", as("alice"), body(long))
	p := a.code(t, http.StatusUnprocessableEntity, access.PolicyRefused)
	require.Equal(t, access.DurationTooLong, p.Reasons[0].Code)
	require.Contains(t, p.Reasons[0].Fix+p.Reasons[0].Message, "2h")
	require.False(t, p.DecisionID.IsZero())
	refused := read[api.Request](t, s.call("GET", a.header.Get("Location"), as("alice")).is(t, http.StatusOK))
	require.Equal(t, access.Refused, refused.State)
}

func TestO3StrictMembers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":"pg/admin","resource":"x","role":"pg/readonly"}],"Items":[],"duration":"1h","duration":"2h"}`)).
		code(t, http.StatusBadRequest, access.Invalid)
	require.Equal(t, []api.Fault{
		{Pointer: "/items/0/role", Detail: "is given twice"},
		{Pointer: "/Items", Detail: "differs only in case from items"},
		{Pointer: "/duration", Detail: "is given twice"},
	}, p.Errors)

	p = s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":1,"resource":"a b"}],"bogus":1,"duration":7200,"actor":"x","reason":["x"],"Ticket":"T-1"}`)).
		code(t, http.StatusBadRequest, access.Invalid)
	require.ElementsMatch(t, []api.Fault{
		{Pointer: "/items/0/role", Detail: "is of type number, and must be string"},
		{Pointer: "/items/0/resource", Detail: `does not have the form ^[^\s*\x00-\x1f\x7f]+$`},
		{Pointer: "/duration", Detail: "is of type number, and must be string"},
		{Pointer: "/reason", Detail: "is of type array, and must be string"},
		{Pointer: "/bogus", Detail: "is not a member of this object"},
		{Pointer: "/actor", Detail: "is not a member of this object"},
		{Pointer: "/Ticket", Detail: "is not a member of this object"},
	}, p.Errors)

	nulls := `{"items":[{"role":"pg/admin","resource":"` + orders + `"}],"duration":"1h","duration_seconds":null,"ticket":null,"start_at":null}`
	s.call("POST", "/api/v1/requests", as("alice"), body(nulls)).is(t, http.StatusCreated)
}

func TestO4HiddenCharacters(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, bad := range []string{`\u0000`, `\ud800`, `\udc00`, `\ud800A`, `\u202e`, `\u200b`, `\u001b[31m`, "\u202e"} {
		for _, body := range []string{
			`{"items":[{"role":"pg/admin","resource":"` + orders + `"}],"duration":"1h","reason":"x` + bad + `y"}`,
			`{"items":[{"role":"pg/admin","resource":"` + orders + bad + `"}],"duration":"1h","reason":"xy"}`,
		} {
			s.call("POST", "/api/v1/requests", as("alice"), raw(jsonType, body)).code(t, http.StatusBadRequest, access.Invalid)
		}
	}
	for _, bad := range []string{"%00", "%ff", "%e2%80%ae"} {
		p := s.call("GET", "/api/v1/catalog?q="+bad, as("alice")).code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, "q", p.Errors[0].Parameter)
		s.call("GET", "/api/v1/contracts/x"+bad, as("alice"))
		s.call("GET", "/api/v1/catalog/x"+bad, as("alice"))
	}
	s.call("GET", "/api/v1/contracts/x%00", as("alice")).code(t, http.StatusBadRequest, access.Invalid)
	s.call("POST", "/api/v1/requests", as("alice"), body(`{"items":[{"role":"pg/admin","resource":"`+orders+`"}],"duration":"1h","reason":"fine \ud83d\ude80 \\u0000"}`)).is(t, http.StatusCreated)
}

func TestO5OneDocument(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	good := `{"items":[{"role":"pg/admin","resource":"` + orders + `"}],"duration":"1h","reason":"x"}`
	for _, bad := range []string{"\xef\xbb\xbf" + good, good + good, good + "x", strings.Replace(good, `"x"`, "\"\xff\"", 1), ""} {
		s.call("POST", "/api/v1/requests", as("alice"), body(bad)).code(t, http.StatusBadRequest, access.Invalid)
	}
	s.call("POST", "/api/v1/requests", as("alice"), body(" "+good+"\n")).is(t, http.StatusCreated)
}

func TestO6StartTimes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, bad := range []string{"2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "tomorrow", "2026-11-23T14:00:00"} {
		a := ask("pg/admin")
		a["start_at"] = bad
		p := s.call("POST", "/api/v1/requests", as("alice"), body(a)).code(t, http.StatusBadRequest, access.Invalid)
		require.Equal(t, "/start_at", p.Errors[0].Pointer, bad)
	}
}

func TestO7NoLeak(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit("alice", "pg/admin")
	granted := s.submit("alice", "pg/readonly")
	body := func(path string) string {
		a := s.call("GET", "/api/v1"+path, as("mallory"), with("X-Request-ID", "same"))
		a.code(t, http.StatusNotFound, access.NotFound)
		return string(a.body)
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
	s.call("POST", "/api/v1/requests", as("alice"), body(ask("pg/admin"))).is(t, http.StatusCreated)
}

func TestO63CrossSite(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, header := range [][2]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		s.call("POST", "/api/v1/requests", as("alice"), with(header[0], header[1]), body(ask("pg/admin"))).code(t, http.StatusForbidden, access.CrossOrigin)
		s.call("POST", "/auth/logout", with(header[0], header[1])).code(t, http.StatusForbidden, access.CrossOrigin)
	}
	require.Empty(t, read[api.RequestPage](t, s.call("GET", "/api/v1/requests", as("alice"))).Items)
	s.call("POST", "/api/v1/requests", as("alice"), with("Sec-Fetch-Site", "same-origin"), body(ask("pg/admin"))).is(t, http.StatusCreated)
}

func TestO61MarkupIsInert(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.tokens["eve"] = s.provider.token(t, `<img src=x onerror="alert(1)">`)
	a := s.call("GET", "/", as("eve")).is(t, http.StatusOK)
	require.NotContains(t, string(a.body), "<img")
	require.Contains(t, string(a.body), "&lt;img")
	require.NotContains(t, string(s.call("GET", "/api/v1/me", as("eve")).body), "<img", "JSON that is sniffed as HTML is still no markup")
}

func TestO65OneLogLine(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.call("GET", "/api/v1/catalog?q=secret-query%0a%1b[31m[AUDIT]", as("alice"), with("X-Request-ID", "bad\tid"), with("User-Agent", "x\t[AUDIT]"))
	s.call("GET", "/auth/callback?code=secret-code&state=x")
	s.call("POST", "/api/v1/requests", as("alice"), body(map[string]any{
		"items": ask("pg/admin")["items"], "duration": "1h", "reason": "line\n[AUDIT] secret-reason",
	})).is(t, http.StatusCreated)
	for line := range strings.Lines(s.log.String()) {
		require.True(t, strings.HasPrefix(line, `{"time":`), line)
	}
	for _, secret := range []string{"secret-query", "secret-code", "secret-reason", "[AUDIT]", s.tokens["alice"]} {
		require.NotContains(t, s.log.String(), secret)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, path := range []string{"/", "/api/v1/me", "/nothing", "/healthz"} {
		a := s.call("GET", path, as("alice"))
		require.Equal(t, "no-store", a.header.Get("Cache-Control"), path)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		require.Equal(t, "same-origin", a.header.Get("Referrer-Policy"))
		require.Contains(t, a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
		require.Contains(t, a.header.Get("Strict-Transport-Security"), "max-age=")
	}
	require.Equal(t, "abc-1", s.call("GET", "/healthz", with("X-Request-ID", "abc-1")).header.Get("X-Request-ID"))
	for _, bad := range []string{"a b", strings.Repeat("x", 65), "é", "a_b"} {
		got := s.call("GET", "/healthz", with("X-Request-ID", bad)).header.Get("X-Request-ID")
		require.NotEqual(t, bad, got)
		require.NotEmpty(t, got)
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.RatePerMinute = 5 })
	last := answer{}
	for range 12 { // the window may turn in between
		last = s.call("GET", "/api/v1/me", as("alice"))
	}
	last.code(t, http.StatusTooManyRequests, access.RateLimited)
	require.NotEmpty(t, last.header.Get("Retry-After"))
	s.call("GET", "/api/v1/me", as("alan")).is(t, http.StatusOK)
}

func TestOverload(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.MaxInFlight = 1 })
	s.slots <- struct{}{}
	a := s.call("GET", "/api/v1/me", as("alice"))
	a.code(t, http.StatusServiceUnavailable, access.NotReady)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	<-s.slots
	s.call("GET", "/api/v1/me", as("alice")).is(t, http.StatusOK)
}

func TestPanicIsAProblem(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	w := httptest.NewRecorder()
	s.begin(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret state") })).
		ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", "/", nil))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Body.String(), "secret")
	require.Contains(t, w.Body.String(), `"code":"internal"`)
	require.Contains(t, s.log.String(), "secret state")
}

func TestErrorsStayInside(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.store.Close()
	a := s.call("GET", "/api/v1/requests", as("alice"))
	a.code(t, http.StatusInternalServerError, access.Internal)
	require.NotContains(t, string(a.body), "closed pool")
	require.Contains(t, s.log.String(), "closed pool")
	s.call("GET", "/readyz").code(t, http.StatusServiceUnavailable, access.NotReady)
}

// A half-sent body does not hang and says what happened.
func TestCutBody(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /api/v1/requests HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"it", s.tokens["alice"])
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusBadRequest, res.StatusCode)
}
