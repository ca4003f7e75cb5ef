package store_test

import (
	"testing"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// describe gives everything that the schema consists of, as one text.
const describe = `
select string_agg(line, E'\n' order by line collate "C") from (
  select 'column ' || table_schema || '.' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') as line
  from information_schema.columns where table_schema in ('core', 'audit')
  union all
  select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
  where connamespace in (select oid from pg_namespace where nspname in ('core', 'audit'))
  union all
  select 'index ' || indexdef from pg_indexes where schemaname in ('core', 'audit')
  union all
  select 'trigger ' || pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text from pg_trigger t where not tgisinternal
  union all
  select 'function ' || p.oid::regprocedure || ' ' || md5(p.prosrc) || ' ' || coalesce(p.proacl::text, '') from pg_proc p
  where pronamespace in (select oid from pg_namespace where nspname in ('core', 'audit'))
  union all
  select 'table ' || c.oid::regclass || ' ' || c.relowner::regrole || ' ' || coalesce(c.relacl::text, '') from pg_class c
  where relnamespace in (select oid from pg_namespace where nspname in ('core', 'audit'))
) x`

// Up, down and up again gives the schema that up gives, and every step down
// can be taken.
func TestMigrateUpDownUp(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	schema := func() (text *string) {
		t.Helper()
		must(t, db.Admin(t).QueryRow(t.Context(), describe).Scan(&text))
		return text
	}
	from, to, err := store.Migrate(t.Context(), db.AdminDSN)
	must(t, err)
	require.Equal(t, []uint{0, store.Newest()}, []uint{from, to})
	first := schema()
	require.Contains(t, *first, "table core.grant")
	for version := store.Newest(); version > 0; version-- {
		must(t, store.MigrateTo(t.Context(), db.AdminDSN, version-1))
	}
	require.Nil(t, schema(), "nothing is left")
	_, _, err = store.Migrate(t.Context(), db.AdminDSN)
	must(t, err)
	require.Equal(t, *first, *schema())

	from, to, err = store.Migrate(t.Context(), db.AdminDSN)
	must(t, err)
	require.Equal(t, from, to, "nothing to do")
	must(t, db.Store(t).CheckSchema(t.Context()))
}

// Evidence is not thrown away by going down.
func TestMigrateDownKeepsEvidence(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	inTx(t, db.Store(t), func(tx *store.Tx) error { return tx.Record(t.Context(), note("s")) })
	err := store.MigrateTo(t.Context(), db.AdminDSN, 0)
	require.ErrorContains(t, err, "the audit log is not empty")
	var kept int
	must(t, db.Admin(t).QueryRow(t.Context(), `select count(*) from audit.event`).Scan(&kept))
	require.Equal(t, 1, kept)
}

// A schema that is newer, older, dirty or missing is named as such.
func TestCheckSchema(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ do, says string }{
		"newer":   {`update meta.schema_migrations set version = version + 1`, "run the newer program"},
		"older":   {`update meta.schema_migrations set version = version - 1`, "run `rampkeeper migrate`"},
		"dirty":   {`update meta.schema_migrations set dirty = true`, "rampkeeper migrate --force"},
		"missing": {`drop schema meta cascade`, "no schema of Rampkeeper"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			_, err := db.Admin(t).Exec(t.Context(), tt.do)
			must(t, err)
			err = db.Store(t).CheckSchema(t.Context())
			require.ErrorContains(t, err, tt.says)
			require.Equal(t, access.NotReady, access.AsError(err).Code)
		})
	}
}

// A migration that failed says how to get out, and the way out works.
func TestMigrateDirty(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	must(t, store.MigrateTo(t.Context(), db.AdminDSN, 2))
	admin := db.Admin(t)
	_, err := admin.Exec(t.Context(), `create table core.principal (in_the_way int)`)
	must(t, err)
	_, _, err = store.Migrate(t.Context(), db.AdminDSN)
	require.ErrorContains(t, err, "dirty at version 3")
	require.ErrorContains(t, err, "--force 2")
	require.ErrorContains(t, err, `relation "principal" already exists`)
	_, _, err = store.Migrate(t.Context(), db.AdminDSN)
	require.ErrorContains(t, err, "dirty at version 3", "it does not go on by itself")

	_, err = admin.Exec(t.Context(), `drop table core.principal`)
	must(t, err)
	must(t, store.ForceVersion(t.Context(), db.AdminDSN, 2))
	_, to, err := store.Migrate(t.Context(), db.AdminDSN)
	must(t, err)
	require.Equal(t, store.Newest(), to)
}

// The migrator can change core and cannot touch the audit log; logins that are
// no migrators are told so.
func TestMigratorsRights(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	_, _, err := store.Migrate(t.Context(), db.DSN("rampkeeper_migrator"))
	must(t, err)
	must(t, store.MigrateTo(t.Context(), db.DSN("rampkeeper_migrator"), store.Newest()-1))
	_, _, err = store.Migrate(t.Context(), db.DSN("rampkeeper_migrator"))
	must(t, err)
	_, _, err = store.Migrate(t.Context(), db.AppDSN)
	require.ErrorContains(t, err, "may not take the place of rampkeeper_owner")
	err = store.MigrateTo(t.Context(), db.DSN("rampkeeper_migrator"), 0)
	require.ErrorContains(t, err, "permission denied")
}

// typeid in the database spells ids as package access does.
func TestTypeID(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t).AppDSN)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	var zero, full access.GrantID
	for i := range full {
		full[i] = 0xff
	}
	for _, id := range []access.GrantID{zero, full, access.NewID[access.GrantID](noon), access.NewID[access.GrantID](noon)} {
		var spelled string
		must(t, conn.QueryRow(t.Context(), `select core.typeid('grt', $1)`, id).Scan(&spelled))
		require.Equal(t, id.String(), spelled)
	}
}

// Of two programs that migrate at once the second waits for the first. For
// those who use the tables neither waits long: they would wait behind it.
func TestMigrateWaitsForMigrations(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	hold := func(sql string) (release func()) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), db.AdminDSN)
		must(t, err)
		_, err = conn.Exec(t.Context(), sql)
		must(t, err)
		return func() { must(t, conn.Close(t.Context())) }
	}
	id, err := database.GenerateAdvisoryLockId(db.Name, "meta", "schema_migrations")
	must(t, err)
	for _, lock := range []string{`select pg_advisory_lock(` + id + `)`, `select pg_advisory_lock(hashtextextended('rampkeeper migrate', 0))`} {
		release := hold(lock)
		done := make(chan error, 1)
		go func() {
			_, _, err := store.Migrate(t.Context(), db.AdminDSN)
			done <- err
		}()
		select {
		case err := <-done:
			require.Fail(t, "it did not wait", "%s: %v", lock, err)
		case <-time.After(2500 * time.Millisecond): // longer than a migration waits for a table
		}
		release()
		must(t, <-done)
	}
	defer hold(`begin; lock table core.grant in access share mode`)()
	require.ErrorContains(t, store.MigrateTo(t.Context(), db.AdminDSN, store.Newest()-1), "lock timeout")
}
