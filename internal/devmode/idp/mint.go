package idp

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Token makes a bearer token for a person, good for ttl.
func (p *Provider) Token(name string, ttl time.Duration) (string, error) {
	person, err := find(p.storage.people, name)
	if err != nil {
		return "", err
	}
	return mint(p.storage.keys.signing(), p.issuer, person, ttl, p.storage.broken())
}

func find(people []Person, name string) (Person, error) {
	var names []string
	for _, p := range people {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Person{}, fmt.Errorf("there is no %q here; there are %s", name, strings.Join(names, ", "))
}

func mint(key jose.JSONWebKey, issuer string, person Person, ttl time.Duration, faults Faults) (string, error) {
	now := time.Now()
	claims := map[string]any{
		"iss": issuer, "sub": person.Name, "aud": []string{Audience}, "jti": rand.Text(),
		"iat": now.Unix(), "auth_time": now.Unix(), "exp": now.Add(ttl).Unix(),
	}
	maps.Copy(claims, person.claims())
	if faults.Expired {
		claims["exp"] = now.Add(-time.Hour).Unix()
	}
	if faults.Audience != "" {
		claims["aud"] = []string{faults.Audience}
	}
	faults.bend(claims)
	if faults.KeyID != "" {
		key.KeyID = faults.KeyID
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("preparing the key: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("writing the claims: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return jws.CompactSerialize()
}

// claims are what tokens say about a person.
func (p Person) claims() map[string]any {
	return map[string]any{
		"name":               p.FullName,
		"preferred_username": p.Name,
		"email":              p.Name + "@example.com",
		"email_verified":     true,
		"groups":             slices.Concat([]string{}, p.Groups),
	}
}
