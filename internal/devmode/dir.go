// Package devmode starts everything that Rampkeeper needs on one machine, for
// development and for a first look: a private PostgreSQL cluster, a
// development OpenID provider with made-up people, and a second PostgreSQL
// cluster as the target to protect.
//
// Nothing here can be reached from the production configuration: only the
// command `rampkeeper dev` imports this package.
package devmode

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// DefaultDir is where the demo keeps its data between runs. Root's is not in
// its home, because the database runs as another user who could not reach it.
func DefaultDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/rampkeeper-dev"
	}
	if state := os.Getenv("XDG_STATE_HOME"); state != "" {
		return filepath.Join(state, "rampkeeper-dev")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), fmt.Sprintf("rampkeeper-dev-%d", os.Geteuid()))
	}
	return filepath.Join(home, ".local", "state", "rampkeeper-dev")
}

// dir is a locked data directory.
type dir struct {
	path string
	lock *os.File
}

// state is what must stay the same from one start to the next: people are
// identified by the issuer's address.
type state struct {
	IssuerPort int `json:"issuer_port"`
	TargetPort int `json:"target_port"`
}

// openDir makes the directory, or empties it when fresh, and locks it for as
// long as the process lives.
func openDir(path string, fresh bool) (*dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding the data directory: %w", err)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("the data directory %s cannot be made (%w); choose another with --data-dir", path, errors.Unwrap(err))
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data directory %s cannot be used (%w); choose another with --data-dir", path, errors.Unwrap(err))
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("another `rampkeeper dev` is running on %s; stop it, or start this one with another --data-dir and --addr", path)
	}
	d := &dir{path: path, lock: lock}
	if fresh {
		if err := d.empty(); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

// empty removes only what the demo itself puts there.
func (d *dir) empty() error {
	for _, name := range []string{"broker", "target", "idp", "state.json"} {
		if err := os.RemoveAll(d.join(name)); err != nil {
			return fmt.Errorf("the old data in %s cannot be removed (%w)", d.path, errors.Unwrap(err))
		}
	}
	return nil
}

func (d *dir) join(name string) string { return filepath.Join(d.path, name) }

func (d *dir) close() { _ = d.lock.Close() }

func (d *dir) load() (state, error) {
	var s state
	raw, err := os.ReadFile(d.join("state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("%s cannot be read (%w)", d.join("state.json"), errors.Unwrap(err))
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("%s is damaged; start over with --fresh", d.join("state.json"))
	}
	return s, nil
}

func (d *dir) save(s state) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	if err := os.WriteFile(d.join("state.json"), raw, 0o600); err != nil {
		return fmt.Errorf("%s cannot be written (%w)", d.join("state.json"), errors.Unwrap(err))
	}
	return nil
}
