// Package cluster runs a private PostgreSQL cluster: its own data directory,
// a socket directory that only its owner can enter, and no TCP unless it is
// asked for. It works for a user and for root, who may not run PostgreSQL and
// hands it to a lesser account. Every failure is a sentence that says what to
// do about it.
//
// The server is a direct child of this process. When this process dies, by
// whatever signal, the kernel asks the server to shut down.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Config is what to run. Only Dir must be set.
type Config struct {
	// Dir is where the data directory "pg" is made. It is made if missing and
	// belongs to this cluster alone.
	Dir string
	// BinDir holds initdb and postgres. If it is empty, $RAMPKEEPER_PG_BIN,
	// the newest /usr/lib/postgresql/*/bin and $PATH are looked at.
	BinDir string
	// TCP makes the server listen on 127.0.0.1 too, where passwords are asked
	// for. Port is its port; 0 takes a free one.
	TCP  bool
	Port int
	// HBA holds lines of pg_hba.conf that come before the usual ones.
	HBA string
	// Settings are server settings, over those of this package.
	Settings map[string]string
	// Fsync makes commits durable. Without it a crash of the machine may lose
	// the whole cluster, which is right for tests.
	Fsync bool
	// Log receives the server's log; it is discarded if nil.
	Log io.Writer
}

// Superuser is the name of the role that owns a cluster.
const Superuser = "rampkeeper"

// stopWithin is how long a server may take to shut down in order.
const stopWithin = 20 * time.Second

// Cluster is a running server.
type Cluster struct {
	DataDir   string
	SocketDir string
	Port      int // on 127.0.0.1; 0 without TCP
	Version   string

	server *server
}

// Start makes the cluster if it is not there yet, starts it and waits until
// it answers. It runs until Stop, or until this process ends.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if cfg.Dir == "" {
		return nil, errors.New("the PostgreSQL cluster needs a directory")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", cfg.Dir, err)
	}
	bin, err := findBinaries(cfg.BinDir)
	if err != nil {
		return nil, err
	}
	who, err := accountFor(os.Geteuid())
	if err != nil {
		return nil, err
	}
	if err := prepareDir(dir, who); err != nil {
		return nil, err
	}
	if err := bin.reachable(who); err != nil {
		return nil, err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	data := filepath.Join(dir, "pg")
	if err := awaitStale(ctx, data); err != nil {
		return nil, err
	}
	if err := initialize(ctx, bin, who, data); err != nil {
		return nil, err
	}
	if err := writeHBA(data, who, cfg); err != nil {
		return nil, err
	}
	// Between finding a free port and the server taking it somebody else may
	// take it, so a port of our choice is chosen again.
	for attempt := 1; ; attempt++ {
		c, err := start(ctx, bin, who, data, cfg)
		if err == nil || !cfg.TCP || cfg.Port != 0 || attempt == 3 {
			return c, err
		}
	}
}

func start(ctx context.Context, bin binaries, who account, data string, cfg Config) (*Cluster, error) {
	c := &Cluster{DataDir: data, Version: bin.version}
	var err error
	if cfg.TCP {
		if c.Port, err = freePort(cfg.Port); err != nil {
			return nil, err
		}
	}
	if c.SocketDir, err = makeSocketDir(who, filepath.Dir(data)); err != nil {
		return nil, err
	}
	if c.server, err = launch(ctx, bin, who, c, cfg); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.SocketDir))
	}
	return c, nil
}

// DSN gives the address for a user and database by the socket, where no
// password is asked for.
func (c *Cluster) DSN(user, database string) string {
	q := url.Values{"host": {c.SocketDir}, "port": {strconv.Itoa(c.socketPort())}}
	return (&url.URL{Scheme: "postgres", User: url.User(user), Path: "/" + database, RawQuery: q.Encode()}).String()
}

// TCPDSN gives the address for a user, a password and a database on 127.0.0.1.
func (c *Cluster) TCPDSN(user, password, database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password),
		Host: "127.0.0.1:" + strconv.Itoa(c.Port), Path: "/" + database,
	}).String()
}

// socketPort names the socket. The server uses one number for the socket and
// for TCP.
func (c *Cluster) socketPort() int {
	if c.Port != 0 {
		return c.Port
	}
	return 5432
}

// Done is closed when the server has ended, for whatever reason.
func (c *Cluster) Done() <-chan struct{} { return c.server.done }

// Stop shuts the server down and waits for it. Sessions are ended. Stopping
// twice is harmless.
func (c *Cluster) Stop() error {
	err := c.server.stop()
	return errors.Join(err, os.RemoveAll(c.SocketDir))
}
