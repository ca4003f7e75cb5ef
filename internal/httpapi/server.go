package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/authn"
	"github.com/rampkeeper/rampkeeper/internal/broker"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// base is where the API is mounted.
const base = "/api/v1"

// Config is what a Server works with. Zero numbers mean the defaults.
type Config struct {
	Broker *broker.Broker
	Auth   *authn.Authenticator
	Store  *store.Store
	Log    *slog.Logger
	// Now is the clock of log lines, rates and timeouts; nothing is decided
	// by it.
	Now     func() time.Time
	Metrics prometheus.Registerer // nil: measured, shown nowhere
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	// Empty: the client is whoever connects.
	TrustedProxies []string
	Discovery      Discovery
	Version        Version
	// RatePerMinute is how many calls one caller may make (default 3000).
	RatePerMinute int
	// AnonymousRatePerMinute is how many calls one address may make before
	// anybody is known (default 30000).
	AnonymousRatePerMinute int
	// SignInRatePerMinute is how many sign-ins one address may begin, and how
	// many it may come back with (default 60).
	SignInRatePerMinute int
	// MaxInFlight is how many calls are worked on at once (default 256).
	MaxInFlight int
	// MaxWatchers is how many streams and long polls wait at once (default
	// 1000), and MaxWatchersEach how many of them one caller may hold (20).
	MaxWatchers     int
	MaxWatchersEach int
}

// Discovery is what a client needs to sign in.
type Discovery struct {
	Issuer   string
	ClientID string // the public client of the command line
	Scopes   []string
	Audience string
}

// Version says what is running.
type Version struct{ Version, Revision, GoVersion string }

// Server answers HTTP. Its Run feeds the streams; without it, streams and
// long polls only poll.
type Server struct {
	Config
	handler  http.Handler
	spec     *spec
	hub      *hub
	metrics  *metrics
	slots    chan struct{}
	callers  *httprate.RateLimiter
	draining atomic.Bool
}

// NewServer builds the handler of the API, the sign-in and the first page.
func NewServer(cfg Config) (*Server, error) {
	cfg.defaults()
	sp, err := loadSpec()
	if err != nil {
		return nil, fmt.Errorf("loading the API's specification: %w", err)
	}
	s := &Server{
		Config:  cfg,
		spec:    sp,
		hub:     newHub(cfg.MaxWatchers, cfg.MaxWatchersEach),
		metrics: newMetrics(cfg.Metrics),
		slots:   make(chan struct{}, cfg.MaxInFlight),
	}
	s.callers = s.limitCallers()
	if s.handler, err = s.routes(); err != nil {
		return nil, err
	}
	return s, nil
}

func (c *Config) defaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *int
		value int
	}{
		{&c.RatePerMinute, 3000},
		{&c.AnonymousRatePerMinute, 30000},
		{&c.SignInRatePerMinute, 60},
		{&c.MaxInFlight, 256},
		{&c.MaxWatchers, 1000},
		{&c.MaxWatchersEach, 20},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Drain makes /readyz say no, so that no new traffic is sent here, and ends
// the streams. What is being answered goes on.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.hub.close()
}

// routes is every route there is.
func (s *Server) routes() (http.Handler, error) {
	clientIP, err := clientIP(s.TrustedProxies)
	if err != nil {
		return nil, err
	}
	r := chi.NewRouter()
	r.NotFound(s.notFound)
	r.MethodNotAllowed(s.methodNotAllowed)
	r.Use(
		s.begin,     // request id, log line, measure; turns a panic into a problem
		s.headers,   // security headers
		clientIP,    // who connects, for the log and the rates
		escapedPath, // a %2F stays inside its segment
		s.crossOrigin,
		s.perAddress(s.AnonymousRatePerMinute),
		s.limitBody,
	)

	r.Get("/", s.landing)
	r.Get("/style.css", s.style)
	r.Get("/healthz", s.health)
	r.Get("/readyz", s.ready)
	r.Head("/healthz", s.health) // how some load balancers ask
	r.Head("/readyz", s.ready)
	r.Get("/version", s.version)
	r.Get("/openapi.yaml", s.specYAML)
	r.Get("/openapi.json", s.specJSON)
	r.Get("/schemas/contract.v1.json", s.contractSchema)
	r.Get("/problems/{code}", s.problemPage)
	r.Get("/.well-known/rampkeeper", s.discovery)
	r.With(s.perAddress(s.SignInRatePerMinute)).Get("/auth/login", s.Auth.Login)
	r.With(s.perAddress(s.SignInRatePerMinute)).Get("/auth/callback", s.Auth.Callback)
	r.Post("/auth/logout", s.Auth.Logout)

	strict := api.NewStrictHandlerWithOptions(operations{s}, nil, api.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  s.undecodable,
		ResponseErrorHandlerFunc: s.problem,
	})
	// These run before the generated code reads the parameters, so that
	// strangers hear of nothing but that they are, and faults are told in our
	// words.
	checked := r.With(
		s.deadline,     // an answer in time, or none
		s.inFlight,     // 503 when overloaded
		s.authenticate, // 401
		s.perCaller,    // 429
		s.contentType,  // 415
		s.strictQuery,  // only parameters that exist
		s.strictBody,   // one JSON document, said once and plainly
		s.validate,     // against the specification
	)
	api.HandlerWithOptions(strict, api.ChiServerOptions{BaseURL: base, BaseRouter: checked, ErrorHandlerFunc: s.undecodable})
	return r, nil
}

// operations implements the generated interface, one file per noun.
type operations struct{ *Server }

var _ api.StrictServerInterface = operations{}

// clientIP finds the address of the client.
func clientIP(trusted []string) (mw func(http.Handler) http.Handler, err error) {
	if len(trusted) == 0 {
		return middleware.ClientIPFromRemoteAddr, nil
	}
	defer func() {
		if p := recover(); p != nil { // chi's way to say that a prefix is wrong
			err = fmt.Errorf("reading the trusted proxies: %v", p)
		}
	}()
	return middleware.ClientIPFromXFF(trusted...), nil
}

// Timeouts of the server's connections.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	answerTimeout     = 30 * time.Second
	maxHeaderBytes    = 64 << 10
)

// HTTPServer wraps a handler in a server that slow or silent clients cannot
// exhaust. Answers have a deadline of their own, which streams move on.
func HTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
