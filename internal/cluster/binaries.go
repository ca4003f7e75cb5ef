package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// ErrNoPostgres is in the tree of the error when no PostgreSQL is installed.
var ErrNoPostgres = errors.New("PostgreSQL is not installed here, or not where it was looked for")

// binaries is one installation of PostgreSQL.
type binaries struct {
	dir     string
	version string
}

const binVariable = "RAMPKEEPER_PG_BIN"

// findBinaries looks for initdb and postgres: where it was told, in
// $RAMPKEEPER_PG_BIN, in the newest version of Debian's, and on $PATH.
func findBinaries(told string) (binaries, error) {
	switch {
	case told != "":
	case os.Getenv(binVariable) != "":
		told = os.Getenv(binVariable)
	default:
		for _, dir := range usualPlaces() {
			if complete(dir) == nil {
				return binaries{dir: dir}.withVersion()
			}
		}
		return binaries{}, fmt.Errorf("%w: looked in /usr/lib/postgresql/*/bin and on $PATH. Install it (on Debian: apt-get install -y --no-install-recommends postgresql), or set %s to the directory that holds initdb and postgres", ErrNoPostgres, binVariable)
	}
	if err := complete(told); err != nil {
		return binaries{}, fmt.Errorf("%w: %w. Name the directory that holds both initdb and postgres", ErrNoPostgres, err)
	}
	return binaries{dir: told}.withVersion()
}

var versionDir = regexp.MustCompile(`^/usr/lib/postgresql/(\d+)/bin$`)

func usualPlaces() []string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(dirs, func(a, b string) int { return major(b) - major(a) })
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	return dirs
}

func major(dir string) int {
	m := versionDir.FindStringSubmatch(dir)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return n
}

// complete says what is missing in a directory.
func complete(dir string) error {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if info.IsDir() || info.Mode()&0o111 == 0 {
			return fmt.Errorf("%s is not a program", filepath.Join(dir, name))
		}
	}
	return nil
}

func (b binaries) withVersion() (binaries, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, b.path("postgres"), "--version").Output()
	if err != nil {
		return b, fmt.Errorf("asking %s for its version: %w", b.path("postgres"), err)
	}
	b.version = regexp.MustCompile(`\d+(\.\d+)?`).FindString(string(out))
	if n, err := strconv.Atoi(regexp.MustCompile(`^\d+`).FindString(b.version)); err != nil || n < 15 {
		return b, fmt.Errorf("%s is version %q; Rampkeeper needs PostgreSQL 15 or later", b.path("postgres"), b.version)
	}
	return b, nil
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// reachable says whether the account that will run the server can get at it.
func (b binaries) reachable(who account) error {
	dir, err := filepath.EvalSymlinks(b.dir)
	if err != nil {
		return fmt.Errorf("finding PostgreSQL: %w", err)
	}
	return who.canEnter(dir)
}
