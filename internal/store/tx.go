package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Tx is one transaction at one instant.
type Tx struct {
	// Now is the instant at which the whole transaction decides, by the
	// database's clock, in UTC and whole microseconds.
	Now time.Time

	tx       pgx.Tx
	store    *Store
	deadline time.Time      // by this process's clock; see WithTxTimeout
	events   []access.Event // sent by InTx just before the commit; see Record
}

// ErrNotFound is what loading a single row gives when there is none. It says
// nothing to a client; the use case decides what to say.
var ErrNotFound = errors.New("no such row")

// maxAttempts bounds how often a transaction that lost a race is run again.
const maxAttempts = 5

const selectNow = `select now()`

// InTx runs fn in a transaction and commits when fn gives no error. The
// database may choose the transaction to break a deadlock or a serialisation
// conflict; then fn runs again from the start, in a new transaction at a later
// Now, so it must have no effects but those on tx. Transactions do not nest.
//
// Errors that a client may read, such as a broken constraint that stands for a
// conflict, have an access.Error in their tree.
func (s *Store) InTx(ctx context.Context, fn func(*Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.inTx(ctx, fn)
		if err == nil {
			return nil
		}
		if attempt == maxAttempts || !lostRace(err) {
			return explain(err)
		}
	}
}

func (s *Store) inTx(ctx context.Context, fn func(*Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.txTimeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	committing := false
	err := pgx.BeginFunc(ctx, s.pool, func(ptx pgx.Tx) error {
		tx := &Tx{tx: ptx, store: s, deadline: deadline}
		if err := tx.setNow(ctx); err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		if err := tx.flush(ctx); err != nil {
			return err
		}
		committing = true
		return nil
	})
	if err != nil && errors.Is(err, pgx.ErrTxCommitRollback) {
		return fmt.Errorf("committing: an earlier statement failed and its error was not returned: %w", err)
	}
	// A connection that ends says nothing about the commit.
	if refused, answered := errors.AsType[*pgconn.PgError](err); err != nil && committing && (!answered || refused.SeverityUnlocalized != "ERROR") {
		return fmt.Errorf("%w (%w)", &access.Error{
			Code:    access.NotReady,
			Message: "The database did not answer in time, so it is not known whether this was done. Look before you try again.",
		}, err)
	}
	return err
}

// bounded gives the context of one statement. What a use case passes has no
// deadline of the transaction's.
func (tx *Tx) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, tx.deadline)
}

func (tx *Tx) setNow(ctx context.Context) error {
	if clock := tx.store.options.clock; clock != nil {
		tx.Now = clock().UTC().Truncate(time.Microsecond)
		return nil
	}
	if err := tx.tx.QueryRow(ctx, selectNow).Scan(&tx.Now); err != nil {
		return fmt.Errorf("asking the database for the time: %w", err)
	}
	return nil
}

// lostRace says whether the database ended the transaction in favour of
// another one, so that running it again is right.
func lostRace(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "40001" || pgErr.Code == "40P01")
}

// exec runs a statement.
func (tx *Tx) exec(ctx context.Context, sql string, args pgx.NamedArgs) error {
	_, err := tx.affected(ctx, sql, args)
	return err
}

// affected runs a statement and gives the number of rows it touched.
func (tx *Tx) affected(ctx context.Context, sql string, args pgx.NamedArgs) (int64, error) {
	ctx, cancel := tx.bounded(ctx)
	defer cancel()
	tag, err := tx.tx.Exec(ctx, sql, args)
	return tag.RowsAffected(), err
}

// one loads exactly one row; ErrNotFound when there is none. The row function
// is pgx.RowToStructByName for a struct, pgx.RowTo for a single value, or a
// scan by hand.
func one[T any](ctx context.Context, tx *Tx, sql string, args pgx.NamedArgs, row pgx.RowToFunc[T]) (T, error) {
	v, ok, err := maybe(ctx, tx, sql, args, row)
	if err == nil && !ok {
		err = ErrNotFound
	}
	return v, err
}

// maybe loads a row that need not be there.
func maybe[T any](ctx context.Context, tx *Tx, sql string, args pgx.NamedArgs, row pgx.RowToFunc[T]) (T, bool, error) {
	ctx, cancel := tx.bounded(ctx)
	defer cancel()
	rows, err := tx.tx.Query(ctx, sql, args)
	if err != nil {
		var zero T
		return zero, false, err
	}
	v, err := pgx.CollectExactlyOneRow(rows, row)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, false, nil
	}
	return v, err == nil, err
}

// many loads all rows; none is an empty slice, not nil.
func many[T any](ctx context.Context, tx *Tx, sql string, args pgx.NamedArgs, row pgx.RowToFunc[T]) ([]T, error) {
	ctx, cancel := tx.bounded(ctx)
	defer cancel()
	rows, err := tx.tx.Query(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, row)
}
