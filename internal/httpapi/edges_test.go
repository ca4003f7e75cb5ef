package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// The numbers are those of SECURITY.md.

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
	require.Contains(t, last.problem(t).Detail, " "+last.header.Get("Retry-After")+" seconds")
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

// Sign-ins that wait to come back are few in all, and the oldest go first: one
// address cannot begin so many that others' are lost.
func TestSignInsAreBoundedByAddress(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.TrustedProxies = []string{"127.0.0.0/8"} })
	for _, path := range []string{"/auth/login", "/auth/callback"} {
		from := func(address string) int { return s.call("GET", path, with("X-Forwarded-For", address)).status }
		refused := 0
		for i := range 130 { // the window may turn in between
			if from(fmt.Sprintf("2001:db8::%x", i+1)) == http.StatusTooManyRequests {
				refused++
			}
		}
		require.GreaterOrEqual(t, refused, 10, "a network is one address: %s", path)
		require.NotEqual(t, http.StatusTooManyRequests, from("2001:db8:0:1::1"), path)
	}
}

// Whoever prefers to wait is bounded like everybody else while there is work.
func TestWaitingIsNoWayAround(t *testing.T) {
	t.Parallel()

	t.Run("Slots", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, func(c *Config) { c.MaxInFlight = 1 })
		path := "/api/v1/requests/" + s.submit("alice", "pg/admin").ID.String()
		tag := s.call("GET", path, as("alice")).header.Get("ETag")
		s.slots <- struct{}{}
		for _, path := range []string{"/api/v1/me", "/api/v1/requests", path, "/api/v1/events"} {
			s.call("GET", path, as("alice"), with("Prefer", "wait=1")).code(t, http.StatusServiceUnavailable, access.NotReady)
		}
		<-s.slots

		waited := make(chan answer)
		go func() {
			waited <- s.call("GET", path, as("alice"), with("If-None-Match", tag), with("Prefer", "wait=10"))
		}()
		s.eventually(func() bool { return s.watchers() == 1 && len(s.slots) == 0 }, "a long poll waits without a slot")
		s.slots <- struct{}{}
		time.Sleep(lookEvery + 500*time.Millisecond) // it wants to look, and cannot
		require.Equal(t, 1, s.watchers())
		<-s.slots
		s.eventually(func() bool { return s.call("POST", path+"/withdraw", as("alice")).status == http.StatusOK }, "the slot is free")
		require.Equal(t, http.StatusOK, (<-waited).status)
		s.eventually(func() bool { return len(s.slots) == 0 }, "every slot is given back")
	})
	t.Run("Deadline", func(t *testing.T) {
		t.Parallel()
		var s Server
		router := chi.NewRouter()
		within := map[string]time.Duration{}
		for _, path := range []string{"/me", "/requests", "/requests/{request_id}", "/requests/{request_id}/timeline", "/grants/{grant_id}", "/events"} {
			router.With(s.deadline).Get(base+path, func(_ http.ResponseWriter, r *http.Request) {
				if end, ok := r.Context().Deadline(); ok {
					within[path] = time.Until(end).Round(time.Second)
				}
			})
			r := httptest.NewRequestWithContext(t.Context(), "GET", base+path, nil)
			r.Header.Set("Prefer", "wait=7")
			router.ServeHTTP(httptest.NewRecorder(), r)
		}
		require.Equal(t, map[string]time.Duration{
			"/me": answerTimeout, "/requests": answerTimeout, "/requests/{request_id}/timeline": answerTimeout,
			"/requests/{request_id}": answerTimeout + 7*time.Second, "/grants/{grant_id}": answerTimeout + 7*time.Second,
		}, within)
	})
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

// Everybody with a bad token hears the same; the log says what is bad.
func TestWhyNobodyIsInTheLog(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.call("GET", "/api/v1/me", with("Authorization", "Bearer x.y"))
	a.code(t, http.StatusUnauthorized, access.Unauthenticated)
	require.NotContains(t, string(a.body), "compact")
	require.Contains(t, s.log.String(), "compact form")
	require.Contains(t, a.header.Get("WWW-Authenticate"), "invalid_token")
}
