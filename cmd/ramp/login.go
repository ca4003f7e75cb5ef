package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"github.com/rampkeeper/rampkeeper/api/client"
)

func (a *app) loginCommand() *cobra.Command {
	var device, noBrowser bool
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in at the broker's identity provider",
		Long: `Sign in at the identity provider that the broker names. A browser opens and
comes back to this machine; on a machine without one use --device and sign in
anywhere with the code that is shown.`,
		Example: "  ramp login --server https://access.example.com\n  ramp login --device",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.login(cmd.Context(), device, noBrowser)
		},
	}
	cmd.Flags().BoolVar(&device, "device", false, "show a code to enter on another machine")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address instead of opening a browser")
	return cmd
}

func (a *app) login(ctx context.Context, device, noBrowser bool) error {
	s, err := a.loadSaved()
	if err != nil && a.server == "" && a.getenv("RAMP_SERVER") == "" {
		return err // it was damaged, and nothing else names the server
	}
	server, err := a.serverURL(s)
	if err != nil {
		return err
	}
	if err := mayCarryTokens(server); err != nil {
		return err
	}
	anonymous, err := newClient(server, nil) // discovery is outside the API
	if err != nil {
		return err
	}
	found, err := decode[client.Discovery](anonymous.GetDiscovery(ctx))
	if err != nil {
		return err
	}
	provider, err := oidc.NewProvider(ctx, found.Issuer)
	if err != nil {
		return fmt.Errorf("asking the identity provider %s: %w", found.Issuer, err)
	}
	oauth := oauth2.Config{
		ClientID: found.ClientID,
		Endpoint: provider.Endpoint(),
		Scopes:   scopes(found.Scopes),
	}
	oauth.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	signIn := a.deviceLogin
	if !device {
		signIn = func(ctx context.Context, oauth oauth2.Config) (*oauth2.Token, error) {
			return a.browserLogin(ctx, oauth, noBrowser)
		}
	}
	token, err := signIn(ctx, oauth)
	if err != nil {
		return notSignedIn(ctx, err)
	}
	s = saved{Server: server, Issuer: found.Issuer, ClientID: found.ClientID, TokenEndpoint: oauth.Endpoint.TokenURL}
	if err := s.take(token); err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	// The provider's own keys say whether the token is genuine; the broker
	// will check it again with every call.
	if _, err := provider.Verifier(&oidc.Config{ClientID: found.ClientID}).Verify(ctx, s.IDToken); err != nil {
		return fmt.Errorf("checking the provider's token: %w", err)
	}
	// What the broker does not accept is not worth keeping.
	me, err := whoIs(ctx, s)
	if err != nil {
		return err
	}
	if err := a.save(s); err != nil {
		return err
	}
	a.say("Signed in at %s as %s.", server, me.Name)
	if a.getenv("RAMP_TOKEN") != "" {
		a.say("RAMP_TOKEN is set, and other commands use that instead.")
	}
	return nil
}

func whoIs(ctx context.Context, s saved) (client.Me, error) {
	c, err := newClient(s.Server+apiPath, func(context.Context) (string, error) { return s.IDToken, nil })
	if err != nil {
		return client.Me{}, err
	}
	return decode[client.Me](c.GetMe(ctx))
}

// scopes are what a login asks for: who it is, and a refresh token.
func scopes(broker []string) []string {
	all := slices.Concat([]string{oidc.ScopeOpenID, oidc.ScopeOfflineAccess}, broker)
	slices.Sort(all)
	return slices.Compact(all)
}

// mayCarryTokens refuses to sign in where others on the way could read along.
func mayCarryTokens(server string) error {
	u, err := url.Parse(server)
	if err != nil {
		return usage("the server must be an address such as https://access.example.com, not %q", server)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return usage("%s is not encrypted, so a login there could be read on the way; use its https:// address", server)
}

// notSignedIn says in a sentence why there is no login.
func notSignedIn(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fail(exitNotSignedIn, "stopped before the sign-in was done; go on with 'ramp login'")
	}
	refused := (*oauth2.RetrieveError)(nil)
	if !errors.As(err, &refused) {
		return fail(exitNotSignedIn, "signing in: %w", err)
	}
	switch refused.ErrorCode {
	case "access_denied":
		return fail(exitNotSignedIn, "the sign-in was refused at the identity provider; nobody is signed in")
	case "expired_token":
		return fail(exitNotSignedIn, "the code was not entered in time; start again with 'ramp login --device'")
	}
	return fail(exitNotSignedIn, "the identity provider did not sign you in: %s", inline(strings.TrimSpace(refused.ErrorCode+" "+refused.ErrorDescription)))
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Forget the saved login",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			path, err := a.savedPath()
			if err != nil {
				return err
			}
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("forgetting the login: %w", err)
			}
			a.say("No login is saved any more.")
			return nil
		},
	}
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show who the broker takes you for",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			me, err := decode[client.Me](c.GetMe(cmd.Context()))
			if err != nil {
				return err
			}
			groups := strings.Join(me.Groups, ", ")
			if !me.GroupsKnown {
				groups = "(unknown: the token carried none)"
			}
			roles := make([]string, len(me.Roles))
			for i, r := range me.Roles {
				roles[i] = string(r)
			}
			return a.print(me, string(me.ID), table{
				rows: [][]string{
					{"name", me.Name},
					{"id", string(me.ID)},
					{"e-mail", me.Email},
					{"groups", groups},
					{"roles here", strings.Join(roles, ", ")},
					{"server", strings.TrimSuffix(c.Server, apiPath+"/")},
				},
			})
		},
	}
}
