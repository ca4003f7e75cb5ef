package authn

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const (
	maxToken    = 64 << 10 // bytes of a bearer token
	maxGroups   = 1000
	maxClaim    = 256 // bytes of a name, a group and so on
	clockLeeway = time.Minute
)

// claims is what a verified token says.
type claims struct {
	subject  access.Subject
	audience []string
	azp      string
	nonce    string
	issued   time.Time
	// groupsGiven says that the claim is there, usable or not.
	groupsGiven bool
	expires     time.Time
}

// checkCompact refuses everything that is not a plain JWT. Two spellings of
// one signature would make two tokens of one, and a token made for another
// purpose, such as a logout token, must not work as a bearer.
func checkCompact(raw string) error {
	parts := strings.Split(raw, ".")
	if len(raw) > maxToken || len(parts) != 3 {
		return errors.New("not a signed JWT in its compact form")
	}
	for _, part := range parts {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil || part == "" || strings.ContainsAny(part, "\r\n") {
			return errors.New("not a signed JWT in its compact form")
		}
	}
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return errors.New("not a signed JWT in its compact form")
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(head, &header); err != nil {
		return fmt.Errorf("reading the token's header: %w", err)
	}
	typ, ok := text(header["typ"])
	if !ok || !slices.Contains([]string{"", "jwt", "at+jwt", "application/at+jwt"}, strings.ToLower(typ)) {
		return errors.New("the token is of another type than ID or access tokens")
	}
	return nil
}

// decode reads the claims of a verified token by their exact names:
// encoding/json would also fill a struct from claims spelled in another case,
// which at some providers people choose themselves.
func decode(token *oidc.IDToken, config Config) (claims, error) {
	var raw map[string]json.RawMessage
	if err := token.Claims(&raw); err != nil {
		return claims{}, fmt.Errorf("reading the claims: %w", err)
	}
	var c claims
	var ok bool
	if iss, fine := text(raw["iss"]); !fine || iss != config.Issuer {
		return claims{}, errors.New("claim iss is of another issuer")
	}
	sub, ok := text(raw["sub"])
	if !ok || sub == "" || access.CheckText(sub, maxClaim) != "" || strings.ContainsAny(sub, "\n\t") {
		return claims{}, errors.New("claim sub is not usable")
	}
	if c.audience, ok = oneOrMore(raw["aud"]); !ok {
		return claims{}, errors.New("claim aud is missing or of an odd type")
	}
	if _, logout := raw["events"]; logout {
		return claims{}, errors.New("claim events marks a token about an event")
	}
	if c.azp, ok = text(raw["azp"]); !ok {
		return claims{}, errors.New("claim azp is of an odd type")
	}
	if c.nonce, ok = text(raw["nonce"]); !ok {
		return claims{}, errors.New("claim nonce is of an odd type")
	}
	if err := c.times(raw, config.Now()); err != nil {
		return claims{}, err
	}
	c.subject.ID = access.NewPrincipalID(config.Issuer, sub)
	c.display(raw)
	_, c.groupsGiven = raw[config.GroupsClaim]
	c.subject.Groups, c.subject.GroupsKnown = groups(raw, config.GroupsClaim)
	return c, nil
}

// times reads exp, nbf, iat and auth_time, and refuses what is over or lies
// in the future.
func (c *claims) times(raw map[string]json.RawMessage, now time.Time) error {
	at := map[string]time.Time{}
	for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
		v, ok := instant(raw[name])
		if !ok {
			return fmt.Errorf("claim %s is of an odd type", name)
		}
		at[name] = v
		if name != "exp" && v.After(now.Add(clockLeeway)) {
			return fmt.Errorf("claim %s lies in the future", name)
		}
	}
	if at["exp"].IsZero() || at["iat"].IsZero() {
		return errors.New("claim exp or iat is missing")
	}
	if !now.Before(at["exp"]) {
		return errors.New("the token is over")
	}
	c.expires, c.issued, c.subject.AuthTime = at["exp"], at["iat"], at["auth_time"]
	if c.subject.AuthTime.IsZero() {
		c.subject.AuthTime = c.issued
	}
	return nil
}

// display reads the claims that are shown to people. One that is odd is left
// out, since nothing depends on it.
func (c *claims) display(raw map[string]json.RawMessage) {
	c.subject.Name = shown(raw["name"])
	c.subject.Username = shown(raw["preferred_username"])
	email := shown(raw["email"])
	if string(raw["email_verified"]) == "true" && strings.Count(email, "@") == 1 && !strings.ContainsAny(email, " \n\t") {
		c.subject.Email = email
	}
}

// groups reads the groups claim. It is all or nothing: a claim that is
// missing, of an odd type or too long says that the groups are not known.
func groups(raw map[string]json.RawMessage, name string) (list []string, known bool) {
	var elsewhere map[string]json.RawMessage // too many groups for the token: they have to be fetched
	if given, ok := raw["_claim_names"]; ok {
		if json.Unmarshal(given, &elsewhere) != nil {
			return nil, false
		}
		if _, ok := elsewhere[name]; ok {
			return nil, false
		}
	}
	var members []json.RawMessage
	if json.Unmarshal(raw[name], &members) != nil || members == nil || len(members) > maxGroups {
		return nil, false
	}
	list = make([]string, 0, len(members))
	for _, m := range members {
		group, ok := text(m)
		if !ok || group == "" || access.CheckText(group, maxClaim) != "" {
			return nil, false
		}
		list = append(list, group)
	}
	slices.Sort(list)
	return slices.Compact(list), true
}

// text reads a string; an absent claim is the empty one.
func text(raw json.RawMessage) (s string, ok bool) {
	if raw == nil {
		return "", true
	}
	var p *string
	if json.Unmarshal(raw, &p) != nil || p == nil {
		return "", false
	}
	return *p, true
}

func shown(raw json.RawMessage) string {
	s, ok := text(raw)
	if !ok || access.CheckText(s, maxClaim) != "" {
		return ""
	}
	return s
}

// oneOrMore reads a string or a list of them, as aud may be.
func oneOrMore(raw json.RawMessage) (list []string, ok bool) {
	if one, ok := text(raw); ok {
		return []string{one}, one != ""
	}
	var members []json.RawMessage
	if json.Unmarshal(raw, &members) != nil || len(members) == 0 {
		return nil, false
	}
	for _, m := range members {
		s, ok := text(m)
		if !ok || s == "" {
			return nil, false
		}
		list = append(list, s)
	}
	return list, true
}

// instant reads seconds since 1970; an absent claim is the zero time.
func instant(raw json.RawMessage) (at time.Time, ok bool) {
	if raw == nil {
		return time.Time{}, true
	}
	var seconds *float64
	if json.Unmarshal(raw, &seconds) != nil || seconds == nil || *seconds <= 0 || *seconds > 1e11 {
		return time.Time{}, false
	}
	whole, part := math.Modf(*seconds)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), true
}
