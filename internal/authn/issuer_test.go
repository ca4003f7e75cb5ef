package authn_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// issuer is a provider of the tests' own, which signs whatever it is told.
type issuer struct {
	*httptest.Server

	mu        sync.Mutex
	keys      jose.JSONWebKeySet
	discovery map[string]any
	fetched   atomic.Int64 // times that the keys were read
}

// theKey is shared: making one takes long.
var theKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		_ = json.NewEncoder(w).Encode(i.discovery)
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		i.fetched.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		_ = json.NewEncoder(w).Encode(i.keys)
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	i.discovery = map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys",
		"authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
	}
	i.publish(jose.JSONWebKey{Key: theKey().Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"})
	return i
}

// handle adds an endpoint.
func (i *issuer) handle(pattern string, f http.HandlerFunc) {
	i.Config.Handler.(*http.ServeMux).HandleFunc(pattern, f)
}

func (i *issuer) publish(keys ...jose.JSONWebKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys.Keys = keys
}

// claims are those of a good token of ada's, with some changed; nil leaves
// one out.
func (i *issuer) claims(now time.Time, changed map[string]any) map[string]any {
	c := map[string]any{
		"iss": i.URL, "sub": "ada", "aud": "rampkeeper", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"name": "Ada Engineer", "preferred_username": "ada", "email": "ada@example.com", "email_verified": true,
		"groups": []string{"engineers"},
	}
	maps.Copy(c, changed)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func (i *issuer) ada(authTime time.Time) access.Subject {
	return access.Subject{
		ID: access.PrincipalID(i.URL + "|ada"), Name: "Ada Engineer", Email: "ada@example.com", Username: "ada",
		Groups: []string{"engineers"}, GroupsKnown: true, AuthTime: authTime.UTC().Truncate(time.Second),
	}
}

// sign makes a JWT.
func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims any, header map[jose.HeaderKey]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithHeader("typ", "JWT")
	for k, v := range header {
		options = options.WithHeader(k, v)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, options)
	require.NoError(t, err)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	jws, err := signer.Sign(payload)
	require.NoError(t, err)
	token, err := jws.CompactSerialize()
	require.NoError(t, err)
	return token
}

// token makes a good one of ada's, but for what is changed.
func (i *issuer) token(t *testing.T, now time.Time, changed map[string]any) string {
	t.Helper()
	return sign(t, jose.RS256, theKey(), "k1", i.claims(now, changed), nil)
}
