package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testLogin signs in as people do, at the demo's provider.
func testLogin(t *testing.T, demo *demo) {
	t.Run("Browser", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, demo)
		login := p.start(t, "login", "--no-browser")
		require.Equal(t, "Go on in the terminal; you can close this tab.\n", signIn(t, login.find(`(http://\S+)`), "ada"))
		login.find(`Signed in at ` + regexp.QuoteMeta(demo.URL) + ` as Ada Engineer\.`)
		login.exits(0)

		stdout, _, code := p.run(t, "whoami", "-o", "name")
		require.Equal(t, 0, code)
		require.Equal(t, demo.Issuer+"|ada\n", stdout)
		info, err := os.Stat(p.file())
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())

		_, _, code = p.run(t, "logout")
		require.Equal(t, 0, code)
		require.NoFileExists(t, p.file())
		_, stderr, code := p.run(t, "whoami")
		require.Equal(t, 4, code)
		require.Equal(t, "ramp: not signed in at "+demo.URL+": run 'ramp login --server "+demo.URL+"', or set RAMP_TOKEN\n", stderr)
	})
	t.Run("Device", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, demo)
		login := p.start(t, "login", "--device")
		page, code := login.find(`open +(\S+)`), login.find(`enter the code +(\S+)`)
		answerDevice(t, page, url.Values{"user_code": {code}, "person": {"grace"}})
		login.find(`as Grace Owner`)
		login.exits(0)
		stdout, _, exit := p.run(t, "whoami", "-o", "name")
		require.Equal(t, 0, exit)
		require.Equal(t, demo.Issuer+"|grace\n", stdout)
	})
	t.Run("DeviceRefused", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, demo)
		login := p.start(t, "login", "--device")
		page, code := login.find(`open +(\S+)`), login.find(`enter the code +(\S+)`)
		answerDevice(t, page, url.Values{"user_code": {code}, "deny": {"yes"}})
		login.find(`ramp: the sign-in was refused at the identity provider; nobody is signed in`)
		login.exits(4)
		require.NoFileExists(t, p.file())
	})
	t.Run("BrowserRefused", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, demo)
		login := p.start(t, "login", "--no-browser")
		address, err := url.Parse(login.find(`(http://\S+)`))
		require.NoError(t, err)
		q := address.Query()
		stranger := get(t, http.DefaultClient, q.Get("redirect_uri")+"?code=guess&state=guess")
		require.Equal(t, "This is not the sign-in that was started.\n", stranger)
		page := get(t, http.DefaultClient, q.Get("redirect_uri")+"?error=access_denied&state="+q.Get("state"))
		require.Equal(t, "The sign-in was refused. Go back to the terminal; you can close this tab.\n", page)
		login.find(`ramp: the sign-in was refused at the identity provider; nobody is signed in`)
		login.exits(4)
		require.NoFileExists(t, p.file())
	})
	t.Run("Stopped", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, demo)
		login := p.start(t, "login", "--no-browser")
		login.find(`Waiting for the sign-in`)
		require.NoError(t, login.cmd.Process.Signal(syscall.SIGINT))
		login.find(`stopped before the sign-in was done; go on with 'ramp login'`)
		login.exits(4)
	})
	t.Run("Renewal", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, demo)
		login := p.start(t, "login", "--no-browser")
		signIn(t, login.find(`(http://\S+)`), "radia")
		login.exits(0)
		before := p.saved(t)
		before.Expiry = time.Now().Add(20 * time.Second) // about to end, as far as the client knows
		p.write(t, before)

		stdout, _, code := p.run(t, "whoami", "-o", "name")
		require.Equal(t, 0, code)
		require.Equal(t, demo.Issuer+"|radia\n", stdout)
		after := p.saved(t)
		require.NotEqual(t, before.IDToken, after.IDToken)
		require.NotEqual(t, before.RefreshToken, after.RefreshToken)
		require.Greater(t, time.Until(after.Expiry), 5*time.Minute)

		// The old one again is refused, as when somebody else has used it.
		p.write(t, before)
		_, stderr, code := p.run(t, "whoami")
		require.Equal(t, 4, code)
		require.Equal(t, "ramp: the login at "+demo.URL+" has ended: run 'ramp login --server "+demo.URL+"' again\n", stderr)
	})
	t.Run("AnotherServer", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, demo)
		login := p.start(t, "login", "--no-browser")
		signIn(t, login.find(`(http://\S+)`), "mary")
		login.exits(0)
		var called []string
		other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			called = append(called, r.Header.Get("Authorization"))
		}))
		defer other.Close()

		_, stderr, code := p.run(t, "whoami", "--server", other.URL)
		require.Equal(t, 4, code)
		require.Contains(t, stderr, "not signed in at "+other.URL)
		require.Empty(t, called, "nothing of the login leaves for another server")
	})
	t.Run("NotEncrypted", func(t *testing.T) {
		t.Parallel()
		_, stderr, code := newPerson(t, demo).run(t, "login", "--server", "http://access.example.com")
		require.Equal(t, 2, code)
		require.Contains(t, stderr, "is not encrypted")
	})
}

var hiddenID = regexp.MustCompile(`name="id" value="([^"]+)"`)

// signIn is a browser in which a person picks who they are. It gives the last
// page, which is the one that ramp shows.
func signIn(t *testing.T, address, name string) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	u, err := url.Parse(address)
	require.NoError(t, err)
	id := hiddenID.FindStringSubmatch(get(t, browser, address))
	require.NotNil(t, id)
	resp, err := browser.PostForm(u.Scheme+"://"+u.Host+"/sign-in", url.Values{"id": {id[1]}, "person": {name}})
	require.NoError(t, err)
	return read(t, resp)
}

func answerDevice(t *testing.T, page string, form url.Values) {
	t.Helper()
	resp, err := http.PostForm(page, form)
	require.NoError(t, err)
	body := read(t, resp)
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
}

func get(t *testing.T, client *http.Client, address string) string {
	t.Helper()
	resp, err := client.Get(address)
	require.NoError(t, err)
	return read(t, resp)
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(raw)
}
