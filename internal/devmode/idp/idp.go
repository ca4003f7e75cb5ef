// Package idp is the development identity provider.
package idp

import (
	"net/http"
	"time"
)

// Person is somebody who can sign in.
type Person struct {
	Name, FullName string
	Groups         []string
}

// Config says whom the provider knows.
type Config struct {
	Dir     string
	Issuer  string
	People  []Person
	Clients []Client
}

// Client is an application that may send people here to sign in.
type Client struct {
	ID, Secret   string
	RedirectURIs []string
	Native       bool
}

// Provider is the identity provider.
type Provider struct{ http.Handler }

// New makes a provider.
func New(Config) (*Provider, error) { panic("soon") }

// Token mints a bearer token.
func (p *Provider) Token(name string, ttl time.Duration) (string, error) { panic("soon") }
