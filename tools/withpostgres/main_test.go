package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The command finds a server that answers, its exit code is passed on, and
// nothing is left behind.
func TestRun(t *testing.T) {
	t.Parallel()
	note := filepath.Join(t.TempDir(), "note")
	code, err := run([]string{"sh", "-c", `printf %s "$TEST_DATABASE_URL" > ` + note + `; exit 3`})
	require.NoError(t, err)
	require.Equal(t, 3, code)
	address, err := os.ReadFile(note)
	require.NoError(t, err)
	require.Regexp(t, `^postgres://rampkeeper@/postgres\?host=.*rkpg\d+&port=5432$`, string(address))

	code, err = run([]string{"sh", "-c", "kill -9 $$"})
	require.NoError(t, err)
	require.Equal(t, 1, code, "a command that was killed has failed")

	code, err = run([]string{"/no/such/command"})
	require.Error(t, err)
	require.Equal(t, failed, code)

	code, err = run(nil)
	require.ErrorContains(t, err, "name the command to run")
	require.Equal(t, usage, code)
}
