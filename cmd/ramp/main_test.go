package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v4"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ramp": func() { os.Exit(run()) }})
}

// TestDemo runs the client against the whole demo: real databases, a real
// OpenID provider and a real target. What runs in it shares the demo, so each
// part asks for something of its own. Only main_job gets access as Ada: it
// looks at what is left of it at the target.
func TestDemo(t *testing.T) {
	t.Parallel()
	demo := startDemo(t)
	t.Run("Script", func(t *testing.T) {
		t.Parallel()
		runScripts(t, demo, "testdata/script")
	})
	t.Run("Login", func(t *testing.T) {
		t.Parallel()
		testLogin(t, demo)
	})
	t.Run("StopWaiting", func(t *testing.T) {
		t.Parallel()
		testStopWaiting(t, demo)
	})
	t.Run("ConnectLeavesCtrlC", func(t *testing.T) {
		t.Parallel()
		testConnectLeavesCtrlC(t, demo)
	})
	t.Run("TailFollows", func(t *testing.T) {
		t.Parallel()
		testTailFollows(t, demo)
	})
}

// TestPolicy has a demo of its own, because it changes the policy.
func TestPolicy(t *testing.T) {
	t.Parallel()
	runScripts(t, startDemo(t), "testdata/policy")
}

func runScripts(t *testing.T, demo *demo, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
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
			"parses":  parses,
			"psql":    psql,
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

// parses FORMAT says that the last standard output is json or yaml.
func parses(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: parses json|yaml")
	}
	var v any
	raw := []byte(ts.ReadFile("stdout"))
	switch args[0] {
	case "json":
		ts.Check(json.Unmarshal(raw, &v))
	case "yaml":
		ts.Check(yaml.Unmarshal(raw, &v))
	default:
		ts.Fatalf("unknown format %s", args[0])
	}
	if v == nil {
		ts.Fatalf("nothing was printed")
	}
}
