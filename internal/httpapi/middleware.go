package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// begin gives the request its id, writes its log line, measures it and turns
// a panic into a problem.
func (s *Server) begin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.Now()
		c := &call{requestID: r.Header.Get("X-Request-ID")}
		if !requestIDPattern.MatchString(c.requestID) {
			c.requestID = uuid.NewString()
		}
		w.Header().Set("X-Request-ID", c.requestID)
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		c.request, c.writer = r, w
		answer := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		rec := &recorder{WrapResponseWriter: answer, call: c}
		_ = s.extend(r.Context(), answerTimeout+5*time.Second) // without it the answer merely has no deadline
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a panic's value, compared as net/http does
				c.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				if !c.wrote {
					s.problem(rec, r, c.err)
					p = nil
				}
			}
			s.finish(rec, r, c, start)
			if p != nil {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// recorder notes that the answer has begun.
type recorder struct {
	middleware.WrapResponseWriter
	call *call
}

// WriteHeader notes that the status is out.
func (r *recorder) WriteHeader(status int) {
	r.call.wrote = true
	r.WrapResponseWriter.WriteHeader(status)
}

// Write notes that the status is out.
func (r *recorder) Write(b []byte) (int, error) {
	r.call.wrote = true
	return r.WrapResponseWriter.Write(b)
}

// Flush sends what was written so far.
func (r *recorder) Flush() { _ = http.NewResponseController(r.WrapResponseWriter.Unwrap()).Flush() }

// finish logs and measures. The log has no bodies and no query strings: a
// sign-in carries its code there.
func (s *Server) finish(w *recorder, r *http.Request, c *call, start time.Time) {
	route := chi.RouteContext(r.Context()).RoutePattern()
	if route == "" {
		route = "unmatched"
	}
	status := w.Status()
	if status == 0 {
		status = http.StatusOK
	}
	took := s.Now().Sub(start)
	s.metrics.observe(r.Method, route, status, took)
	attrs := []slog.Attr{
		slog.String("request_id", c.requestID),
		slog.String("method", methodLabel(r.Method)),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Int64("duration_ms", took.Milliseconds()),
		slog.String("client_ip", middleware.GetClientIP(c.request.Context())),
		slog.String("principal", string(c.caller.ID)),
	}
	if c.refused != nil {
		attrs = append(attrs, slog.Any("refused", c.refused))
	}
	level := slog.LevelInfo
	if c.err != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.Any("err", c.err))
	}
	s.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// headers tells browsers what this origin never does.
func (s *Server) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		callOf(r.Context()).request = r
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'")
		h.Set("Strict-Transport-Security", "max-age=31536000")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// escapedPath makes the router match the path as it was sent, so that an
// escaped slash stays inside its segment and nothing is decoded twice.
func escapedPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		callOf(r.Context()).request = r // with the client's address
		r.URL.RawPath = r.URL.EscapedPath()
		next.ServeHTTP(w, r)
	})
}

// crossOrigin refuses state-changing calls that another site makes a browser
// send.
func (s *Server) crossOrigin(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.problem(w, r, errCrossOrigin) }))
	return guard.Handler(next)
}

var errCrossOrigin = &access.Error{Code: access.CrossOrigin, Message: "Another site made your browser send this, so it was refused. Open Rampkeeper itself and try there."}

// deadline bounds how long an answer may take, beside the waiting of a long
// poll. Streams bound themselves.
func (s *Server) deadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		within := answerTimeout
		switch chi.RouteContext(r.Context()).RoutePattern() {
		case base + "/events":
			next.ServeHTTP(w, r)
			return
		case base + "/requests/{request_id}", base + "/grants/{grant_id}":
			within += waitOf(r.Header.Get("Prefer"))
		}
		ctx, cancel := context.WithTimeout(r.Context(), within)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// authenticate finds out who is calling.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := s.Auth.Authenticate(r)
		if err != nil {
			s.problem(w, r, err)
			return
		}
		callOf(r.Context()).caller = caller
		next.ServeHTTP(w, r)
	})
}
