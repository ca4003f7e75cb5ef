package authn_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/authn"
)

func TestGoodBearer(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	now := s.clock.now()

	for name, token := range map[string]string{
		"Plain":        i.token(t, now, nil),
		"OneOfSeveral": i.token(t, now, map[string]any{"aud": []string{"something", "ramp-cli"}}),
		"AccessToken":  sign(t, jose.RS256, theKey(), "k1", i.claims(now, nil), map[jose.HeaderKey]any{"typ": "at+jwt"}),
		"NoKeyID":      sign(t, jose.RS256, theKey(), "", i.claims(now, nil), nil),
		"PSS":          "", // below
	} {
		if name == "PSS" {
			i.publish(jose.JSONWebKey{Key: theKey().Public(), KeyID: "k1", Use: "sig"})
			s.clock.pass(10 * time.Minute)
			token = sign(t, jose.PS256, theKey(), "k1", i.claims(now, nil), nil)
		}
		who, code := s.bearer(t, token)
		require.Empty(t, code, name)
		require.Equal(t, access.Caller{Subject: i.ada(now)}, who, name)
	}

	signedIn := now.Add(-2 * time.Hour)
	who, code := s.bearer(t, i.token(t, now, map[string]any{"auth_time": signedIn.Unix(), "groups": []string{"on-call", "engineers", "on-call"}}))
	require.Empty(t, code)
	want := i.ada(signedIn)
	want.Groups = []string{"engineers", "on-call"}
	require.Equal(t, access.Caller{Subject: want, Roles: []access.AppRole{access.Operator}}, who)
}

func TestOtherKindsOfKeys(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	edwards, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	i.publish(
		jose.JSONWebKey{Key: curve.Public(), KeyID: "ec", Use: "sig"},
		jose.JSONWebKey{Key: edwards, KeyID: "ed", Use: "sig"},
		jose.JSONWebKey{Key: theKey().Public(), KeyID: "encryption", Use: "enc"},
		jose.JSONWebKey{Key: theKey().Public(), KeyID: "rsa", Use: "sig", Algorithm: "RS256"},
	)
	now := s.clock.now()

	for _, tt := range []struct {
		alg  jose.SignatureAlgorithm
		key  any
		kid  string
		want access.Code
	}{
		{jose.ES256, curve, "ec", ""},
		{jose.EdDSA, private, "ed", ""},
		{jose.RS256, theKey(), "encryption", access.Unauthenticated},
		{jose.RS256, theKey(), "ec", access.Unauthenticated},
		{jose.RS512, theKey(), "rsa", access.Unauthenticated},
		{jose.RS256, theKey(), "rsa", ""},
		{jose.PS256, theKey(), "rsa", access.Unauthenticated}, // the key is for RS256
	} {
		_, code := s.bearer(t, sign(t, tt.alg, tt.key, tt.kid, i.claims(now, nil), nil))
		require.Equal(t, tt.want, code, "%s by %s", tt.alg, tt.kid)
	}
}

// TestO18BadTokens is the table of everything that a bearer token may have
// wrong. Each is answered alike.
func TestO18BadTokens(t *testing.T) {
	t.Parallel()
	i, other := newIssuer(t), newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	now := s.clock.now()
	good := i.token(t, now, nil)
	who, code := s.bearer(t, good)
	require.Empty(t, code)
	require.Equal(t, access.Caller{Subject: i.ada(now)}, who)

	part := strings.Split(good, ".")
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&theKey().PublicKey)})
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	with := func(name string, v any) string { return i.token(t, now, map[string]any{name: v}) }

	for name, token := range map[string]string{
		"Nothing":             "",
		"OneLetter":           "x",
		"NotAToken":           "not.a.token",
		"BrokerTokenShape":    "rk_" + strings.Repeat("a", 40),
		"Huge":                good + strings.Repeat("a", 70_000),
		"AlgNone":             encode(`{"alg":"none","typ":"JWT"}`) + "." + part[1] + ".",
		"AlgNoneWithSign":     encode(`{"alg":"none","typ":"JWT"}`) + "." + part[1] + "." + part[2],
		"AlgNoneOddCase":      encode(`{"alg":"nOnE"}`) + "." + part[1] + "." + part[2],
		"AlgMissing":          encode(`{"kid":"k1"}`) + "." + part[1] + "." + part[2],
		"HS256ByPublicKey":    sign(t, jose.HS256, public, "k1", i.claims(now, nil), nil),
		"HS256ByPublicDER":    sign(t, jose.HS256, x509.MarshalPKCS1PublicKey(&theKey().PublicKey), "k1", i.claims(now, nil), nil),
		"KeyInHeader":         sign(t, jose.ES256, stranger, "k1", i.claims(now, nil), map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: stranger.Public()}}),
		"UnknownKey":          sign(t, jose.ES256, stranger, "k9", i.claims(now, nil), nil),
		"OtherKeySameID":      sign(t, jose.ES256, stranger, "k1", i.claims(now, nil), nil),
		"LogoutToken":         sign(t, jose.RS256, theKey(), "k1", i.claims(now, nil), map[jose.HeaderKey]any{"typ": "logout+jwt"}),
		"CriticalHeader":      sign(t, jose.RS256, theKey(), "k1", i.claims(now, nil), map[jose.HeaderKey]any{"crit": []string{"exp"}, "exp": 1}),
		"Events":              with("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}),
		"OtherIssuer":         other.token(t, now, nil),
		"OtherIssuerOurKey":   with("iss", other.URL),
		"IssuerWithSlash":     with("iss", i.URL+"/"),
		"IssuerMissing":       with("iss", nil),
		"IssuerList":          with("iss", []string{i.URL}),
		"AudienceOther":       with("aud", "another-client"),
		"AudienceStaging":     with("aud", "rampkeeper-staging"),
		"AudienceCase":        with("aud", "RAMPKEEPER"),
		"AudiencesWithoutUs":  with("aud", []string{"a", "b"}),
		"AudienceMissing":     with("aud", nil),
		"AudienceEmpty":       with("aud", ""),
		"AudienceNone":        with("aud", []string{}),
		"AudienceNumber":      with("aud", 7),
		"AudienceMixed":       with("aud", []any{"rampkeeper", 7}),
		"AudienceNested":      with("aud", []any{[]string{"rampkeeper"}}),
		"AudienceObject":      with("aud", map[string]any{"rampkeeper": true}),
		"Expired":             with("exp", now.Unix()-1),
		"ExpiresNow":          with("exp", now.Unix()),
		"ExpiryMissing":       with("exp", nil),
		"ExpiryText":          with("exp", fmt.Sprint(now.Add(time.Hour).Unix())),
		"ExpiryNegative":      with("exp", -1),
		"ExpiryInMillis":      with("exp", now.Add(time.Hour).UnixMilli()),
		"NotBeforeFuture":     with("nbf", now.Add(2*time.Minute).Unix()),
		"NotBeforeText":       with("nbf", "yesterday"),
		"IssuedInFuture":      with("iat", now.Add(2*time.Minute).Unix()),
		"IssuedMissing":       with("iat", nil),
		"AuthTimeFuture":      with("auth_time", now.Add(2*time.Minute).Unix()),
		"AuthTimeText":        with("auth_time", "now"),
		"SubjectMissing":      with("sub", nil),
		"SubjectEmpty":        with("sub", ""),
		"SubjectNumber":       with("sub", 42),
		"SubjectList":         with("sub", []string{"ada"}),
		"SubjectControl":      with("sub", "ada\u0000"),
		"SubjectHidden":       with("sub", "ada\u202e"),
		"SubjectLong":         with("sub", strings.Repeat("a", 300)),
		"SubjectInOddCase":    i.token(t, now, map[string]any{"sub": nil, "SUB": "grace"}),
		"AuthorizedPartyOdd":  with("azp", 1),
		"ClaimNamesOdd":       with("_claim_names", 1),
		"Encrypted":           part[0] + "." + part[1] + "." + part[2] + "." + part[2] + "." + part[2],
		"NotCompact":          `{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`,
		"PayloadOfAnother":    part[0] + "." + strings.Split(with("sub", "grace"), ".")[1] + "." + part[2],
		"PayloadNoObject":     sign(t, jose.RS256, theKey(), "k1", []string{"ada"}, nil),
		"O27Truncated":        good[:len(good)-1],
		"O27Longer":           good + "A",
		"O27Padded":           good + "==",
		"O27NewLine":          good + "\n",
		"O27SignatureMissing": part[0] + "." + part[1] + ".",
		"O27SignatureCut":     part[0] + "." + part[1],
		"O27LastBits":         part[0] + "." + part[1] + "." + otherSpelling(t, part[2]),
		"O27SwappedCase":      part[0] + "." + part[1] + "." + swapCase(part[2]),
		"O27HeaderCase":       swapCase(part[0]) + "." + part[1] + "." + part[2],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.authenticate(t, token)
			require.Equal(t, &access.Error{
				Code:    access.Unauthenticated,
				Message: "The bearer token is not valid here, or no longer. Sign in again, for example with ramp login.",
			}, access.AsError(err))
		})
	}
}

// otherSpelling changes the last character of base64 in the bits that carry
// no data.
func otherSpelling(t *testing.T, s string) string {
	t.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	want, err := base64.RawURLEncoding.DecodeString(s)
	require.NoError(t, err)
	for _, last := range alphabet {
		other := s[:len(s)-1] + string(last)
		if got, err := base64.RawURLEncoding.DecodeString(other); err == nil && other != s && string(got) == string(want) {
			return other
		}
	}
	t.Fatal("the signature has no spare bits")
	return ""
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 32
		case r >= 'A' && r <= 'Z':
			return r + 32
		}
		return r
	}, s)
}

func TestAuthorizationHeaders(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	good := i.token(t, s.clock.now(), nil)
	for name, tt := range map[string]struct {
		headers []string
		want    access.Code
	}{
		"LowerCase": {[]string{"bearer " + good}, ""},
		"Basic":     {[]string{"Basic YTpi"}, access.Unauthenticated},
		"NoScheme":  {[]string{good}, access.Unauthenticated},
		"Empty":     {[]string{""}, access.Unauthenticated},
		"Two":       {[]string{"Bearer " + good, "Bearer " + good}, access.Unauthenticated},
		"TwoInOne":  {[]string{"Bearer " + good + ", Bearer " + good}, access.Unauthenticated},
		"None":      {nil, access.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(t)
			for _, h := range tt.headers {
				r.Header.Add("Authorization", h)
			}
			_, err := s.auth.Authenticate(r)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, tt.want, access.AsError(err).Code)
		})
	}
}

func TestBearersAreRememberedUntilTheyEnd(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	token := i.token(t, s.clock.now(), map[string]any{"exp": s.clock.now().Add(time.Minute).Unix()})
	_, code := s.bearer(t, token)
	require.Empty(t, code)
	i.Close()

	s.clock.pass(time.Minute - time.Second)
	_, code = s.bearer(t, token)
	require.Empty(t, code)
	s.clock.pass(time.Second)
	_, code = s.bearer(t, token)
	require.Equal(t, access.Unauthenticated, code)
}

func TestO26KeysRotate(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	before := i.token(t, s.clock.now(), nil)
	_, code := s.bearer(t, before)
	require.Empty(t, code)
	require.EqualValues(t, 1, i.fetched.Load())

	next, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	i.publish(jose.JSONWebKey{Key: next.Public(), KeyID: "k2", Use: "sig"})
	s.clock.pass(10 * time.Second)
	var waiting sync.WaitGroup
	codes := make([]access.Code, 50)
	for n := range codes {
		token := sign(t, jose.ES256, next, "k2", i.claims(s.clock.now(), map[string]any{"jti": fmt.Sprint(n)}), nil)
		waiting.Go(func() { _, codes[n] = s.bearer(t, token) })
	}
	waiting.Wait()
	require.Equal(t, make([]access.Code, 50), codes)
	require.EqualValues(t, 2, i.fetched.Load(), "one reading serves all")

	_, code = s.bearer(t, before)
	require.Equal(t, access.Unauthenticated, code, "also those seen before end with their key")

	for n := range 50 {
		_, code = s.bearer(t, sign(t, jose.ES256, next, fmt.Sprint("made-up-", n), i.claims(s.clock.now(), nil), nil))
		require.Equal(t, access.Unauthenticated, code)
	}
	require.LessOrEqual(t, i.fetched.Load(), int64(3), "strangers cannot make us hammer the provider")
}

func TestKeyTakenAwayStopsWorking(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := serve(t, authn.Config{Issuer: i.URL})
	token := i.token(t, s.clock.now(), nil)
	_, code := s.bearer(t, token)
	require.Empty(t, code)

	i.publish()
	s.clock.pass(10 * time.Minute)

	_, code = s.bearer(t, token)
	require.Equal(t, access.Unauthenticated, code)
}
