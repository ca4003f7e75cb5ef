package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/cluster"
	"github.com/rampkeeper/rampkeeper/internal/connector/postgres"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
)

// binsVariable names the bin directories of more versions to test with,
// separated by colons.
const binsVariable = "RAMPKEEPER_TEST_PG_BINS"

// server is a PostgreSQL server with a database that is prepared as a target.
type server struct {
	name     string
	binDir   string            // "": the installed one
	settings map[string]string // beside the usual ones
	given    bool              // the one of TEST_DATABASE_URL, which trusts every login
	start    sync.Once
	err      error
	log      *syncBuffer
	stop     func()
	dsn      func(user, database string) string
}

const database = "rk_connector_target"

var servers = func() []*server {
	all := []*server{{name: "given", given: true}, {name: "installed"}}
	if bins := os.Getenv(binsVariable); bins != "" {
		for _, bin := range filepath.SplitList(bins) {
			all = append(all, &server{name: filepath.Base(filepath.Dir(bin)), binDir: bin})
		}
		return all
	}
	if os.Getenv("CI") == "true" {
		panic(binsVariable + " is not set; make test sets it")
	}
	return all
}()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range servers {
		if s.stop != nil {
			s.stop()
		}
	}
	os.Exit(code)
}

// onEach runs a test on every version of PostgreSQL there is.
func onEach(t *testing.T, test func(*testing.T, *server)) {
	t.Helper()
	t.Parallel()
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			test(t, s.up(t))
		})
	}
}

// up starts the server at its first use.
func (s *server) up(t *testing.T) *server {
	t.Helper()
	s.start.Do(func() {
		if s.given {
			s.err = s.use(t)
		} else {
			s.err = s.launch()
		}
	})
	require.NoError(t, s.err, "versions to test with are installed by tools/postgres-matrix/install.sh, or named in %s", binsVariable)
	return s
}

func (s *server) launch() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if s.binDir != "" {
		if _, err := os.Stat(filepath.Join(s.binDir, "postgres")); err != nil {
			return fmt.Errorf("looking for PostgreSQL %s: %w", s.name, err)
		}
	}
	memory := "/dev/shm"
	if _, err := os.Stat(memory); err != nil {
		memory = ""
	}
	dir, err := os.MkdirTemp(memory, "rkconn")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	s.log = &syncBuffer{}
	settings := map[string]string{"max_connections": "200", "log_statement": "all", "max_prepared_transactions": "10", "log_min_duration_statement": "0"}
	maps.Copy(settings, s.settings)
	c, err := cluster.Start(ctx, cluster.Config{
		Dir: dir, BinDir: s.binDir, Log: s.log,
		HBA:      "local all +rampkeeper_login scram-sha-256\nlocal all +rampkeeper_adopted scram-sha-256\n",
		Settings: settings,
	})
	if err != nil {
		_ = os.RemoveAll(dir)
		return err
	}
	s.stop = func() { _ = c.Stop(); _ = os.RemoveAll(dir) }
	s.dsn = c.DSN
	return s.prepare(ctx, database)
}

func (s *server) use(t *testing.T) error {
	u := pgtest.Server(t)
	name := fmt.Sprintf("rk_connector_%d", os.Getpid())
	s.dsn = func(user, db string) string {
		v := *u
		if db == database {
			db = name
		}
		v.Path = "/" + db
		if user != cluster.Superuser {
			q := v.Query()
			q.Set("user", user) // over the user of the address
			v.User, v.RawQuery = nil, q.Encode()
		}
		return v.String()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s.stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = s.exec(ctx, "postgres", "DROP DATABASE "+name+" WITH (FORCE)")
	}
	return s.prepare(ctx, name)
}

// prepare does what an administrator of a target does, twice.
func (s *server) prepare(ctx context.Context, name string) error {
	if err := s.exec(ctx, "postgres", "CREATE DATABASE "+name); err != nil {
		return err
	}
	for range 2 {
		if err := s.exec(ctx, database, postgres.SetupSQL()); err != nil {
			return err
		}
	}
	return nil
}

// exec runs statements as the superuser.
func (s *server) exec(ctx context.Context, db string, sql string) error {
	conn, err := pgx.Connect(ctx, s.dsn(cluster.Superuser, db))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("%w in %.200s", err, sql)
	}
	return nil
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) Contains(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.b.String(), text)
}
