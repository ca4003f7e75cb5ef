package migrations_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/migrations"
)

var update = flag.Bool("update", false, "write SHA256SUMS anew; only for migrations that were never released")

const sums = "SHA256SUMS"

// TestMigrationsNeverChange: a database that has run a migration does not run
// it again, so an edited one would leave two schemas under one version.
func TestMigrationsNeverChange(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrations.FS, "*.sql")
	require.NoError(t, err)
	var have strings.Builder
	for _, name := range names {
		text, err := fs.ReadFile(migrations.FS, name)
		require.NoError(t, err)
		fmt.Fprintf(&have, "%x  %s\n", sha256.Sum256(text), name)
	}
	if *update {
		require.NoError(t, os.WriteFile(sums, []byte(have.String()), 0o600))
	}
	want, err := os.ReadFile(sums)
	require.NoError(t, err)
	require.Equal(t, string(want), have.String(),
		"merged migrations are never edited: write a new one, and list it in "+sums+" (go test ./migrations -update lists all files as they are; look at the diff, which may only add lines once there is a release)")
}
