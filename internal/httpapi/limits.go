package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// How large bodies may be. A whole policy is larger than anything else.
const (
	bodyLimit   = 1 << 20
	policyLimit = 8 << 20
)

// limitBody bounds bodies before anything reads them.
func (s *Server) limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit := int64(bodyLimit)
		if strings.HasPrefix(r.URL.Path, base+"/contracts/") {
			limit = policyLimit
		}
		if r.ContentLength > limit {
			s.problem(w, r, bodyTooLarge)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		next.ServeHTTP(w, r)
	})
}

// perAddress bounds what one address may send, whoever it is. Networks are
// counted as a provider hands them out: an IPv6 client has a whole /64.
// Each use counts for itself.
func (s *Server) perAddress(perMinute int) func(http.Handler) http.Handler {
	return httprate.LimitBy(perMinute, time.Minute, func(r *http.Request) (string, error) {
		return httprate.CanonicalizeIP(middleware.GetClientIP(r.Context())), nil
	}, s.rateOptions()...)
}

// limitCallers makes the one counter that all operations share.
func (s *Server) limitCallers() *httprate.RateLimiter {
	return httprate.NewRateLimiter(s.RatePerMinute, time.Minute, append(s.rateOptions(),
		httprate.WithKeyFuncs(func(r *http.Request) (string, error) {
			return string(callOf(r.Context()).caller.ID), nil
		}))...)
}

func (s *Server) rateOptions() []httprate.Option {
	return []httprate.Option{
		httprate.WithLimitHandler(func(w http.ResponseWriter, r *http.Request) {
			s.problem(w, r, &access.Error{Code: access.RateLimited, Message: "Too many calls. Wait " + w.Header().Get("Retry-After") + " seconds."})
		}),
		httprate.WithErrorHandler(s.problem),
		httprate.WithResponseHeaders(httprate.ResponseHeaders{RetryAfter: "Retry-After"}),
	}
}

// perCaller bounds what one caller may send, from wherever.
func (s *Server) perCaller(next http.Handler) http.Handler { return s.callers.Handler(next) }

// inFlight bounds how much is worked on at once. Streams and long polls give
// their slot back while they wait, when the hub counts them.
func (s *Server) inFlight(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.slots <- struct{}{}:
			callOf(r.Context()).working = true
			defer s.leave(r.Context())
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			s.problem(w, r, &access.Error{Code: access.NotReady, Message: "More is being asked than can be answered. Try again in a moment."})
		}
	})
}

// leave gives the call's slot back, if it holds one.
func (s *Server) leave(ctx context.Context) {
	if c := callOf(ctx); c.working {
		c.working = false
		<-s.slots
	}
}

// enter takes a slot again after a wait.
func (s *Server) enter(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		callOf(ctx).working = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
