package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
	return p.startIn(t, os.Getenv("PATH"), args...)
}

// startIn is start with another search path for programs.
func (p *person) startIn(t *testing.T, path string, args ...string) *process {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "ramp", args...)
	cmd.Env = append(os.Environ(), "RAMP_SERVER="+p.server, "RAMP_CONFIG_DIR="+p.dir, "RAMP_TOKEN="+p.token, "PATH="+path)
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
