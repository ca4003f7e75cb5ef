package authn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const (
	discoveryLife   = time.Hour        // after which the document is read again
	providerTimeout = 10 * time.Second // of one call to the provider
	providerBody    = 1 << 20          // largest answer read from it
	retryAfter      = time.Second      // between attempts at a provider that was never heard of
	staleRetry      = time.Minute      // between attempts while what it said before still serves
)

// errProviderDown wraps what a call to the provider failed with, so that the
// caller hears that it is not their fault.
var errProviderDown = errors.New("the identity provider does not answer")

// signingAlgs are the asymmetric algorithms taken. With none of the HS family
// here, a public key can never be used as a shared secret.
var signingAlgs = []string{oidc.RS256, oidc.ES256, oidc.EdDSA, oidc.PS256}

// provider is the OpenID provider as last discovered.
type provider struct {
	config Config
	client *http.Client
	flight singleflight.Group

	mu     sync.Mutex
	last   *discovered
	failed time.Time // when discovery last failed
	err    error     // and with what
}

// discovered is one reading of the discovery document.
type discovered struct {
	at     time.Time
	op     *oidc.Provider
	keys   *keySet
	oauth  oauth2.Config
	extras struct {
		JWKS   string   `json:"jwks_uri"`
		Scopes []string `json:"scopes_supported"`
		// How clients may show their secret, and whether the answer to a login
		// names its issuer.
		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
		NamesIssuer bool     `json:"authorization_response_iss_parameter_supported"`
	}
}

func newProvider(config Config) *provider {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{RootCAs: config.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  providerTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        time.Minute,
		ForceAttemptHTTP2:      true,
	}
	return &provider{config: config, client: &http.Client{
		Transport: bounded{transport},
		Timeout:   providerTimeout,
		// A redirect would let whoever controls one page of the provider's
		// host name the keys.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// bounded cuts answers off at providerBody.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, providerBody), res.Body}
	return res, nil
}

// get gives the provider, discovering it when that was never done or is old.
// Concurrent callers share one attempt, and a failure is remembered for a
// moment so that a provider that is down is not hammered.
func (p *provider) get(ctx context.Context) (*discovered, error) {
	now := p.config.Now()
	p.mu.Lock()
	last, failed, err := p.last, p.failed, p.err
	p.mu.Unlock()
	switch {
	case last != nil && now.Sub(last.at) < discoveryLife:
		return last, nil
	case last != nil && err != nil && now.Sub(failed) < staleRetry:
		return last, nil
	case last == nil && err != nil && now.Sub(failed) < retryAfter:
		return nil, err
	}
	result := p.flight.DoChan("", func() (any, error) {
		// One caller that goes away must not fail the others.
		return p.discover(context.WithoutCancel(ctx))
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("discovering %s: %w: %w", p.config.Issuer, errProviderDown, ctx.Err())
	case r := <-result:
		if r.Err == nil {
			return r.Val.(*discovered), nil
		}
		if last != nil {
			return last, nil
		}
		return nil, r.Err
	}
}

func (p *provider) discover(ctx context.Context) (*discovered, error) {
	d, err := p.read(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.failed = p.config.Now()
		// Cut short: the text may hold the whole answer.
		p.err = fmt.Errorf("discovering %s: %w: %.300s", p.config.Issuer, errProviderDown, err.Error())
		return nil, p.err
	}
	if p.last != nil && p.last.extras.JWKS == d.extras.JWKS {
		d.keys = p.last.keys
	}
	p.last, p.err = d, nil
	return d, nil
}

func (p *provider) read(ctx context.Context) (*discovered, error) {
	op, err := oidc.NewProvider(p.with(ctx), p.config.Issuer) // compares the issuer exactly
	if err != nil {
		return nil, err
	}
	d := &discovered{at: p.config.Now(), op: op}
	if err := op.Claims(&d.extras); err != nil {
		return nil, fmt.Errorf("reading the discovery document: %w", err)
	}
	for name, url := range map[string]string{
		"authorization_endpoint": op.Endpoint().AuthURL,
		"token_endpoint":         op.Endpoint().TokenURL,
		"jwks_uri":               d.extras.JWKS,
	} {
		if err := checkURL(url, strings.HasPrefix(p.config.Issuer, "http://")); err != nil {
			return nil, fmt.Errorf("%s of the discovery document %w", name, err)
		}
	}
	d.keys = newKeySet(d.extras.JWKS, p.client, p.config.Now)
	d.oauth = oauth2.Config{
		ClientID:     p.config.ClientID,
		ClientSecret: p.config.ClientSecret,
		Endpoint:     p.endpoint(op.Endpoint(), d.extras.AuthMethods),
		RedirectURL:  p.config.RedirectURL,
		Scopes:       append([]string{oidc.ScopeOpenID}, p.scopes(d.extras.Scopes)...),
	}
	return d, nil
}

// endpoint settles how the client's secret is sent. Left open, the library
// would try both ways, and show the provider the same code twice.
func (p *provider) endpoint(e oauth2.Endpoint, methods []string) oauth2.Endpoint {
	e.AuthStyle = oauth2.AuthStyleInHeader
	if p.config.ClientSecret == "" || len(methods) > 0 && !slices.Contains(methods, "client_secret_basic") {
		e.AuthStyle = oauth2.AuthStyleInParams
	}
	return e
}

func (p *provider) scopes(offered []string) []string {
	if len(p.config.Scopes) > 0 {
		return p.config.Scopes
	}
	scopes := []string{"profile", "email"}
	if slices.Contains(offered, "groups") {
		scopes = append(scopes, "groups")
	}
	return scopes
}

// with makes the libraries below use the bounded client.
func (p *provider) with(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// verify checks signature, issuer and times of a token, and decodes its
// claims. Whom it is meant for is for the caller to check.
func (p *provider) verify(ctx context.Context, raw string) (claims, *oidc.IDToken, *keySet, error) {
	d, err := p.get(ctx)
	if err != nil {
		return claims{}, nil, nil, err
	}
	if err := checkCompact(raw); err != nil {
		return claims{}, nil, nil, err
	}
	keys := &asked{keySet: d.keys}
	token, err := oidc.NewVerifier(p.config.Issuer, keys, &oidc.Config{
		SkipClientIDCheck:    true, // see above
		SupportedSigningAlgs: signingAlgs,
		Now:                  p.config.Now,
	}).Verify(p.with(ctx), raw)
	switch {
	case errors.Is(keys.err, errProviderDown):
		return claims{}, nil, nil, keys.err
	case err != nil:
		return claims{}, nil, nil, err
	}
	c, err := decode(token, p.config)
	if err != nil {
		return claims{}, nil, nil, err
	}
	return c, token, d.keys, nil
}

// asked keeps the error that the verifier would reduce to its text.
type asked struct {
	*keySet

	err error
}

// VerifySignature implements oidc.KeySet.
func (k *asked) VerifySignature(ctx context.Context, raw string) (payload []byte, err error) {
	payload, k.err = k.keySet.VerifySignature(ctx, raw)
	return payload, k.err
}

// unready tells a client that the provider is at fault, and hides why.
func unready(err error) error {
	return fmt.Errorf("%w (%w)", &access.Error{
		Code:    access.NotReady,
		Message: "The identity provider does not answer, so nobody new can sign in just now. Sessions that are open go on. Try again in a minute.",
	}, err)
}
