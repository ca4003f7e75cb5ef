package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

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
	if err != nil {
		return err
	}
	server, err := a.serverURL(s)
	if err != nil {
		return err
	}
	anonymous, err := client.NewClient(server + "/api/v1")
	if err != nil {
		return fmt.Errorf("preparing the client: %w", err)
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
		Scopes:   append([]string{oidc.ScopeOpenID, oidc.ScopeOfflineAccess}, found.Scopes...),
	}
	oauth.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	var token *oauth2.Token
	if device {
		token, err = a.deviceLogin(ctx, oauth)
	} else {
		token, err = a.browserLogin(ctx, oauth, noBrowser)
	}
	if err != nil {
		return fmt.Errorf("signing in: %w", err)
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
	if err := a.save(s); err != nil {
		return err
	}
	me, err := a.me(ctx)
	if err != nil {
		return err
	}
	a.say("Signed in at %s as %s.", server, me.Name)
	return nil
}

// browserLogin is the code flow with PKCE and a loopback redirect (RFC 8252).
func (a *app) browserLogin(ctx context.Context, oauth oauth2.Config, noBrowser bool) (*oauth2.Token, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the browser: %w", err)
	}
	defer listener.Close()
	oauth.RedirectURL = fmt.Sprintf("http://127.0.0.1:%d/callback", listener.Addr().(*net.TCPAddr).Port)
	state, verifier := rand.Text(), oauth2.GenerateVerifier()
	type answer struct {
		code string
		err  error
	}
	answers := make(chan answer, 1)
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/callback" || q.Get("state") != state {
			http.Error(w, "This is not the sign-in that was started.", http.StatusBadRequest)
			return
		}
		got := answer{code: q.Get("code")}
		if got.code == "" {
			got.err = fmt.Errorf("the provider refused: %s", plain(strings.TrimSpace(q.Get("error")+" "+q.Get("error_description"))))
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		fmt.Fprintln(w, "Signed in. Close this tab and go back to the terminal.")
		select {
		case answers <- got:
		default: // a second visit changes nothing
		}
	})}
	go func() { _ = srv.Serve(listener) }() // ends with Close
	defer srv.Close()

	address := oauth.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
	if noBrowser || !openBrowser(ctx, address) {
		a.say("Open this address in a browser on this machine:\n\n  %s\n", address)
	} else {
		a.say("A browser has opened to sign in. If it has not, open:\n\n  %s\n", address)
	}
	a.say("Waiting for the sign-in; Ctrl-C stops.")
	select {
	case <-ctx.Done():
		return nil, errors.New("stopped before the sign-in was done")
	case got := <-answers:
		if got.err != nil {
			return nil, got.err
		}
		return oauth.Exchange(ctx, got.code, oauth2.VerifierOption(verifier))
	}
}

// deviceLogin is the device authorization grant (RFC 8628).
func (a *app) deviceLogin(ctx context.Context, oauth oauth2.Config) (*oauth2.Token, error) {
	if oauth.Endpoint.DeviceAuthURL == "" {
		return nil, errors.New("this provider has no device sign-in; run 'ramp login' on a machine with a browser")
	}
	d, err := oauth.DeviceAuth(ctx)
	if err != nil {
		return nil, err
	}
	a.say("On any machine open  %s\nand enter the code   %s\n\nWaiting until %s; Ctrl-C stops.", d.VerificationURI, d.UserCode, d.Expiry.Local().Format("15:04"))
	return oauth.DeviceAccessToken(ctx, d)
}

func openBrowser(ctx context.Context, address string) bool {
	name := "xdg-open"
	if runtime.GOOS == "darwin" {
		name = "open"
	}
	if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" && runtime.GOOS == "linux" {
		return false
	}
	return exec.CommandContext(ctx, name, address).Start() == nil
}

// expiryOf reads the end of a token that the provider gave directly. Nothing
// is trusted because of it; it only says when to renew.
func expiryOf(idToken string) (time.Time, error) {
	parts := strings.Split(idToken, ".")
	if len(parts) != 3 {
		return time.Time{}, errors.New("the provider's ID token is not a JWT")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, errors.New("the provider's ID token is not a JWT")
	}
	var claims struct {
		Exp int64 `json:"exp"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil || claims.Exp == 0 {
		return time.Time{}, errors.New("the provider's ID token has no end")
	}
	return time.Unix(claims.Exp, 0), nil
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
			a.say("The saved login is gone.")
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
			me, err := a.me(cmd.Context())
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
				},
			})
		},
	}
}

func (a *app) me(ctx context.Context) (client.Me, error) {
	c, err := a.connect(ctx)
	if err != nil {
		return client.Me{}, err
	}
	return decode[client.Me](c.GetMe(ctx))
}
