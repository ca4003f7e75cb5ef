package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// server is the running postmaster.
type server struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  *logTail

	mu       sync.Mutex
	stopping bool
	err      error // how it ended; read after done
}

// launch starts the server and waits until it is ready.
func launch(ctx context.Context, bin binaries, who account, c *Cluster, cfg Config) (*server, error) {
	s := &server{done: make(chan struct{}), log: &logTail{out: cfg.Log}}
	s.cmd = exec.Command(bin.path("postgres"), arguments(c, cfg)...) //nolint:noctx // looked up by findBinaries; stop ends it in order
	s.cmd.Dir, s.cmd.Env = "/", environment()
	s.cmd.SysProcAttr = who.attr()
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	started := make(chan error)
	// The kernel sends the death signal when the thread that started the
	// server ends, so that thread waits for it and does nothing else.
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := s.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.cmd.Path, err)
	}
	if err := s.ready(ctx, filepath.Join(c.DataDir, pidFile)); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func arguments(c *Cluster, cfg Config) []string {
	settings := map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": c.SocketDir,
		"unix_socket_permissions": "0700",
		"port":                    strconv.Itoa(c.socketPort()),
		"password_encryption":     "scram-sha-256",
		"logging_collector":       "off",
		"log_destination":         "stderr",
		// A statement that fails may hold a password or a reason; the log
		// names the error and leaves the statement out.
		"log_min_error_statement": "panic",
	}
	if c.Port != 0 {
		settings["listen_addresses"] = "127.0.0.1"
	}
	if !cfg.Fsync {
		maps.Copy(settings, map[string]string{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
	}
	maps.Copy(settings, cfg.Settings)
	args := []string{"-D", c.DataDir}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// ready waits until the server says so in its pid file. The file of a server
// that was killed may say the same, hence the comparison of the pid.
func (s *server) ready(ctx context.Context, path string) error {
	pid := strconv.Itoa(s.cmd.Process.Pid)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		lines := readLines(path)
		if len(lines) >= 8 && lines[0] == pid && strings.TrimSpace(lines[7]) == "ready" {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("PostgreSQL ended before it was ready. It said:\n%s", s.log.String())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL was not ready in time: %w. It said:\n%s", ctx.Err(), s.log.String())
		case <-tick.C:
		}
	}
}

// stop asks for a fast shutdown, and for an immediate one when that takes too
// long; the next start then recovers from the log.
func (s *server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		<-s.done
		return nil
	}
	s.stopping = true
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping PostgreSQL: %w", err)
		}
		timer := time.NewTimer(stopWithin)
		select {
		case <-s.done:
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
	<-s.done
	return errors.New("PostgreSQL did not stop and was killed; it recovers when it is started again")
}

// startLocked runs fn on a thread of its own for the reason given in launch.
func startLocked(fn func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		result <- fn()
	}()
	return <-result
}

// logTail passes the server's log on and keeps its end for error messages.
type logTail struct {
	mu   sync.Mutex
	kept []byte
	out  io.Writer
}

// Write implements io.Writer.
func (l *logTail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const keep = 4096
	l.kept = append(l.kept, p...)
	if extra := len(l.kept) - keep; extra > 0 {
		l.kept = slices.Clone(l.kept[extra:])
	}
	if l.out != nil {
		return l.out.Write(p)
	}
	return len(p), nil
}

// String gives the last lines.
func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return tail(string(l.kept), 10)
}
