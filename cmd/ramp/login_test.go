package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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

// person is somebody at a terminal, with a configuration directory.
type person struct {
	server, dir, token string
}

func newPerson(t *testing.T, demo *demo) *person {
	t.Helper()
	return &person{server: demo.URL, dir: t.TempDir()}
}

func (p *person) file() string { return filepath.Join(p.dir, "login.json") }

func (p *person) saved(t *testing.T) saved {
	t.Helper()
	raw, err := os.ReadFile(p.file())
	require.NoError(t, err)
	var s saved
	require.NoError(t, json.Unmarshal(raw, &s))
	return s
}

func (p *person) write(t *testing.T, s saved) {
	t.Helper()
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.file(), raw, 0o600))
}

// run runs ramp within the test.
func (p *person) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs strings.Builder
	env := map[string]string{"RAMP_SERVER": p.server, "RAMP_CONFIG_DIR": p.dir, "RAMP_TOKEN": p.token}
	a := &app{in: strings.NewReader(""), out: &out, err: &errs, getenv: func(name string) string { return env[name] }}
	code = a.execute(t.Context(), args)
	return out.String(), errs.String(), code
}

// process is a ramp that runs beside the test.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string
	unread string
}

// start starts ramp as a process; what it writes can be waited for.
func (p *person) start(t *testing.T, args ...string) *process {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "ramp", args...)
	cmd.Env = append(os.Environ(), "RAMP_SERVER="+p.server, "RAMP_CONFIG_DIR="+p.dir, "RAMP_TOKEN="+p.token)
	cmd.Stdout, cmd.Stderr = w, w
	require.NoError(t, cmd.Start())
	require.NoError(t, w.Close())
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return &process{t: t, cmd: cmd, lines: lines}
}

// find waits for a line that matches, and gives the first group.
func (p *process) find(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(30 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			require.True(p.t, ok, "ended without %q; it wrote:\n%s", pattern, p.unread)
			p.unread += line + "\n"
			if m := re.FindStringSubmatch(line); m != nil {
				return m[len(m)-1]
			}
		case <-late:
			p.t.Fatalf("no %q came; it wrote:\n%s", pattern, p.unread)
		}
	}
}

func (p *process) exits(code int) {
	p.t.Helper()
	for line := range p.lines { // to its end, so that nothing blocks it
		p.unread += line + "\n"
	}
	_ = p.cmd.Wait()
	require.Equal(p.t, code, p.cmd.ProcessState.ExitCode(), "it wrote:\n%s", p.unread)
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
