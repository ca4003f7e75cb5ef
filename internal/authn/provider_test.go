package authn_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/authn"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// exchanged is what came to the token endpoint.
type exchanged struct {
	user, password string
	basic          bool
	form           url.Values
}

func TestSecretIsSentOnceTheWayTheProviderTakesIt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		methods []string
		config  authn.Config
		want    exchanged
	}{
		"Unsaid": {nil, authn.Config{}, exchanged{user: "rampkeeper", password: "s3cret", basic: true}},
		"Basic":  {[]string{"client_secret_post", "client_secret_basic"}, authn.Config{}, exchanged{user: "rampkeeper", password: "s3cret", basic: true}},
		"Post": {[]string{"client_secret_post"}, authn.Config{}, exchanged{form: url.Values{
			"client_id": {"rampkeeper"}, "client_secret": {"s3cret"},
		}}},
		"Public": {[]string{"none", "client_secret_basic"}, authn.Config{ClientID: "rampkeeper"}, exchanged{form: url.Values{
			"client_id": {"rampkeeper"},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			if tt.methods != nil {
				i.discovery["token_endpoint_auth_methods_supported"] = tt.methods
			}
			var got []exchanged
			i.handle("POST /token", func(w http.ResponseWriter, r *http.Request) {
				var x exchanged
				x.user, x.password, x.basic = r.BasicAuth()
				_ = r.ParseForm()
				for _, name := range []string{"client_id", "client_secret"} {
					if r.PostForm.Has(name) {
						if x.form == nil {
							x.form = url.Values{}
						}
						x.form.Set(name, r.PostForm.Get(name))
					}
				}
				got = append(got, x)
				http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			})
			tt.config.Issuer = i.URL
			s := serve(t, tt.config)
			b := s.browser(t)
			to, err := b.get("/auth/login").Location()
			require.NoError(t, err)

			refused(t, b.get("/auth/callback?code=c&state="+to.Query().Get("state")), http.StatusUnauthorized, unverified)

			require.Equal(t, []exchanged{tt.want}, got)
		})
	}
}

func TestAnswerMustNameItsIssuerIfTheProviderSaysSo(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.discovery["authorization_response_iss_parameter_supported"] = true
	b := serve(t, authn.Config{Issuer: i.URL}).browser(t)
	to, err := b.get("/auth/login").Location()
	require.NoError(t, err)
	refused(t, b.get("/auth/callback?code=c&state="+to.Query().Get("state")), http.StatusUnauthorized, unverified)
}

// TestUserinfo: claims that are not in the ID token come from the provider's
// userinfo endpoint, if it speaks of the same person.
func TestUserinfo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		info   map[string]any
		status int
		want   []string
		known  bool
	}{
		"Groups":        {map[string]any{"sub": "ada", "groups": []string{"operators"}}, http.StatusOK, []string{"operators"}, true},
		"None":          {map[string]any{"sub": "ada"}, http.StatusOK, nil, false},
		"Odd":           {map[string]any{"sub": "ada", "groups": "operators"}, http.StatusOK, nil, false},
		"SomebodyElse":  {map[string]any{"sub": "grace", "groups": []string{"operators"}}, http.StatusOK, nil, false},
		"OddCase":       {map[string]any{"Sub": "ada", "sub": "grace", "groups": []string{"operators"}}, http.StatusOK, nil, false},
		"NobodyInParts": {map[string]any{"SUB": "ada", "groups": []string{"operators"}}, http.StatusOK, nil, false},
		"Down":          {nil, http.StatusInternalServerError, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.discovery["userinfo_endpoint"] = i.URL + "/userinfo"
			s := serve(t, authn.Config{Issuer: i.URL})
			b := s.browser(t)
			to, err := b.get("/auth/login").Location()
			require.NoError(t, err)
			token := i.token(t, s.clock.now(), map[string]any{"groups": nil, "nonce": to.Query().Get("nonce")})
			i.handle("POST /token", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "opaque", "token_type": "Bearer", "id_token": token})
			})
			i.handle("GET /userinfo", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tt.status)
				_ = json.NewEncoder(w).Encode(tt.info)
			})

			a := b.get("/auth/callback?code=c&state=" + to.Query().Get("state"))
			require.Equal(t, http.StatusSeeOther, a.StatusCode, a.body)

			who, code := b.me()
			require.Empty(t, code)
			require.Equal(t, tt.want, who.Groups)
			require.Equal(t, tt.known, who.GroupsKnown)
			require.Equal(t, "ada", who.Username)
		})
	}
}

func TestWeakAndSharedKeysAreNotUsed(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	shared := []byte("0123456789abcdef0123456789abcdef")
	i.publish(
		jose.JSONWebKey{Key: shared, KeyID: "oct", Use: "sig"},
		jose.JSONWebKey{Key: theKey(), KeyID: "private", Use: "sig"},
	)
	for _, token := range []string{
		sign(t, jose.HS256, shared, "oct", i.claims(s.clock.now(), nil), nil),
		sign(t, jose.RS256, theKey(), "private", i.claims(s.clock.now(), nil), nil),
	} {
		_, code := s.bearer(t, token)
		require.Equal(t, access.Unauthenticated, code)
	}
}

// TestPendingLoginsAreBounded: anybody can begin a login, so beginning them
// must not fill the database.
func TestPendingLoginsAreBounded(t *testing.T) {
	t.Parallel()
	db, c := sharedDB(t)
	i := newIssuer(t)
	s := serveOn(t, db, c, authn.Config{Issuer: i.URL})
	admin := db.Admin(t)
	_, err := admin.Exec(t.Context(), `
		insert into core.login (state_hash, nonce, verifier, return_to, created_at, expires_at)
		select sha256(n::text::bytea), 'n', 'v', '/', $1::timestamptz - interval '1 second', $1::timestamptz + interval '10 minutes'
		from generate_series(1, 10000) n`, c.now())
	require.NoError(t, err)

	b := s.browser(t)
	to, err := b.get("/auth/login").Location()
	require.NoError(t, err)

	var pending int
	require.NoError(t, admin.QueryRow(t.Context(), `select count(*) from core.login`).Scan(&pending))
	require.Equal(t, 10_000, pending)
	require.NoError(t, s.store.InTx(t.Context(), func(tx *store.Tx) error {
		return tx.InsertLogin(t.Context(), store.Login{StateHash: make([]byte, 32), Nonce: "n", Verifier: "v", ReturnTo: "/", ExpiresAt: tx.Now.Add(time.Second)})
	}), "others can begin, too")
	a := b.get("/auth/callback?error=x&state=" + to.Query().Get("state"))
	require.Equal(t, http.StatusForbidden, a.StatusCode, "ours is still there")
}

func TestPublicClientOfTheDevelopmentProvider(t *testing.T) {
	t.Parallel()
	db, c := sharedDB(t)
	s := &site{Server: httptest.NewUnstartedServer(nil), clock: c, store: db.Store(t, store.WithClock(c.now))}
	t.Cleanup(s.Close)
	_, issuer := provide(t, s)
	start(t, s, authn.Config{Issuer: issuer, ClientID: "rampkeeper-public"})
	b := s.browser(t)
	b.signIn("grace")
	who, code := b.me()
	require.Empty(t, code)
	require.Equal(t, []string{"db-owners", "engineers"}, who.Groups)
}
