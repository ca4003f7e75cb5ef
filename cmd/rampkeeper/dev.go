package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/internal/config"
	"github.com/rampkeeper/rampkeeper/internal/devmode"
)

type devFlags struct {
	addr, dataDir, readyFile string
	fresh, walk, verbose     bool
}

func devCommand() *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine, with made-up people and data",
		Long: `Run the broker together with a private PostgreSQL cluster, a development
OpenID provider with made-up people, a second PostgreSQL as the target to
protect, and example contracts. Data stays between runs. Ctrl-C stops it all.

It listens on this machine only, and is not for production: anybody on this
machine can sign in as anybody.`,
		Example: `  rampkeeper dev
  rampkeeper dev --walk
  rampkeeper dev --addr 127.0.0.1:0 --data-dir /tmp/two --ready-file /tmp/two.json
  RAMP_TOKEN=$(rampkeeper dev token ada) ramp whoami`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&f.addr, "addr", "", "address of the API; port 0 takes a free one (default 127.0.0.1:7780, with --walk a free port)")
	cmd.PersistentFlags().StringVar(&f.dataDir, "data-dir", "", "where data stays between runs (default "+devmode.DefaultDir()+", with --walk a temporary directory)")
	cmd.Flags().StringVar(&f.readyFile, "ready-file", "", "write addresses and people to this file as JSON once all is up")
	cmd.Flags().BoolVar(&f.fresh, "fresh", false, "start over: remove the data of earlier runs first")
	cmd.Flags().BoolVar(&f.walk, "walk", false, "play the main job, then stop; exit 0 only if every step held")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "show the broker's log and the databases'")
	cmd.AddCommand(devTokenCommand(&f))
	return cmd
}

func devTokenCommand(f *devFlags) *cobra.Command {
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:       "token NAME",
		Short:     "Print a bearer token for a demo person",
		Args:      cobra.ExactArgs(1),
		ValidArgs: devmode.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := f.dataDir
			if dir == "" {
				dir = devmode.DefaultDir()
			}
			if ttl <= 0 {
				return usageError{errors.New("--ttl must be more than 0, such as 8h")}
			}
			token, err := devmode.Token(dir, args[0], ttl)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), token)
			return nil
		},
	}
	cmd.Flags().DurationVar(&ttl, "ttl", 8*time.Hour, "how long the token is good")
	return cmd
}

func (f *devFlags) run(ctx context.Context, out io.Writer) error {
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	log, databaseLog := f.logs()
	if err := f.defaults(); err != nil {
		return err
	}
	if f.readyFile != "" {
		// What an earlier run left there must not be taken for this one's.
		if err := devmode.ClearReady(f.readyFile); err != nil {
			return err
		}
	}
	if f.walk && f.fresh {
		defer os.RemoveAll(f.dataDir)
	}
	began := time.Now()
	parts, err := devmode.Start(ctx, devmode.Options{
		Dir: f.dataDir, Addr: f.addr, Fresh: f.fresh, Log: log, Say: say, PGLog: databaseLog,
	})
	if err != nil {
		return err
	}
	defer parts.Stop()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready, ended := make(chan struct{}), make(chan error, 1)
	s := server{config: parts.Config, log: log, listener: parts.Listener, ready: func() { close(ready) }}
	go func() { ended <- s.run(ctx) }()
	select {
	case <-ready:
	case err := <-ended:
		return err
	}
	work := make(chan error, 1)
	go func() { work <- f.play(ctx, parts, say, began) }()
	select {
	case err = <-work:
	case err = <-ended:
		return err
	case <-parts.Done():
		err = fmt.Errorf("one of the databases has ended by itself; --verbose shows what it printed")
	}
	cancel()
	if ended := <-ended; err == nil {
		err = ended
	}
	if !f.walk {
		say("stopped; `make demo` goes on where this ended, FRESH=1 starts over")
	}
	return err
}

// play seeds the demo, then walks or waits.
func (f *devFlags) play(ctx context.Context, parts *devmode.Parts, say func(string, ...any), began time.Time) error {
	next, err := devmode.Seed(ctx, parts)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if f.readyFile != "" {
		if err := parts.WriteReady(f.readyFile); err != nil {
			return err
		}
		defer os.Remove(f.readyFile)
	}
	say("everything is up after %s", time.Since(began).Round(100*time.Millisecond))
	if f.walk {
		say("")
		return devmode.Walk(ctx, parts, say)
	}
	say("%s", parts.Welcome(f.dataDir, next))
	<-ctx.Done()
	return nil
}

func (f *devFlags) defaults() error {
	switch {
	case f.dataDir == "" && f.walk:
		dir, err := os.MkdirTemp("", "rampkeeper-walk-")
		if err != nil {
			return fmt.Errorf("making a temporary directory: %w", err)
		}
		// The database runs as another user when this runs as root.
		if err := os.Chmod(dir, 0o755); err != nil {
			return fmt.Errorf("making a temporary directory: %w", err)
		}
		f.dataDir, f.fresh = dir, true
	case f.dataDir == "":
		f.dataDir = devmode.DefaultDir()
	}
	if f.addr == "" {
		f.addr = "127.0.0.1:7780"
		if f.walk {
			f.addr = "127.0.0.1:0"
		}
	}
	host, _, err := net.SplitHostPort(f.addr)
	if err != nil {
		return usageError{fmt.Errorf("--addr must be a host and a port, such as 127.0.0.1:7780, not %q", f.addr)}
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return usageError{fmt.Errorf("--addr must be on this machine, such as 127.0.0.1:7780, not %q: anybody can sign in as anybody here", f.addr)}
	}
	f.dataDir, err = filepath.Abs(f.dataDir)
	return err
}

// logs keeps the terminal for people unless more is asked for: then only what
// goes wrong is shown.
func (f *devFlags) logs() (*slog.Logger, io.Writer) {
	if f.verbose {
		return newLog(config.Log{Format: "auto"}), os.Stderr
	}
	return newLog(config.Log{Format: "auto", Level: slog.LevelError}), io.Discard
}
