package authn_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/authn"
	"github.com/rampkeeper/rampkeeper/internal/devmode/idp"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

var people = []idp.Person{
	{Name: "ada", FullName: "Ada Engineer", Groups: []string{"engineers"}},
	{Name: "grace", FullName: "Grace Owner", Groups: []string{"db-owners", "engineers"}},
	{Name: "otto", FullName: "Otto Operator", Groups: []string{"operators"}},
}

var roles = map[access.AppRole][]string{
	access.Auditor:  {"auditors"},
	access.Operator: {"operators", "on-call"},
}

// clock is the time of a test. It stands still unless it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now().UTC().Truncate(time.Second)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// site is a server with the handlers of this package, as httpapi mounts them.
type site struct {
	*httptest.Server

	auth  *authn.Authenticator
	store *store.Store
	clock *clock
}

// serve makes a site on a database of its own.
func serve(t *testing.T, config authn.Config) *site {
	t.Helper()
	return serveOn(t, pgtest.New(t), newClock(), config)
}

// settings fills in what a test leaves out.
func settings(config authn.Config, s *site) authn.Config {
	config.RedirectURL = "https://" + s.Listener.Addr().String() + "/auth/callback"
	if config.ClientID == "" {
		config.ClientID, config.ClientSecret = "rampkeeper", "s3cret"
	}
	if config.Audiences == nil {
		config.Audiences = []string{"rampkeeper", "ramp-cli"}
	}
	config.Roles, config.Now, config.Log = roles, s.clock.now, slog.New(slog.DiscardHandler)
	return config
}

func serveOn(t *testing.T, db *pgtest.DB, c *clock, config authn.Config) *site {
	t.Helper()
	s := &site{Server: httptest.NewUnstartedServer(nil), clock: c, store: db.Store(t, store.WithClock(c.now))}
	t.Cleanup(s.Close)
	start(t, s, config)
	return s
}

// start is apart from serveOn for tests whose provider must know the site's
// address first.
func start(t *testing.T, s *site, config authn.Config) {
	t.Helper()
	auth, err := authn.New(t.Context(), settings(config, s), s.store)
	require.NoError(t, err)
	s.auth = auth
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth/login", auth.Login)
	mux.HandleFunc("GET /auth/callback", auth.Callback)
	mux.HandleFunc("POST /auth/logout", auth.Logout)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		who, err := auth.Authenticate(r)
		if err != nil {
			http.Error(w, string(access.AsError(err).Code), http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(who)
	})
	s.Config.Handler = mux
	s.StartTLS()
}

// withProvider makes a site that signs in at a development provider.
func withProvider(t *testing.T) (*site, *idp.Provider) {
	t.Helper()
	c := newClock()
	s := &site{Server: httptest.NewUnstartedServer(nil), clock: c, store: pgtest.New(t).Store(t, store.WithClock(c.now))}
	t.Cleanup(s.Close)
	provider, issuer := provide(t, s)
	start(t, s, authn.Config{Issuer: issuer})
	return s, provider
}

func provide(t *testing.T, s *site) (*idp.Provider, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	redirect := []string{"https://" + s.Listener.Addr().String() + "/auth/callback"}
	provider, err := idp.New(idp.Config{Dir: t.TempDir(), Issuer: issuer, People: people, Clients: []idp.Client{
		{ID: "rampkeeper", Secret: "s3cret", RedirectURIs: redirect},
		{ID: "rampkeeper-public", RedirectURIs: redirect},
	}})
	require.NoError(t, err)
	server.Config.Handler = provider
	server.Start()
	t.Cleanup(server.Close)
	return provider, issuer
}

// browser is a client with cookies that stops at the site's own redirects.
type browser struct {
	t    *testing.T
	site *site
	*http.Client
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := *s.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{t, s, &client}
}

type answer struct {
	*http.Response

	body string
}

func (b *browser) do(method, target string, form url.Values) answer {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.site.URL + target
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, target, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	req.Header.Set("Accept", "text/html,application/xhtml+xml")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return answer{res, string(raw)}
}

func (b *browser) get(target string) answer { b.t.Helper(); return b.do(http.MethodGet, target, nil) }

// follow goes where a redirect leads, until stop is in the address.
func (b *browser) follow(a answer, stop string) answer {
	b.t.Helper()
	for a.StatusCode == http.StatusFound || a.StatusCode == http.StatusSeeOther {
		next, err := a.Location()
		require.NoError(b.t, err)
		if strings.Contains(next.String(), stop) {
			return a
		}
		a = b.get(next.String())
	}
	return a
}

var requestID = regexp.MustCompile(`name="id" value="([^"]+)"`)

// approach signs in at the development provider, and gives the address that
// it sends the browser back to.
func (b *browser) approach(person, returnTo string) string {
	b.t.Helper()
	page := b.follow(b.get("/auth/login?return_to="+url.QueryEscape(returnTo)), "\x00")
	id := requestID.FindStringSubmatch(page.body)
	require.NotNil(b.t, id, page.body)
	next := *page.Request.URL
	next.RawQuery = ""
	sent := b.do(http.MethodPost, next.String(), url.Values{"id": {id[1]}, "person": {person}})
	back, err := b.follow(sent, "/auth/callback").Location()
	require.NoError(b.t, err)
	return back.String()
}

// signIn does the whole of it.
func (b *browser) signIn(person string) answer {
	b.t.Helper()
	a := b.get(b.approach(person, "/requests?state=pending"))
	require.Equal(b.t, http.StatusSeeOther, a.StatusCode, a.body)
	require.Equal(b.t, "/requests?state=pending", a.Header.Get("Location"))
	return a
}

// me asks who the site takes the browser for.
func (b *browser) me() (access.Caller, access.Code) {
	b.t.Helper()
	return caller(b.t, b.get("/me"))
}

func caller(t *testing.T, a answer) (who access.Caller, code access.Code) {
	t.Helper()
	if a.StatusCode != http.StatusOK {
		return who, access.Code(strings.TrimSpace(a.body))
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &who))
	return who, ""
}

func cookie(a answer, name string) *http.Cookie {
	for _, c := range a.Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// bearer asks who the site takes the holder of a token for.
func (s *site) bearer(t *testing.T, token string) (access.Caller, access.Code) {
	t.Helper()
	who, err := s.authenticate(t, token)
	if err != nil {
		return who, access.AsError(err).Code
	}
	return who, ""
}

func (s *site) authenticate(t *testing.T, token string) (access.Caller, error) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return s.auth.Authenticate(r)
}
