package pgtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/pgtest"
)

// Every test has a database of its own, with the schema in it.
func TestNew(t *testing.T) {
	t.Parallel()
	a, b := pgtest.New(t), pgtest.New(t)
	require.NotEqual(t, a.Name, b.Name)
	for _, db := range []*pgtest.DB{a, b} {
		require.NoError(t, db.Store(t).CheckSchema(t.Context()))
		var name, login string
		require.NoError(t, db.Admin(t).QueryRow(t.Context(), "select current_database()").Scan(&name))
		require.Equal(t, db.Name, name)
		pool := pgtest.Reopen(t, db)
		require.NoError(t, pool.QueryRow(t.Context(), "select current_user::text").Scan(&login))
		require.Equal(t, "rampkeeper_app", login)
		pool.Close()
	}
	_, err := a.Admin(t).Exec(t.Context(), "delete from core.install")
	require.NoError(t, err)
	var left int
	require.NoError(t, b.Admin(t).QueryRow(t.Context(), "select count(*) from core.install").Scan(&left))
	require.Equal(t, 1, left, "the other test's is untouched")
}

// A database is dropped after its test, and kept after one that failed; the
// log says how to look at it. The inner tests are runs of this program.
func TestDropped(t *testing.T) {
	t.Parallel()
	exists := func(name string) (yes bool) {
		t.Helper()
		require.NoError(t, pgtest.New(t).Admin(t).QueryRow(t.Context(), "select exists (select from pg_database where datname = $1)", name).Scan(&yes))
		return yes
	}
	for _, fail := range []string{"", "yes"} {
		note := filepath.Join(t.TempDir(), "name")
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInner$", "-test.v")
		cmd.Env = append(os.Environ(), "PGTEST_NOTE="+note, "PGTEST_FAIL="+fail)
		out, err := cmd.CombinedOutput()
		require.Equal(t, fail != "", err != nil, string(out))
		name, err := os.ReadFile(note)
		require.NoError(t, err, string(out))
		require.Equal(t, fail != "", exists(string(name)))
		if fail != "" {
			require.Contains(t, string(out), "the database is kept: psql")
			require.Contains(t, string(out), string(name))
			_, err := pgtest.New(t).Admin(t).Exec(t.Context(), "drop database "+string(name))
			require.NoError(t, err)
		}
	}
}

// A missing server fails and names the command that works.
func TestWithoutServer(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInner$")
	for _, kv := range os.Environ() {
		if len(kv) < len(pgtest.Variable) || kv[:len(pgtest.Variable)] != pgtest.Variable {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "PGTEST_NOTE="+filepath.Join(t.TempDir(), "name"))
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "it is not skipped")
	require.Contains(t, string(out), "go run ./tools/withpostgres go test ./...")
}

func TestInner(t *testing.T) {
	t.Parallel()
	note := os.Getenv("PGTEST_NOTE")
	if note == "" {
		return // only other tests run it to any purpose
	}
	require.NoError(t, os.WriteFile(note, []byte(pgtest.New(t).Name), 0o600))
	if os.Getenv("PGTEST_FAIL") != "" {
		t.Error("as ordered")
	}
}
