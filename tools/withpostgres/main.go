// Command withpostgres runs a command with a private PostgreSQL cluster that
// lives as long as the command, and passes its exit code on:
//
//	go run ./tools/withpostgres go test ./...
//
// The command finds the superuser's address in TEST_DATABASE_URL. The cluster
// lies in memory where there is room, and gives up durability for speed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/cluster"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
	}
	os.Exit(code)
}

const (
	failed = 125 // as env and timeout do: it was us, not the command
	usage  = 2
)

func run(args []string) (int, error) {
	if len(args) == 0 {
		return usage, errors.New("name the command to run, as in `go run ./tools/withpostgres go test ./...`")
	}
	// A signal is the command's to answer: it has it too, being in our process
	// group; we wait for it and clean up.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	dir, err := os.MkdirTemp(roomiest(), "rkpgdata")
	if err != nil {
		return failed, fmt.Errorf("making a directory for the cluster: %w", err)
	}
	defer os.RemoveAll(dir)                      // nothing is left to do about it
	if err := os.Chmod(dir, 0o755); err != nil { // the server's account has to pass; the data below is 0700
		return failed, fmt.Errorf("opening the directory of the cluster: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Config{Dir: dir, Settings: map[string]string{
		"max_connections":           "300",
		"max_locks_per_transaction": "256",
		"wal_level":                 "minimal",
		"max_wal_senders":           "0",
		"autovacuum":                "off",
	}})
	if err != nil {
		return failed, err
	}
	code, err := command(args, c.DSN(cluster.Superuser, "postgres"), signals)
	return code, errors.Join(err, c.Stop())
}

func command(args []string, dsn string, signals <-chan os.Signal) (int, error) {
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // running what we are told to is the purpose; it ends by itself or by a signal
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "TEST_DATABASE_URL="+dsn)
	if err := cmd.Start(); err != nil {
		return failed, fmt.Errorf("starting the command: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s != os.Interrupt {
				_ = cmd.Process.Signal(s) // it may have ended just now
			}
		case err := <-ended:
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				return max(exit.ExitCode(), 1), nil
			}
			if err != nil {
				return failed, fmt.Errorf("waiting for the command: %w", err)
			}
			return 0, nil
		}
	}
}

// roomiest gives a file system in memory that has room, or "" for the usual
// place of temporary files.
func roomiest() string {
	const (
		memory = "/dev/shm"
		tmpfs  = 0x01021994
		enough = 1 << 30
	)
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memory, &fs); err != nil || fs.Type != tmpfs || fs.Bavail*uint64(fs.Bsize) < enough {
		return ""
	}
	return memory
}
