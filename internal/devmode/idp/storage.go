package idp

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

var errUnknown = errors.New("unknown or used already")

// storage is what the protocol library asks for everything that is not
// protocol. All but the keys is in memory.
type storage struct {
	issuer  string
	clients []Client
	keys    *keyring

	mu       sync.Mutex
	people   []Person
	faults   Faults
	requests map[string]*authRequest // by id
	codes    map[string]string       // code to id
	access   map[string]accessToken  // by id
	refresh  map[string]*refreshToken
	devices  map[string]*device // by device code
}

func newStorage(config Config, keys *keyring) *storage {
	return &storage{
		issuer: config.Issuer, clients: config.Clients, keys: keys, people: slices.Clone(config.People),
		requests: map[string]*authRequest{}, codes: map[string]string{},
		access: map[string]accessToken{}, refresh: map[string]*refreshToken{}, devices: map[string]*device{},
	}
}

func (s *storage) broken() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

func (s *storage) person(name string) (Person, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(s.people, name)
}

// authRequest is a sign-in by authorization code.
type authRequest struct {
	oidc.AuthRequest

	id       string
	audience []string
	person   string
	authTime time.Time
	begun    time.Time
}

func (r *authRequest) GetID() string                      { return r.id }
func (r *authRequest) GetACR() string                     { return "" }
func (r *authRequest) GetAMR() []string                   { return nil }
func (r *authRequest) GetAudience() []string              { return r.audience }
func (r *authRequest) GetAuthTime() time.Time             { return r.authTime }
func (r *authRequest) GetClientID() string                { return r.ClientID }
func (r *authRequest) GetNonce() string                   { return r.Nonce }
func (r *authRequest) GetRedirectURI() string             { return r.RedirectURI }
func (r *authRequest) GetScopes() []string                { return r.Scopes }
func (r *authRequest) GetState() string                   { return r.State }
func (r *authRequest) GetSubject() string                 { return r.person }
func (r *authRequest) Done() bool                         { return r.person != "" }
func (r *authRequest) GetResponseType() oidc.ResponseType { return r.ResponseType }
func (r *authRequest) GetResponseMode() oidc.ResponseMode { return r.ResponseMode }
func (r *authRequest) GetCodeChallenge() *oidc.CodeChallenge {
	return &oidc.CodeChallenge{Challenge: r.CodeChallenge, Method: r.CodeChallengeMethod}
}

// audience makes tokens good for the API as well as for the client.
func audience(client string, faults Faults) []string {
	switch {
	case faults.Audience != "":
		return []string{faults.Audience}
	case client == Audience:
		return []string{Audience}
	}
	return []string{client, Audience}
}

// CreateAuthRequest begins a sign-in. PKCE is required of every client.
func (s *storage) CreateAuthRequest(_ context.Context, r *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	if r.CodeChallenge == "" || r.CodeChallengeMethod != oidc.CodeChallengeMethodS256 {
		return nil, oidc.ErrInvalidRequest().WithDescription("PKCE with S256 is required.")
	}
	if slices.Contains(r.Prompt, oidc.PromptNone) {
		return nil, oidc.ErrLoginRequired()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for id, old := range s.requests {
		if now.Sub(old.begun) > signInLife {
			delete(s.requests, id)
		}
	}
	begun := &authRequest{AuthRequest: *r, id: rand.Text(), begun: now}
	s.requests[begun.id] = begun
	return begun, nil
}

// AuthRequestByID finds a sign-in that is under way.
func (s *storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.requests[id]; ok {
		copied := *r
		return &copied, nil
	}
	return nil, errUnknown
}

// AuthRequestByCode finds a sign-in by its code, which works once.
func (s *storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.requests[s.codes[code]]
	delete(s.codes, code)
	if !ok {
		return nil, errUnknown
	}
	delete(s.requests, r.id)
	r.audience = audience(r.ClientID, s.faults)
	return r, nil
}

// SaveAuthCode ties a code to a sign-in.
func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = id
	return nil
}

// DeleteAuthRequest forgets a sign-in.
func (s *storage) DeleteAuthRequest(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requests, id)
	return nil
}

// choose says who is signing in.
func (s *storage) choose(id, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.requests[id]
	if !ok || r.Done() {
		return errUnknown
	}
	if _, err := find(s.people, name); err != nil {
		return err
	}
	r.person, r.authTime = name, time.Now()
	return nil
}

// GetClientByClientID finds a client.
func (s *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	for _, c := range s.clients {
		if c.ID == id {
			return client{c, s}, nil
		}
	}
	return nil, errUnknown
}

// AuthorizeClientIDSecret checks a client's secret.
func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	for _, c := range s.clients {
		if c.ID == id && c.Secret != "" && subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) == 1 {
			return nil
		}
	}
	return errUnknown
}

// SigningKey gives the newest key.
func (s *storage) SigningKey(context.Context) (op.SigningKey, error) {
	key := s.keys.signing()
	if id := s.broken().KeyID; id != "" {
		key.KeyID = id
	}
	return signingKey{key}, nil
}

// SignatureAlgorithms gives the one algorithm.
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

// KeySet gives the public halves of all keys.
func (s *storage) KeySet(context.Context) ([]op.Key, error) {
	var set []op.Key
	for _, key := range s.keys.all() {
		set = append(set, publicKey{key.Public()})
	}
	return set, nil
}

type signingKey struct{ jwk jose.JSONWebKey }

func (k signingKey) ID() string                                  { return k.jwk.KeyID }
func (k signingKey) Key() any                                    { return k.jwk.Key }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

type publicKey struct{ jwk jose.JSONWebKey }

func (k publicKey) ID() string                         { return k.jwk.KeyID }
func (k publicKey) Key() any                           { return k.jwk.Key }
func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k publicKey) Use() string                        { return "sig" }

// GetKeyByIDAndClientID is for clients that sign; there are none.
func (s *storage) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errUnknown
}

// ValidateJWTProfileScopes is for clients that sign; there are none.
func (s *storage) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errUnknown
}

// Health says that the storage answers.
func (s *storage) Health(context.Context) error { return nil }

// everybody lists the people.
func (s *storage) everybody() []Person {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.people)
}
