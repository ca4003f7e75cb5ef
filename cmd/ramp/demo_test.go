package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
