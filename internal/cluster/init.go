package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// prepareDir makes the directory and sees that the server's account can get
// at it.
func prepareDir(dir string, who account) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(dir, 0o755); err != nil { // the server's account has to pass; the data below is 0700
			return fmt.Errorf("making the directory of the database: %w", err)
		}
		if err := os.Chmod(dir, 0o755); err != nil { // as above, whatever the umask is
			return fmt.Errorf("making the directory of the database: %w", err)
		}
	case err != nil:
		return fmt.Errorf("looking at the directory of the database: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is to hold the database, but it is not a directory: name another one", dir)
	}
	return who.canEnter(dir)
}

const socketDirPrefix = "rkpg"

// makeSocketDir makes a directory with a short name, because the name of a
// socket has at most 107 bytes, that only the server's account and we enter.
// Its name is kept beside the data, so that the next start can remove what a
// process that was killed left behind.
func makeSocketDir(who account, dir string) (string, error) {
	kept := filepath.Join(dir, "socket-dir")
	if old, err := os.ReadFile(kept); err == nil && strings.HasPrefix(filepath.Base(string(old)), socketDirPrefix) {
		if err := os.RemoveAll(string(old)); err != nil {
			return "", fmt.Errorf("removing the socket directory of an earlier server: %w", err)
		}
	}
	temp := os.TempDir()
	if len(temp) > 60 || who.canEnter(temp) != nil {
		temp = "/tmp"
	}
	sockets, err := os.MkdirTemp(temp, socketDirPrefix)
	if err != nil {
		return "", fmt.Errorf("making a directory for the database's socket: %w", err)
	}
	if err := who.own(sockets); err != nil {
		return "", errors.Join(err, os.RemoveAll(sockets))
	}
	if err := os.WriteFile(kept, []byte(sockets), 0o600); err != nil {
		return "", errors.Join(fmt.Errorf("noting the database's socket: %w", err), os.RemoveAll(sockets))
	}
	return sockets, nil
}

// initialize makes the data directory unless it is there. It is made beside
// and renamed, so that one that was interrupted never looks whole.
func initialize(ctx context.Context, bin binaries, who account, data string) error {
	version, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err == nil {
		return fitting(data, strings.TrimSpace(string(version)), bin, who)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("looking at the database in %s: %w. If it belongs to another account, use a directory of your own or start as that account", data, err)
	}
	if _, err := os.Stat(data); err == nil {
		return fmt.Errorf("%s exists and is not a PostgreSQL data directory: move it away, or name another directory", data)
	}
	half := data + ".init"
	if err := os.RemoveAll(half); err != nil {
		return fmt.Errorf("removing a database that was never finished: %w", err)
	}
	if err := os.Mkdir(half, 0o700); err != nil {
		return fmt.Errorf("making the directory of the database: %w", err)
	}
	if err := who.own(half); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, bin.path("initdb"), "-D", half, "-U", Superuser, "-A", "trust",
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	cmd.Dir, cmd.Env = "/", environment()
	cmd.SysProcAttr = who.attr()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := startLocked(cmd.Run); err != nil {
		return fmt.Errorf("making the database in %s with %s: %w\n%s", half, cmd.Path, err, tail(out.String(), 10))
	}
	if err := os.Rename(half, data); err != nil {
		return fmt.Errorf("putting the new database in place: %w", err)
	}
	return nil
}

// fitting says whether an existing data directory is one that this account can
// run with these programs.
func fitting(data, version string, bin binaries, who account) error {
	owner, err := ownerOf(data)
	if err != nil {
		return fmt.Errorf("looking at the database: %w", err)
	}
	if int(owner) != who.uid {
		return fmt.Errorf("the database in %s belongs to uid %d, and PostgreSQL would run as %s here: start as the account that made it, or name another directory", data, owner, who.name)
	}
	if ours, _, _ := strings.Cut(bin.version, "."); version != ours {
		return fmt.Errorf("the database in %s was made by PostgreSQL %s and this is %s (%s): set %s to the bin directory of version %s, or start over in another directory",
			data, version, bin.version, bin.dir, binVariable, version)
	}
	return nil
}

// environment is all that the server's programs see of ours: with the caller's
// own they might read its configuration files, or not be able to.
func environment() []string {
	return []string{"LC_ALL=C.UTF-8", "TZ=UTC", "PATH=/usr/bin:/bin"}
}

// writeHBA says who may connect: by the socket, whoever can enter its
// directory; by TCP from this machine, who knows the password.
func writeHBA(data string, who account, cfg Config) error {
	lines := strings.TrimRight(cfg.HBA, "\n")
	if lines != "" {
		lines += "\n"
	}
	lines += "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
	path := filepath.Join(data, "pg_hba.conf")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		return fmt.Errorf("writing who may connect to the database: %w", err)
	}
	return who.own(path)
}

// freePort checks a port that was asked for, or finds a free one.
func freePort(want int) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(want))) //nolint:noctx // it is bound at once or not at all
	if err != nil {
		return 0, fmt.Errorf("the database cannot listen on 127.0.0.1:%d: %w. Choose another port, or 0 for a free one", want, err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	return port, nil
}

// tail gives the last lines of a log.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
