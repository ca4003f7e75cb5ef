package cluster_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/cluster"
)

// dir makes a directory that the server's account can pass through, which
// t.TempDir is not.
func dir(t *testing.T) string {
	t.Helper()
	where := "/dev/shm" // in memory, where there is such a place
	if _, err := os.Stat(where); err != nil {
		where = ""
	}
	d, err := os.MkdirTemp(where, "rkcluster") //nolint:usetesting // see above
	require.NoError(t, err)
	require.NoError(t, os.Chmod(d, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(d)) })
	return d
}

func start(t *testing.T, cfg cluster.Config) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	return c
}

func ask(t *testing.T, dsn, sql string) (answer string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&answer))
	return answer
}

func TestStart(t *testing.T) {
	t.Parallel()
	d := filepath.Join(dir(t), "made", "on demand")
	cfg := cluster.Config{Dir: d, Settings: map[string]string{"max_connections": "17"}}
	c := start(t, cfg)
	dsn := c.DSN(cluster.Superuser, "postgres")
	require.Equal(t, "17", ask(t, dsn, "show max_connections"))
	require.Equal(t, "off", ask(t, dsn, "show fsync"))
	require.Empty(t, ask(t, dsn, "show listen_addresses"))
	require.Equal(t, "UTF8 C.UTF-8", ask(t, dsn, "select current_setting('server_encoding') || ' ' || datcollate from pg_database where datname = 'postgres'"))
	require.Equal(t, "kept", ask(t, dsn, "select 'kept' from pg_create_physical_replication_slot('kept')"))
	require.True(t, strings.HasPrefix(ask(t, dsn, "show server_version"), c.Version))
	require.Zero(t, c.Port)
	info, err := os.Stat(c.SocketDir)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o700, info.Mode())

	_, err = cluster.Start(t.Context(), cfg)
	require.ErrorContains(t, err, "a database is already running in "+filepath.Join(d, "pg"))

	require.NoError(t, c.Stop())
	require.NoError(t, c.Stop(), "twice is harmless")
	<-c.Done()
	require.NoDirExists(t, c.SocketDir)

	cfg.Fsync = true
	again := start(t, cfg)
	dsn = again.DSN(cluster.Superuser, "postgres")
	require.Equal(t, "kept", ask(t, dsn, "select slot_name::text from pg_replication_slots"))
	require.Equal(t, "on on", ask(t, dsn, "select current_setting('fsync') || ' ' || current_setting('synchronous_commit')"))

	// The server is killed and started again by whoever started it.
	require.NoError(t, syscall.Kill(postmaster(t, d), syscall.SIGKILL))
	<-again.Done()
	require.NoError(t, again.Stop())
	require.Equal(t, "kept", ask(t, start(t, cfg).DSN(cluster.Superuser, "postgres"), "select slot_name::text from pg_replication_slots"))
}

func TestTCPAsksForPasswords(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{Dir: dir(t), TCP: true, HBA: "host all locked_out 127.0.0.1/32 reject"})
	require.NotZero(t, c.Port)
	conn, err := pgx.Connect(t.Context(), c.DSN(cluster.Superuser, "postgres"))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), "create role someone login password 'right'; create role locked_out login password 'right'")
	require.NoError(t, err)

	require.Equal(t, "someone", ask(t, c.TCPDSN("someone", "right", "postgres"), "select current_user::text"))
	for _, dsn := range []string{
		c.TCPDSN("someone", "wrong", "postgres"), c.TCPDSN("someone", "", "postgres"),
		c.TCPDSN("locked_out", "right", "postgres"), c.TCPDSN(cluster.Superuser, "", "postgres"),
	} {
		_, err := pgx.Connect(t.Context(), dsn)
		require.Error(t, err, dsn)
	}
}

// What stops a start is said in a sentence that names a way out.
func TestFailuresAreSentences(t *testing.T) {
	t.Parallel()
	fails := func(cfg cluster.Config, says ...string) {
		t.Helper()
		_, err := cluster.Start(t.Context(), cfg)
		for _, part := range says {
			require.ErrorContains(t, err, part)
		}
	}
	fails(cluster.Config{}, "needs a directory")
	fails(cluster.Config{Dir: dir(t), BinDir: dir(t)}, "PostgreSQL is not installed here", "initdb")

	file := filepath.Join(dir(t), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	fails(cluster.Config{Dir: file}, "it is not a directory")

	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	port := busy.Addr().(*net.TCPAddr).Port
	fails(cluster.Config{Dir: dir(t), TCP: true, Port: port}, fmt.Sprintf("cannot listen on 127.0.0.1:%d", port), "0 for a free one")

	strange := dir(t)
	require.NoError(t, os.Mkdir(filepath.Join(strange, "pg"), 0o755))
	fails(cluster.Config{Dir: strange}, "is not a PostgreSQL data directory")

	locked := dir(t)
	lock, err := os.Create(filepath.Join(locked, "start.lock"))
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	fails(cluster.Config{Dir: locked}, "another process is starting a database in "+locked)

	wrong := cluster.Config{Dir: dir(t), Settings: map[string]string{"no_such_setting": "1"}}
	fails(wrong, "PostgreSQL ended before it was ready", "no_such_setting")
}

// What an earlier run left behind does not stop the next one.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	d := dir(t)
	require.NoError(t, os.Mkdir(filepath.Join(d, "pg.init"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(d, "pg.init", "half"), nil, 0o600))
	c, err := cluster.Start(t.Context(), cluster.Config{Dir: d})
	require.NoError(t, err)
	require.NoError(t, c.Stop())
	require.NoDirExists(t, filepath.Join(d, "pg.init"))

	// A pid file whose pid belongs to another program of the same account.
	pidFile := filepath.Join(d, "pg", "postmaster.pid")
	sleeper := exec.Command("sleep", "600")
	sleeper.Dir = "/"
	owner, err := os.Stat(filepath.Join(d, "pg"))
	require.NoError(t, err)
	if stat := owner.Sys().(*syscall.Stat_t); os.Geteuid() == 0 {
		sleeper.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}}
	}
	require.NoError(t, sleeper.Start())
	t.Cleanup(func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() })
	require.NoError(t, os.WriteFile(pidFile, fmt.Appendf(nil, "%d\n%s\n1\n5432\n/tmp\n\n1 1\nready\n", sleeper.Process.Pid, filepath.Join(d, "pg")), 0o600))
	require.NoError(t, start(t, cluster.Config{Dir: d}).Stop())
}

const helperVariable = "RAMPKEEPER_TEST_CLUSTER_DIR"

// TestHelper is another process that starts a cluster and waits to be killed.
func TestHelper(t *testing.T) {
	t.Parallel()
	d := os.Getenv(helperVariable)
	if d == "" {
		return // only other tests run it to any purpose
	}
	c := start(t, cluster.Config{Dir: d})
	require.Equal(t, "works", ask(t, c.DSN(cluster.Superuser, "postgres"), "select 'works'"))
	require.NoError(t, os.WriteFile(filepath.Join(d, "ready"), []byte(c.SocketDir), 0o600))
	if os.Getenv(helperVariable+"_WAIT") != "" {
		time.Sleep(time.Minute)
	}
}

func helper(t *testing.T, d string, env ...string) *exec.Cmd {
	t.Helper()
	binary := filepath.Join(dir(t), "test")
	text, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, text, 0o755))
	cmd := exec.Command(binary, "-test.run=^TestHelper$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), append(env, helperVariable+"="+d)...)
	return cmd
}

// When whoever started it is killed, the server shuts down, and the next start
// removes the socket directory that was left.
func TestStarterIsKilled(t *testing.T) {
	t.Parallel()
	d := dir(t)
	cmd := helper(t, d, helperVariable+"_WAIT=1")
	require.NoError(t, cmd.Start())
	ready := filepath.Join(d, "ready")
	require.Eventually(t, func() bool { b, err := os.ReadFile(ready); return err == nil && len(b) > 0 }, time.Minute, 10*time.Millisecond)
	pid := postmaster(t, d)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(d, "pg", "postmaster.pid"))
		return os.IsNotExist(err) && !running(pid)
	}, time.Minute, 10*time.Millisecond)

	left, err := os.ReadFile(ready)
	require.NoError(t, err)
	start(t, cluster.Config{Dir: d})
	require.NoDirExists(t, string(left))
}

// Root hands the server to another account; an ordinary user runs it as is.
// A test run as root tries both.
func TestAsUser(t *testing.T) {
	t.Parallel()
	d := dir(t)
	cmd := helper(t, d, "TMPDIR=/tmp", "HOME=/")
	if os.Geteuid() == 0 {
		const nobody = 65534
		require.NoError(t, os.Chown(d, nobody, nobody))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

func postmaster(t *testing.T, d string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d, "pg", "postmaster.pid"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.SplitN(string(b), "\n", 2)[0])
	require.NoError(t, err)
	return pid
}

// running looks whether a process is there and no zombie.
func running(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func TestStartGivesUpInTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := cluster.Start(ctx, cluster.Config{Dir: dir(t)})
	require.ErrorIs(t, err, context.Canceled)
}
