package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ramp": func() { os.Exit(run()) }})
}

// TestScript runs the client against the whole demo: real databases, a real
// OpenID provider and a real target. The scripts share it, so each asks for
// something of its own.
func TestScript(t *testing.T) {
	t.Parallel()
	demo := startDemo(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("RAMP_SERVER", demo.URL)
			env.Setenv("RAMP_CONFIG_DIR", filepath.Join(env.WorkDir, "config"))
			env.Setenv("ISSUER", demo.Issuer)
			for name, token := range demo.tokens {
				env.Setenv(strings.ToUpper(name), token)
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"as":      as,
			"exits":   exits,
			"capture": capture,
			"psql":    func(ts *testscript.TestScript, neg bool, args []string) { psql(ts, neg, args) },
		},
	})
}

// as NAME makes the following commands that person's.
func as(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || ts.Getenv(strings.ToUpper(args[0])) == "" {
		ts.Fatalf("usage: as NAME")
	}
	ts.Setenv("RAMP_TOKEN", ts.Getenv(strings.ToUpper(args[0])))
}

// exits CODE COMMAND… runs a command that must end with just this code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// capture VAR keeps the last standard output.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: capture VAR")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// psql DSN SQL runs a statement as whoever the address says.
func psql(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("psql", "-X", "-A", "-t", "-d", args[0], "-c", args[1])
	if neg && err == nil {
		ts.Fatalf("psql was let in")
	}
	if !neg {
		ts.Check(err)
	}
}

type demo struct {
	URL    string `json:"url"`
	Issuer string `json:"issuer"`
	People []struct {
		Name string `json:"name"`
	} `json:"people"`
	tokens map[string]string
}

// startDemo builds the server and runs `rampkeeper dev` until the test ends.
func startDemo(t *testing.T) *demo {
	t.Helper()
	dir, err := os.MkdirTemp("", "ramp-test-") //nolint:usetesting // the databases run as another user, who may not enter t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755), "the databases run as another user when this runs as root")
	server, ready := filepath.Join(dir, "rampkeeper"), filepath.Join(dir, "ready.json")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", server, "../rampkeeper").CombinedOutput()
	require.NoError(t, err, "%s", out)

	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd := exec.Command(server, "dev", "--addr", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data"), "--ready-file", ready, "--verbose")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = 30 * time.Second
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		require.NoError(t, <-ended, "Ctrl-C must end the demo in order")
		if t.Failed() {
			raw, _ := os.ReadFile(log.Name())
			t.Logf("the demo printed:\n%s", raw)
		}
	})
	require.Eventually(t, func() bool {
		_, err := os.Stat(ready)
		return err == nil || len(ended) > 0
	}, 2*time.Minute, 50*time.Millisecond)
	raw, err := os.ReadFile(ready)
	if err != nil {
		printed, _ := os.ReadFile(log.Name())
		t.Fatalf("the demo did not start:\n%s", printed)
	}
	d := &demo{tokens: map[string]string{}}
	require.NoError(t, json.Unmarshal(raw, d))
	for _, p := range d.People {
		token, err := exec.CommandContext(t.Context(), server, "dev", "token", p.Name, "--data-dir", filepath.Join(dir, "data")).Output()
		require.NoError(t, err)
		d.tokens[p.Name] = strings.TrimSpace(string(token))
	}
	return d
}
