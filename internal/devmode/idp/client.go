package idp

import (
	"net/url"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// client shows a Client to the protocol library.
type client struct {
	Client
	storage *storage
}

func (c client) GetID() string                    { return c.ID }
func (c client) PostLogoutRedirectURIs() []string { return nil }

func (c client) RedirectURIs() []string {
	if c.Native && len(c.Client.RedirectURIs) == 0 {
		return loopback
	}
	return c.Client.RedirectURIs
}

func (c client) ApplicationType() op.ApplicationType {
	if c.Native {
		return op.ApplicationTypeNative
	}
	return op.ApplicationTypeWeb
}

func (c client) AuthMethod() oidc.AuthMethod {
	if c.Secret == "" {
		return oidc.AuthMethodNone
	}
	return oidc.AuthMethodBasic
}

func (c client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

func (c client) GrantTypes() []oidc.GrantType {
	grants := []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}
	if c.Native {
		grants = append(grants, oidc.GrantTypeDeviceCode)
	}
	return grants
}

func (c client) LoginURL(id string) string {
	return c.storage.issuer + signInPath + "?id=" + url.QueryEscape(id)
}

func (c client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

func (c client) IDTokenLifetime() time.Duration {
	if c.storage.broken().Expired {
		return -time.Hour
	}
	return tokenLife
}

func (c client) DevMode() bool { return false } // it would accept any redirect

func (c client) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}

func (c client) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}

func (c client) IsScopeAllowed(scope string) bool     { return scope == "groups" }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c client) ClockSkew() time.Duration             { return 0 }
