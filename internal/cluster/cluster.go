// Package cluster runs a private PostgreSQL cluster.
package cluster

import (
	"context"
	"io"
)

// Config is what to run. Zero values are useful: only Dir is needed.
type Config struct {
	Dir      string // data directory's parent; made if missing
	BinDir   string // holds initdb and postgres; found if empty
	Port     int    // of TCP on 127.0.0.1; see TCP
	TCP      bool   // also listen on 127.0.0.1, with SCRAM; Port 0 takes a free one
	HBA      string // lines of pg_hba.conf before the defaults
	Settings map[string]string
	Fsync    bool
	Log      io.Writer
}

// Cluster is a running server.
type Cluster struct {
	SocketDir string
	Port      int // of TCP, 0 without
	Superuser string
}

// Start runs a cluster until Stop.
func Start(ctx context.Context, cfg Config) (*Cluster, error) { panic("soon") }

// DSN gives the address for a user and database, by the socket.
func (c *Cluster) DSN(user, database string) string { panic("soon") }

// TCPDSN gives the address for a user, password and database, by TCP.
func (c *Cluster) TCPDSN(user, password, database string) string { panic("soon") }

// Done is closed when the server has ended, for whatever reason.
func (c *Cluster) Done() <-chan struct{} { panic("soon") }

// Stop ends the server and waits for it.
func (c *Cluster) Stop() error { panic("soon") }
