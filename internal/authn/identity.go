package authn

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/oauth2"

	"github.com/rampkeeper/rampkeeper/internal/store"
)

// checkLogin makes sure that an ID token is the answer to this login, and
// that no other client of the provider could have got it.
func (a *Authenticator) checkLogin(c claims, login store.Login) error {
	switch {
	case !slices.Contains(c.audience, a.config.ClientID):
		return fmt.Errorf("claim aud names %q", c.audience)
	case c.azp != "" && c.azp != a.config.ClientID:
		return fmt.Errorf("claim azp names %q", c.azp)
	case c.azp == "" && len(c.audience) > 1:
		return errors.New("claim azp is missing beside several audiences")
	case subtle.ConstantTimeCompare([]byte(c.nonce), []byte(login.Nonce)) != 1:
		return errors.New("claim nonce is of another login")
	}
	return nil
}

// complete asks the provider for the claims that it left out of the ID token,
// as some do. Those in the token come first. Without an answer the person is
// signed in all the same, with what is known.
func (a *Authenticator) complete(ctx context.Context, d *discovered, c claims, tokens *oauth2.Token) claims {
	if c.subject.GroupsKnown || c.groupsGiven || d.op.UserInfoEndpoint() == "" {
		return c
	}
	info, err := d.op.UserInfo(a.provider.with(ctx), oauth2.StaticTokenSource(tokens))
	var raw map[string]json.RawMessage
	if err == nil {
		err = info.Claims(&raw)
	}
	if sub, ok := text(raw["sub"]); err == nil && (!ok || sub != c.subject.ID.Subject()) {
		err = errors.New("the answer is about somebody else")
	}
	if err != nil {
		a.config.Log.WarnContext(ctx, "the identity provider's userinfo gave no claims; groups are not known", "err", err)
		return c
	}
	more := claims{}
	more.display(raw)
	if c.subject.Name == "" {
		c.subject.Name = more.subject.Name
	}
	if c.subject.Username == "" {
		c.subject.Username = more.subject.Username
	}
	if c.subject.Email == "" {
		c.subject.Email = more.subject.Email
	}
	c.subject.Groups, c.subject.GroupsKnown = groups(raw, a.config.GroupsClaim)
	return c
}
