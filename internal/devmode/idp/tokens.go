package idp

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const refreshLife = 24 * time.Hour

type accessToken struct {
	person  string
	expires time.Time
}

// refreshToken works once. Using it again ends the whole family, since then
// somebody else has it too.
type refreshToken struct {
	family   string
	client   string
	person   string
	scopes   []string
	authTime time.Time
	expires  time.Time
	used     bool
}

// refreshRequest must not also satisfy op.AuthRequest: then the library would
// issue no new refresh token.
type refreshRequest struct {
	token    refreshToken
	audience []string
}

func (r *refreshRequest) GetAMR() []string            { return nil }
func (r *refreshRequest) GetAudience() []string       { return r.audience }
func (r *refreshRequest) GetAuthTime() time.Time      { return r.token.authTime }
func (r *refreshRequest) GetClientID() string         { return r.token.client }
func (r *refreshRequest) GetScopes() []string         { return r.token.scopes }
func (r *refreshRequest) GetSubject() string          { return r.token.person }
func (r *refreshRequest) SetCurrentScopes(s []string) { r.token.scopes = s }

// CreateAccessToken notes a new access token.
func (s *storage) CreateAccessToken(_ context.Context, r op.TokenRequest) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, expires := s.newAccess(r.GetSubject())
	return id, expires, nil
}

func (s *storage) newAccess(person string) (id string, expires time.Time) {
	now := time.Now()
	maps.DeleteFunc(s.access, func(_ string, t accessToken) bool { return now.After(t.expires) })
	id, expires = rand.Text(), now.Add(tokenLife)
	if s.faults.Expired {
		expires = now.Add(-time.Hour)
	}
	s.access[id] = accessToken{person, expires}
	return id, expires
}

// CreateAccessAndRefreshTokens notes new tokens, and uses up the refresh
// token that they were got with, if any.
func (s *storage) CreateAccessAndRefreshTokens(_ context.Context, r op.TokenRequest, current string) (string, string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := find(s.people, r.GetSubject()); err != nil {
		return "", "", time.Time{}, oidc.ErrInvalidGrant().WithParent(err)
	}
	now := time.Now()
	maps.DeleteFunc(s.refresh, func(_ string, t *refreshToken) bool { return now.After(t.expires) })
	next := &refreshToken{
		family: rand.Text(), person: r.GetSubject(), scopes: r.GetScopes(),
		authTime: now, expires: now.Add(refreshLife),
	}
	if from, ok := r.(op.IDTokenRequest); ok {
		next.client, next.authTime = from.GetClientID(), from.GetAuthTime()
	}
	if current != "" {
		old, ok := s.refresh[current]
		if !ok || old.used {
			return "", "", time.Time{}, oidc.ErrInvalidGrant()
		}
		old.used = true
		next.family = old.family
	}
	token := rand.Text()
	s.refresh[token] = next
	id, expires := s.newAccess(r.GetSubject())
	return id, token, expires, nil
}

// TokenRequestByRefreshToken finds what a refresh token is good for.
func (s *storage) TokenRequestByRefreshToken(_ context.Context, token string) (op.RefreshTokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.refresh[token]
	switch {
	case !ok || time.Now().After(t.expires):
		return nil, errUnknown
	case t.used:
		maps.DeleteFunc(s.refresh, func(_ string, o *refreshToken) bool { return o.family == t.family })
		return nil, errUnknown
	}
	return &refreshRequest{*t, audience(t.client, s.faults)}, nil
}

// TerminateSession forgets the refresh tokens of a person at a client.
func (s *storage) TerminateSession(_ context.Context, person, client string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.refresh, func(_ string, t *refreshToken) bool { return t.person == person && t.client == client })
	return nil
}

// RevokeToken forgets one token.
func (s *storage) RevokeToken(_ context.Context, token, _, _ string) *oidc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.access, token)
	delete(s.refresh, token)
	return nil
}

// GetRefreshTokenInfo says whose a refresh token is.
func (s *storage) GetRefreshTokenInfo(_ context.Context, _, token string) (person, id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.refresh[token]; ok {
		return t.person, token, nil
	}
	return "", "", op.ErrInvalidRefreshToken
}

// about gives the claims of a person, bent by the faults that are set.
func (s *storage) about(name string) (map[string]any, error) {
	person, err := s.person(name)
	if err != nil {
		return nil, err
	}
	claims := person.claims()
	s.broken().bend(claims)
	return claims, nil
}

// SetUserinfoFromScopes is empty on purpose; see SetUserinfoFromRequest.
func (s *storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

// SetUserinfoFromRequest fills an ID token.
func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, _ []string) error {
	return s.fill(info, r.GetSubject())
}

// SetUserinfoFromToken fills the answer of the userinfo endpoint.
func (s *storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, token, _, _ string) error {
	s.mu.Lock()
	t, ok := s.access[token]
	s.mu.Unlock()
	if !ok || time.Now().After(t.expires) {
		return errors.New("the token is over")
	}
	return s.fill(info, t.person)
}

func (s *storage) fill(info *oidc.UserInfo, name string) error {
	claims, err := s.about(name)
	if err != nil {
		return err
	}
	info.Subject = name
	for k, v := range claims {
		info.AppendClaims(k, v)
	}
	return nil
}

// GetPrivateClaimsFromScopes fills an access token.
func (s *storage) GetPrivateClaimsFromScopes(_ context.Context, name, _ string, _ []string) (map[string]any, error) {
	return s.about(name)
}

// SetIntrospectionFromToken is for resource servers that ask; there are none.
func (s *storage) SetIntrospectionFromToken(context.Context, *oidc.IntrospectionResponse, string, string, string) error {
	return errUnknown
}
