package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/pgtest"
)

// The way out of a failed migration is the one that its error names.
func TestMigrate(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte(db.AdminDSN+"\n"), 0o600)) // as an editor leaves it
	migrate := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := rootCommand()
		cmd.SetOut(&out)
		cmd.SetArgs(append([]string{"migrate", "--database-url-file", file}, args...))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}

	execute(t, db.AdminDSN, `create schema core`) // in the way of the first migration
	_, err := migrate()
	require.ErrorContains(t, err, "rampkeeper migrate --force 0")
	execute(t, db.AdminDSN, `drop schema core`)
	out, err := migrate("--force", "0")
	require.NoError(t, err)
	require.Equal(t, "the schema is recorded as version 0; now migrate\n", out)
	out, err = migrate()
	require.NoError(t, err)
	require.Contains(t, out, "the schema went from version 0 to ")

	_, err = migrate("--force", "999999")
	require.ErrorAs(t, err, &usageError{})
	require.NoError(t, os.Chmod(file, 0o644))
	_, err = migrate()
	require.ErrorContains(t, err, "can be read by everybody")
}

func execute(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}
