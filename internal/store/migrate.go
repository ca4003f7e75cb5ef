package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rampkeeper/rampkeeper/deploy/postgres"
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/migrations"
)

// migrationLockTimeout keeps a migration from queueing behind a long
// transaction while everybody else queues behind the migration.
const migrationLockTimeout = "2s"

// otherMigration is how long a migration waits for another one to end.
const otherMigration = time.Minute

// Roles makes the roles that the schema belongs to and the logins, where they
// are missing: deploy/postgres/roles.sql. The address is of a superuser.
func Roles(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connecting to the database: %w", err)
	}
	defer conn.Close(ctx) // everything is committed by then
	if _, err := conn.Exec(ctx, postgres.Roles); err != nil {
		return fmt.Errorf("making the roles: %w", err)
	}
	return nil
}

// Migrate brings the schema to the version of this program and says from
// where to where. The address is of a superuser, or of a login that may take
// the place of both owners with "set role"; see deploy/postgres/roles.sql.
func Migrate(ctx context.Context, dsn string) (from, to uint, err error) {
	m, err := newMigrate(ctx, dsn)
	if err != nil {
		return 0, 0, err
	}
	from, to, err = up(m)
	if err := errors.Join(err, closeMigrate(m)); err != nil {
		return from, from, explainDirty(ctx, dsn, err)
	}
	return from, to, nil
}

func up(m *migrate.Migrate) (from, to uint, err error) {
	from, dirty, err := versionOf(m)
	switch newest := Newest(); {
	case err != nil:
		return 0, 0, err
	case dirty:
		return from, from, dirtyError(from)
	case from > newest:
		return from, from, newerError(from, newest)
	}
	if err := m.Up(); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return from, from, fmt.Errorf("migrating the database: %w", shorter(err))
	}
	to, _, err = versionOf(m)
	return from, to, err
}

// explainDirty adds the way out to the failure of a migration. The version is
// read by a new connection: the one before is left in a failed transaction.
func explainDirty(ctx context.Context, dsn string, failure error) error {
	if errors.Is(failure, errDirty) {
		return failure
	}
	m, err := newMigrate(ctx, dsn)
	if err != nil {
		return errors.Join(failure, err)
	}
	at, dirty, err := versionOf(m)
	err = errors.Join(err, closeMigrate(m))
	if dirty {
		return errors.Join(failure, dirtyError(at), err)
	}
	return errors.Join(failure, err)
}

// shorter leaves the text of the migration out of its error.
func shorter(err error) error {
	if e, ok := errors.AsType[database.Error](err); ok && e.OrigErr != nil {
		return e.OrigErr
	}
	return err
}

// MigrateTo brings the schema to a version, up or down. It is for the
// operator's "migrate" command and for tests; going down may lose data.
func MigrateTo(ctx context.Context, dsn string, version uint) (err error) {
	m, err := newMigrate(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeMigrate(m)) }()
	run := func() error { return m.Migrate(version) }
	if version == 0 {
		run = m.Down
	}
	if err := run(); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return fmt.Errorf("migrating the database to version %d: %w", version, shorter(err))
	}
	return nil
}

// ForceVersion records that the schema is at a version, after an operator has
// put it right by hand. It changes nothing else.
func ForceVersion(ctx context.Context, dsn string, version int) (err error) {
	m, err := newMigrate(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeMigrate(m)) }()
	if err := m.Force(version); err != nil {
		return fmt.Errorf("recording the version: %w", err)
	}
	return nil
}

// prepareMigrations makes the table that the version is kept in. It belongs to
// the schema's owner and not to whoever came first.
const prepareMigrations = `
do $$
begin
  perform pg_advisory_xact_lock(hashtextextended('rampkeeper migrate', 0));
  if to_regrole('rampkeeper_owner') is null or to_regrole('rampkeeper_audit_owner') is null then
    raise exception 'the roles of Rampkeeper are missing in this cluster: run deploy/postgres/roles.sql first';
  end if;
  if not pg_has_role(session_user, 'rampkeeper_owner', 'member') then
    raise exception 'login % may not take the place of rampkeeper_owner: migrate as rampkeeper_migrator or as a superuser', session_user;
  end if;
  if to_regclass('meta.schema_migrations') is null then
    create schema if not exists meta authorization rampkeeper_owner;
    set local role rampkeeper_owner;
    comment on schema meta is 'which version the schema has';
    create table meta.schema_migrations (
      version bigint not null,
      dirty boolean not null,
      constraint schema_migrations_pk primary key (version)
    );
    comment on table meta.schema_migrations is 'the version of the schema; one row';
    comment on column meta.schema_migrations.dirty is 'a migration failed on the way to this version';
    grant usage on schema meta to rampkeeper_app, rampkeeper_sealer, rampkeeper_auditor, rampkeeper_migrator;
    grant select on meta.schema_migrations to rampkeeper_app, rampkeeper_sealer, rampkeeper_auditor, rampkeeper_migrator;
    grant insert, truncate on meta.schema_migrations to rampkeeper_migrator;
  end if;
end
$$`

func newMigrate(ctx context.Context, dsn string) (*migrate.Migrate, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("reading the database address: %w", err)
	}
	cfg.RuntimeParams["application_name"] = "rampkeeper migrate"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	_, err = conn.Exec(ctx, prepareMigrations)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return nil, fmt.Errorf("preparing the migration: %w", err)
	}
	source, err := iofs.New(migrations.FS, ".")
	if err != nil {
		return nil, fmt.Errorf("reading the migrations: %w", err)
	}
	db := stdlib.OpenDB(*cfg)
	driver, err := migratepgx.WithInstance(db, &migratepgx.Config{SchemaName: "meta", MigrationsTable: "schema_migrations"})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the migration: %w", err), db.Close())
	}
	m, err := migrate.NewWithInstance("iofs", source, "pgx5", impatient{driver})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the migration: %w", err), driver.Close())
	}
	m.LockTimeout = otherMigration
	return m, nil
}

// impatient runs migrations that do not wait long for locks. The lock that
// keeps migrations apart is waited for, so that of two programs that start at
// once the second finds everything done.
type impatient struct{ database.Driver }

// Run implements database.Driver.
func (d impatient) Run(migration io.Reader) error {
	return d.Driver.Run(io.MultiReader(strings.NewReader("set lock_timeout = '"+migrationLockTimeout+"';\n"), migration))
}

func closeMigrate(m *migrate.Migrate) error {
	source, database := m.Close()
	if err := errors.Join(source, database); err != nil {
		return fmt.Errorf("ending the migration: %w", err)
	}
	return nil
}

func versionOf(m *migrate.Migrate) (version uint, dirty bool, err error) {
	version, dirty, err = m.Version()
	if errors.Is(err, migrate.ErrNilVersion) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("reading the version of the database: %w", err)
	}
	return version, dirty, nil
}

// Newest gives the version of the schema that this program was built for.
func Newest() uint {
	names, err := fs.Glob(migrations.FS, "*.up.sql")
	if err != nil || len(names) == 0 {
		panic("store: the migrations are not embedded")
	}
	n, err := strconv.ParseUint(names[len(names)-1][:6], 10, 32)
	if err != nil {
		panic("store: the name of a migration does not begin with six digits")
	}
	return uint(n)
}

var errDirty = errors.New("the database is dirty")

func dirtyError(version uint) error {
	return fmt.Errorf("%w at version %d: a migration to it failed. Each migration is one transaction, so as a rule nothing of it is there. "+
		"Look at why it failed (the database's log has it), put that right, run `rampkeeper migrate --force %d` if nothing of version %d is there (or --force %d if all of it is), and migrate again",
		errDirty, version, int(version)-1, version, version)
}

func newerError(version, newest uint) error {
	return fmt.Errorf("the database has schema version %d, and this program knows versions up to %d: run the newer program, or restore a backup", version, newest)
}

const selectSchemaVersion = `select version, dirty from meta.schema_migrations`

// CheckSchema refuses a schema that this program does not know how to use.
func (s *Store) CheckSchema(ctx context.Context) error {
	return s.InTx(ctx, func(tx *Tx) error {
		at, err := one(ctx, tx, selectSchemaVersion, nil, pgx.RowToStructByName[struct {
			Version uint `db:"version"`
			Dirty   bool `db:"dirty"`
		}])
		newest := Newest()
		var fault error
		switch {
		case err != nil:
			fault = fmt.Errorf("the database has no schema of Rampkeeper: run `rampkeeper migrate` (%w)", err)
		case at.Dirty:
			fault = dirtyError(at.Version)
		case at.Version > newest:
			fault = newerError(at.Version, newest)
		case at.Version < newest:
			fault = fmt.Errorf("the database has schema version %d and this program needs %d: run `rampkeeper migrate`", at.Version, newest)
		}
		if fault != nil {
			return fmt.Errorf("%w (%w)", &access.Error{Code: access.NotReady, Message: "The database's schema does not fit this version of Rampkeeper. The operator's log says what to do."}, fault)
		}
		return nil
	})
}
