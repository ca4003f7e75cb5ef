package pgtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/deploy/postgres"
	"github.com/rampkeeper/rampkeeper/internal/store"
	"github.com/rampkeeper/rampkeeper/migrations"
)

// templateLock is the advisory lock under which roles and templates are made:
// the tests of several packages run as processes of their own.
const templateLock = 7312046511

// made remembers that this process knows the template to be whole.
var made struct {
	sync.Mutex
	ready bool
	err   error
}

// template gives the name of the database that test databases are copied of,
// and makes it if no process has made it yet.
func template(t testing.TB, server *url.URL) string {
	t.Helper()
	name := "rk_tmpl_" + schemaHash()
	made.Lock()
	defer made.Unlock()
	if !made.ready && made.err == nil {
		made.err = makeTemplate(server, name)
		made.ready = made.err == nil
	}
	require.NoError(t, made.err, "making the template of the test databases")
	return name
}

// schemaHash names the template by what is in it.
func schemaHash() string {
	h := sha256.New()
	fmt.Fprintln(h, postgres.Roles)
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		panic("pgtest: " + err.Error()) // the pattern is well-formed
	}
	for _, name := range names {
		b, err := fs.ReadFile(migrations.FS, name)
		if err != nil {
			panic("pgtest: " + err.Error()) // it is embedded
		}
		fmt.Fprintln(h, name, len(b))
		h.Write(b)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

func makeTemplate(server *url.URL, name string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.String())
	if err != nil {
		return fmt.Errorf("connecting to the server that %s names: %w", Variable, err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }() // gives the lock back
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", templateLock); err != nil {
		return fmt.Errorf("waiting for the other test processes: %w", err)
	}
	var whole bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1 and datistemplate)", name).Scan(&whole); err != nil {
		return fmt.Errorf("looking for the template: %w", err)
	}
	if whole {
		return nil
	}
	if err := store.Roles(ctx, server.String()); err != nil {
		return err
	}
	id := pgx.Identifier{name}.Sanitize()
	for _, sql := range []string{"drop database if exists " + id + " with (force)", "create database " + id + " template template0"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("making the template: %w", err)
		}
	}
	target := *server
	target.Path = "/" + name
	if _, _, err := store.Migrate(ctx, target.String()); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "alter database "+id+" with is_template true allow_connections false"); err != nil {
		return fmt.Errorf("closing the template: %w", err)
	}
	return nil
}
