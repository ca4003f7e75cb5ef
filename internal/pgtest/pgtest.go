// Package pgtest gives every test a PostgreSQL database of its own, with the
// schema in place, on the server that TEST_DATABASE_URL names. A missing
// server fails the test; it never skips.
package pgtest

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rampkeeper/rampkeeper/internal/store"
)

// DB is a database that belongs to one test.
type DB struct {
	Name     string
	AppDSN   string // as rampkeeper_app, which is what the broker uses
	AdminDSN string // as the superuser
}

// New makes a database for the test. It is dropped when the test succeeds and
// kept, with its address in the log, when it fails.
func New(t testing.TB) *DB { panic("soon") }

// DSN gives the address of the database for another login.
func (db *DB) DSN(user string) string { panic("soon") }

// Store opens a store on a new database, as the broker's login.
func Store(t testing.TB, opts ...store.Option) *store.Store { panic("soon") }

// Store opens a store on the database, as the broker's login; it is closed at
// the end of the test.
func (db *DB) Store(t testing.TB, opts ...store.Option) *store.Store { panic("soon") }

// Reopen makes a pool for store.New inside a synctest bubble. The caller
// closes it before the bubble ends.
func Reopen(t testing.TB, db *DB) *pgxpool.Pool { panic("soon") }

// Admin opens a pool as the superuser, for arranging and looking at rows.
func (db *DB) Admin(t testing.TB) *pgxpool.Pool { panic("soon") }
