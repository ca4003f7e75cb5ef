package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rampkeeper": func() { os.Exit(run()) }})
}

func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			// The databases run as another user when this runs as root, so
			// their directory must be one that others may enter.
			dir, err := os.MkdirTemp("", "rampkeeper-test-") //nolint:usetesting // the databases run as another user, who may not enter t.TempDir
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(dir) })
			env.Setenv("DATA", dir)
			return os.Chmod(dir, 0o755)
		},
	})
}

// binary builds the server, for tests that signal it.
func binary(t *testing.T) (path, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rampkeeper-test-") //nolint:usetesting // the databases run as another user, who may not enter t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	path = filepath.Join(dir, "rampkeeper")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path, dir
}

// TestDemoGoesOn starts the demo, stops it as Ctrl-C does, starts it again on
// the same data, and finds the people and the policy as they were; two run
// side by side meanwhile.
func TestDemoGoesOn(t *testing.T) {
	t.Parallel()
	path, dir := binary(t)
	first := start(t, path, filepath.Join(dir, "one"))
	other := start(t, path, filepath.Join(dir, "two"))
	require.NotEqual(t, first.ready.URL, other.ready.URL)
	other.stop(t)

	again := exec.CommandContext(t.Context(), path, "dev", "--addr", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "one"))
	out, err := again.CombinedOutput()
	require.Error(t, err, "the directory is in use")
	require.Contains(t, string(out), "another `rampkeeper dev` is running on")
	first.stop(t)

	second := start(t, path, filepath.Join(dir, "one"))
	require.Equal(t, first.ready.Issuer, second.ready.Issuer, "people stay the same people")
	require.Equal(t, first.ready.People, second.ready.People)
	require.Equal(t, "1", second.revision(t, path, filepath.Join(dir, "one")), "the policy is the one of the first start")
	second.kill(t)

	third := start(t, path, filepath.Join(dir, "one"))
	require.Equal(t, "1", third.revision(t, path, filepath.Join(dir, "one")), "also after a kill -9")
	third.stop(t)
}

type running struct {
	cmd   *exec.Cmd
	file  string
	ready struct {
		URL       string `json:"url"`
		Issuer    string `json:"issuer"`
		TargetDSN string `json:"target_dsn"`
		People    []struct {
			Name    string   `json:"name"`
			Subject string   `json:"subject"`
			Groups  []string `json:"groups"`
		} `json:"people"`
	}
}

func start(t *testing.T, path, data string) *running {
	t.Helper()
	r := &running{file: data + ".ready.json"}
	_ = os.Remove(r.file)
	r.cmd = exec.Command(path, "dev", "--addr", "127.0.0.1:0", "--data-dir", data, "--ready-file", r.file)
	r.cmd.Stderr = os.Stderr
	stdout, err := r.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, r.cmd.Start())
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	lines := bufio.NewScanner(stdout)
	go func() {
		for lines.Scan() {
		}
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(r.file); return err == nil }, 2*time.Minute, 20*time.Millisecond, "the demo did not come up")
	raw, err := os.ReadFile(r.file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &r.ready))
	require.NotEmpty(t, r.ready.TargetDSN)
	return r
}

// stop is Ctrl-C: everything ends in order and the exit code is 0.
func (r *running) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, r.cmd.Wait())
	require.NoFileExists(t, r.file)
}

func (r *running) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Kill())
	require.Error(t, r.cmd.Wait())
}

// revision gives the policy revision in force, as a contract admin sees it.
func (r *running) revision(t *testing.T, path, data string) string {
	t.Helper()
	token, err := exec.CommandContext(t.Context(), path, "dev", "token", "lin", "--data-dir", data).Output()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.ready.URL+"/api/v1/contracts", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+string(token[:len(token)-1]))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var list struct {
		Revision json.Number `json:"revision"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&list))
	return list.Revision.String()
}
