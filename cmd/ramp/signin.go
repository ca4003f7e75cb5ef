package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/oauth2"
)

// browserLogin is the code flow with PKCE and a loopback redirect (RFC 8252).
func (a *app) browserLogin(ctx context.Context, oauth oauth2.Config, noBrowser bool) (*oauth2.Token, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the browser: %w", err)
	}
	defer listener.Close()
	oauth.RedirectURL = fmt.Sprintf("http://127.0.0.1:%d/callback", listener.Addr().(*net.TCPAddr).Port)
	state, verifier := rand.Text(), oauth2.GenerateVerifier()
	answers := make(chan callback, 1)
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: callbackPage(state, answers)}
	go func() { _ = srv.Serve(listener) }() // ends with Shutdown
	defer func() {
		// The page must reach the browser before the program ends.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
	}()

	address := oauth.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
	if noBrowser || !openBrowser(ctx, address) {
		a.say("Open this address in a browser on this machine:\n\n  %s\n", address)
	} else {
		a.say("A browser has opened to sign in. If it has not, open:\n\n  %s\n", address)
	}
	a.say("Waiting for the sign-in; Ctrl-C stops.")
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case got := <-answers:
		if got.err != nil {
			return nil, got.err
		}
		return oauth.Exchange(ctx, got.code, oauth2.VerifierOption(verifier))
	}
}

// callback is what the provider sends back through the browser.
type callback struct {
	code string
	err  error
}

// callbackPage takes the first answer to the sign-in that was started here.
func callbackPage(state string, answers chan<- callback) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		q := r.URL.Query()
		if r.URL.Path != "/callback" || q.Get("state") != state {
			http.Error(w, "This is not the sign-in that was started.", http.StatusBadRequest)
			return
		}
		got, page := callback{code: q.Get("code")}, "Go on in the terminal; you can close this tab."
		if got.code == "" {
			// As the other flow reports it, so that one place finds the words.
			got.err = &oauth2.RetrieveError{ErrorCode: cmp.Or(inline(q.Get("error")), "no code came back"), ErrorDescription: inline(q.Get("error_description"))}
			page = "The sign-in was refused. Go back to the terminal; you can close this tab."
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		fmt.Fprintln(w, page)
		select {
		case answers <- got:
		default: // a second visit changes nothing
		}
	})
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
	a.say("On any machine open  %s\nand enter the code   %s\n", d.VerificationURI, d.UserCode)
	a.say("Waiting until %s; Ctrl-C stops.", clock(d.Expiry))
	return oauth.DeviceAccessToken(ctx, d)
}

// openBrowser says whether there is a browser, and opens it.
func openBrowser(ctx context.Context, address string) bool {
	var name string
	var args []string
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler"}
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
			return false
		}
		name = "xdg-open"
	}
	// The browser is the person's, and outlives this program.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, append(args, address)...)
	if cmd.Start() != nil {
		return false
	}
	go func() { _ = cmd.Wait() }()
	return true
}
