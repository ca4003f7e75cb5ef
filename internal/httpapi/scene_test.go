package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/authn"
	"github.com/rampkeeper/rampkeeper/internal/broker"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

const policy = `
apiVersion: rampkeeper/v1
kind: Role
metadata: {name: pg/readonly}
spec: {title: Read, entitlements: {postgres/database: [{permission: "ro_{{resource.name}}"}]}}
---
apiVersion: rampkeeper/v1
kind: Role
metadata: {name: pg/admin}
spec: {title: Administer, entitlements: {postgres/database: [{permission: "admin_{{resource.name}}"}]}}
---
apiVersion: rampkeeper/v1
kind: Resource
metadata: {name: "postgres/database:prod/orders"}
spec: {title: Orders, connector: target, labels: {env: prod}}
---
apiVersion: rampkeeper/v1
kind: Resource
metadata: {name: "postgres/database:prod/vault"}
spec: {title: Vault, connector: target}
---
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: reads}
spec:
  subjects: {any: [{group: engineers}]}
  permits: [{roles: [pg/readonly], resources: [{type: postgres/database, path: prod/orders}]}]
  time: {duration: {max: 1h}}
---
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: changes}
spec:
  subjects: {any: [{group: engineers}]}
  permits: [{roles: [pg/admin], resources: [{type: postgres/database, path: prod/orders}]}]
  time: {duration: {max: 2h}}
  approvals: {stages: [{name: owner, seats: [{from: {group: owners}}]}]}
---
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: vaults}
spec:
  subjects: {any: [{group: treasurers}]}
  permits: [{roles: [pg/admin], resources: [{type: postgres/database, path: prod/vault}]}]
  time: {duration: {max: 1h}}
`

const orders = "postgres/database:prod/orders"

// scene is the whole server on a database of its own, with its people.
type scene struct {
	*Server
	t        *testing.T
	url      string
	target   *fake.Target
	store    *store.Store
	provider *provider
	router   routers.Router
	log      *logs
	registry *prometheus.Registry
	tokens   map[string]string
}

// people are who is there, and their groups.
var people = map[string][]string{
	"alice": {"engineers"}, "alan": {"engineers"}, "olive": {"owners"}, "oscar": {"owners"}, "mallory": {},
	"carol": {"policy-admins"}, "audrey": {"auditors"}, "oprah": {"operators"},
}

// newScene starts everything but the loops, with the policy in force.
func newScene(t *testing.T, change ...func(*Config)) *scene {
	t.Helper()
	s := &scene{t: t, target: fake.New(), provider: newProvider(t), log: &logs{}, registry: prometheus.NewRegistry(), tokens: map[string]string{}}
	s.store = pgtest.Store(t)
	logger := slog.New(slog.NewJSONHandler(s.log, nil))
	auth, err := authn.New(t.Context(), authn.Config{
		Issuer: s.provider.URL, ClientID: "rampkeeper", Audiences: []string{"rampkeeper"}, RedirectURL: "http://127.0.0.1/auth/callback",
		Roles: map[access.AppRole][]string{
			access.ContractAdmin: {"policy-admins"}, access.Auditor: {"auditors"}, access.Operator: {"operators"},
		},
		Now: time.Now, Log: logger,
	}, s.store)
	require.NoError(t, err)
	cfg := Config{
		Broker: broker.New(broker.Config{
			Store: s.store, Issuer: s.provider.URL, Log: logger, Poll: 100 * time.Millisecond,
			Connectors: connector.NewRegistry(map[string]connector.Entry{"target": {Type: "fake", Connector: s.target}}),
		}),
		Auth: auth, Store: s.store, Log: logger, Now: time.Now, Metrics: s.registry,
		Discovery: Discovery{Issuer: s.provider.URL, ClientID: "ramp", Scopes: []string{"openid"}},
		Version:   Version{Version: "test", Revision: "none", GoVersion: "go"},
	}
	for _, f := range change {
		f(&cfg)
	}
	s.Server, err = NewServer(cfg)
	require.NoError(t, err)
	front := httptest.NewServer(s.Server)
	t.Cleanup(front.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	s.url = front.URL
	s.router = specRouter(t)
	for name, groups := range people {
		s.tokens[name] = s.provider.token(t, name, groups...)
		s.call("GET", "/api/v1/me", as(name)).is(t, http.StatusOK)
	}
	s.call("POST", "/api/v1/contracts/apply", as("carol"), with("If-Match", `"0"`), yaml(policy)).is(t, http.StatusOK)
	return s
}

// run starts the loops and the streams, which end with the test.
func (s *scene) run() {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = s.Broker.Run(ctx, nil) })
	all.Go(func() { _ = s.Run(ctx) })
	s.t.Cleanup(func() { stop(); all.Wait() })
}

func specRouter(t *testing.T) routers.Router {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.YAML)
	require.NoError(t, err)
	router, err := gorillamux.NewRouter(doc)
	require.NoError(t, err)
	return router
}

// logs is what the server logged.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }

func (l *logs) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// part is a part of a request.
type part func(*scene, *http.Request)

func as(name string) part {
	return func(s *scene, r *http.Request) { r.Header.Set("Authorization", "Bearer "+s.tokens[name]) }
}

func with(header, value string) part {
	return func(_ *scene, r *http.Request) { r.Header.Set(header, value) }
}

func raw(contentType, body string) part {
	return func(_ *scene, r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Type", contentType)
	}
}

func yaml(body string) part { return raw(yamlType, body) }

func body(v any) part {
	if s, ok := v.(string); ok {
		return raw(jsonType, s)
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw(jsonType, string(b))
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends a request and holds the answer against the specification.
func (s *scene) call(method, path string, parts ...part) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	require.NoError(s.t, err)
	for _, p := range parts {
		p(s, r)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(s.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	a := answer{res.StatusCode, res.Header, b}
	s.conforms(r, a)
	return a
}

// conforms fails the test if the answer is not one that the specification
// describes.
func (s *scene) conforms(r *http.Request, a answer) {
	s.t.Helper()
	if a.status >= 400 {
		require.Equal(s.t, "application/problem+json", a.header.Get("Content-Type"), "%s %s: %s", r.Method, r.URL, a.body)
		p := a.problem(s.t)
		require.Equal(s.t, a.status, p.Status)
		require.True(s.t, p.Code.Valid(), p.Code)
		require.Equal(s.t, a.header.Get("X-Request-ID"), p.RequestID)
		require.NotContains(s.t, string(a.body), "sql", "%s", a.body)
	}
	sent := r.Clone(context.Background())
	sent.URL.Scheme, sent.URL.Host, sent.Host = "", "", ""
	route, params, err := s.router.FindRoute(sent)
	if err != nil {
		return // not of the API
	}
	require.NoError(s.t, openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: sent, PathParams: params, Route: route},
		Status:                 a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)),
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: a.header.Get("Content-Type") == ndjsonType, // not JSON as a whole
		},
	}), "%s %s answered %s", r.Method, r.URL, a.body)
}

func (a answer) is(t *testing.T, status int) answer {
	t.Helper()
	require.Equal(t, status, a.status, "%s", a.body)
	return a
}

func (a answer) problem(t *testing.T) api.Problem {
	t.Helper()
	return read[api.Problem](t, a)
}

// code checks for a problem of the code.
func (a answer) code(t *testing.T, status int, code access.Code) api.Problem {
	t.Helper()
	a.is(t, status)
	p := a.problem(t)
	require.Equal(t, string(code), string(p.Code), "%s", a.body)
	return p
}

// read decodes an answer, and knows every member of it.
func read[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&v), "%s", a.body)
	return v
}

// ask is for half an hour.
func ask(role string) map[string]any {
	return map[string]any{
		"items": []any{map[string]any{"role": role, "resource": orders}}, "duration": "30m", "reason": "ticket 42 is on fire",
	}
}

// submit asks for something that is not refused.
func (s *scene) submit(name, role string) api.Request {
	s.t.Helper()
	return read[api.Request](s.t, s.call("POST", "/api/v1/requests", as(name), body(ask(role))).is(s.t, http.StatusCreated))
}

// eventually polls until it holds.
func (s *scene) eventually(holds func() bool, what string) {
	s.t.Helper()
	require.Eventually(s.t, holds, 20*time.Second, 50*time.Millisecond, what)
}
