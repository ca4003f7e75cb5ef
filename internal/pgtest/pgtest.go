// Package pgtest gives every test a PostgreSQL database of its own, with the
// schema in place, on the server that TEST_DATABASE_URL names. A missing
// server fails the test; it never skips.
//
// The variable is the address of a superuser, and the server must trust the
// application's logins, which have no passwords: `go run ./tools/withpostgres
// go test ./...` starts such a server, runs the command and removes it.
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Variable names the environment variable with the server's address.
const Variable = "TEST_DATABASE_URL"

// DB is a database that belongs to one test.
type DB struct {
	Name     string
	AppDSN   string // as rampkeeper_app, which is what the broker uses
	AdminDSN string // as the superuser

	server *url.URL
}

// New makes a database with the schema for the test. It is dropped when the
// test succeeds and kept, with its address in the log, when it fails.
func New(t testing.TB) *DB {
	t.Helper()
	server := Server(t)
	source := template(t, server)
	return create(t, server, "template "+pgx.Identifier{source}.Sanitize()+" strategy file_copy")
}

// Empty makes a database without the schema, in a cluster that has the roles.
func Empty(t testing.TB) *DB {
	t.Helper()
	server := Server(t)
	template(t, server)
	return create(t, server, "template template0")
}

// Server gives the superuser's address of the server that tests use.
func Server(t testing.TB) *url.URL {
	t.Helper()
	address := os.Getenv(Variable)
	if address == "" {
		t.Fatalf("%s is not set, and this test needs a PostgreSQL server. This starts one and removes it: go run ./tools/withpostgres go test ./...", Variable)
	}
	server, err := url.Parse(address)
	require.NoError(t, err, "%s is an address such as postgres://postgres@127.0.0.1:5432/postgres", Variable)
	return server
}

func create(t testing.TB, server *url.URL, how string) *DB {
	t.Helper()
	db := &DB{Name: "rk_test_" + randomName(), server: server}
	db.AdminDSN = db.DSN(server.User.Username())
	db.AppDSN = db.DSN("rampkeeper_app")
	name := pgx.Identifier{db.Name}.Sanitize()
	onServer(t, server, "create database "+name+" "+how)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the database is kept: psql %q", db.AdminDSN)
			return
		}
		onServer(t, server, "drop database if exists "+name+" with (force)")
	})
	return db
}

func randomName() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return fmt.Sprintf("%x", b)
}

// onServer runs one statement in the server's own database.
func onServer(t testing.TB, server *url.URL, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.String())
	require.NoError(t, err, "connecting to the server that %s names", Variable)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	require.NoError(t, err, sql)
}

// DSN gives the address of the database for a login.
func (db *DB) DSN(user string) string {
	u := *db.server
	u.Path = "/" + db.Name
	if user != db.server.User.Username() {
		u.User = url.User(user)
	}
	return u.String()
}

// Store opens a store on a new database, as the broker's login.
func Store(t testing.TB, opts ...store.Option) *store.Store {
	t.Helper()
	return New(t).Store(t, opts...)
}

// Store opens a store on the database, as the broker's login. It is closed at
// the end of the test.
func (db *DB) Store(t testing.TB, opts ...store.Option) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), db.AppDSN, append([]store.Option{store.WithAsyncCommit()}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// Reopen makes a pool for store.New inside a synctest bubble, where goroutines
// of the pool belong to the bubble. The caller closes it before the bubble
// ends, and starts no Listen inside: it would never block durably.
func Reopen(t testing.TB, db *DB) *pgxpool.Pool {
	t.Helper()
	pool, err := store.NewPool(t.Context(), db.AppDSN, store.WithAsyncCommit())
	require.NoError(t, err)
	return pool
}

// Admin opens a pool as the superuser, for arranging rows and looking at them.
// It is closed at the end of the test.
func (db *DB) Admin(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), db.AdminDSN)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}
