package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockDir keeps two starters from working on one directory at the same time.
// It is held while a cluster is made or started; a running server is told by
// its pid file.
func lockDir(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, "start.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the directory of the database, %s, cannot be written to: %w. Use a directory of your own, or start as its owner", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process is starting a database in %s: wait for it, or name another directory", dir), f.Close())
	}
	return func() {
		// Not by closing alone: a child that is just being started holds a
		// copy of the file, and the lock with it, until it runs its program.
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		_ = f.Close()
	}, nil
}

const pidFile = "postmaster.pid"

// How long a server that is on its way out is waited for: one whose starter
// was killed learns of it from the kernel and shuts down by itself, which
// shows in its pid file a moment later.
const (
	noticing = time.Second
	stopping = stopWithin
)

// awaitStale does what clearStale does, once a server that is shutting down
// has gone.
func awaitStale(ctx context.Context, data string) error {
	for waited := time.Duration(0); ; {
		err := clearStale(data)
		leaving := waited < noticing || waited < stopping && statusOf(data) == "stopping"
		if !errors.As(err, new(runningError)) || !leaving {
			return err
		}
		const pause = 50 * time.Millisecond
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			waited += pause
		}
	}
}

// statusOf gives the state that a server says it is in.
func statusOf(data string) string {
	const line = 7
	if lines := readLines(filepath.Join(data, pidFile)); len(lines) > line {
		return strings.TrimSpace(lines[line])
	}
	return ""
}

// runningError says that a server runs in the directory.
type runningError struct {
	data string
	pid  int
}

func (e runningError) Error() string {
	return fmt.Sprintf("a database is already running in %s (pid %d): stop it first, or name another directory", e.data, e.pid)
}

// clearStale looks at the pid file of an earlier server. One that runs is an
// error; a file whose process is gone is left to PostgreSQL; a file whose pid
// now belongs to another program would make PostgreSQL refuse to start, so it
// is removed.
func clearStale(data string) error {
	path := filepath.Join(data, pidFile)
	lines := readLines(path)
	if len(lines) == 0 {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 0 {
		return nil //nolint:nilerr // PostgreSQL says what it thinks of such a file
	}
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return nil
	}
	running, err := isServerOf(pid, data)
	if err != nil {
		return err
	}
	if running {
		return runningError{data, pid}
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the pid file that an earlier server left: %w", err)
	}
	return nil
}

// isServerOf says whether the process is the server of the data directory: it
// runs as the directory's owner and its working directory is the directory.
func isServerOf(pid int, data string) (bool, error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	owner, err := ownerOf(data)
	if err != nil {
		return false, fmt.Errorf("looking at the database: %w", err)
	}
	if uid, err := ownerOf(proc); err != nil || uid != owner {
		return false, nil //nolint:nilerr // a process that is gone is not the server
	}
	cwd, err := os.Readlink(filepath.Join(proc, "cwd"))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("a process that cannot be looked at (pid %d) may be running the database in %s: end it, or name another directory", pid, data)
	}
	resolved, err := filepath.EvalSymlinks(data)
	if err != nil {
		return false, fmt.Errorf("looking at the database: %w", err)
	}
	return cwd == resolved, nil
}

func ownerOf(path string) (uint32, error) {
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		return 0, err
	}
	return stat.Uid, nil
}

func readLines(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(string(b), "\n")
}
