// Package store is the database: all SQL is here, one constant for each
// statement. InTx is the only way in; a Tx carries the time, the database's
// own, and sends the audit events of what it changed just before it commits.
//
// Files are named after the nouns they load and save.
package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is a pool of connections to the database of one installation.
type Store struct {
	pool    *pgxpool.Pool
	options options
	install atomic.Pointer[Install]
}

// Option changes how a Store is opened.
type Option func(*options)

type options struct {
	clock            func() time.Time
	maxConns         int32
	name             string
	statementTimeout time.Duration
	lockTimeout      time.Duration
	txTimeout        time.Duration
	idleTimeout      time.Duration
	asyncCommit      bool
}

func optionsOf(opts []Option) options {
	o := options{
		name:             "rampkeeper",
		statementTimeout: 5 * time.Second,
		lockTimeout:      2 * time.Second,
		txTimeout:        15 * time.Second,
		idleTimeout:      10 * time.Second,
	}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// WithClock makes transactions take their time from clock instead of from the
// database. It is for tests in virtual time.
func WithClock(clock func() time.Time) Option {
	return func(o *options) { o.clock = clock }
}

// WithMaxConns bounds the pool. The revoke path opens a Store of its own with
// a few connections, so that no load of requests keeps it waiting.
func WithMaxConns(n int32) Option {
	return func(o *options) { o.maxConns = n }
}

// WithName sets the application name that the database shows for the pool.
func WithName(name string) Option {
	return func(o *options) { o.name = name }
}

// WithTimeouts sets how long one statement may run and how long it may wait
// for a lock. The defaults are 5 s and 2 s.
func WithTimeouts(statement, lock time.Duration) Option {
	return func(o *options) { o.statementTimeout, o.lockTimeout = statement, lock }
}

// WithTxTimeout sets how long a transaction may take as seen from here, with
// the wait for a connection. The timeouts of the database do not help when
// what it says no longer arrives: without this one a loop would wait for as
// long as the kernel does. The default is 15 s.
func WithTxTimeout(d time.Duration) Option {
	return func(o *options) { o.txTimeout = d }
}

// WithAsyncCommit accepts a database that answers before a commit is durable.
// It is for tests and demonstrations: a crash may lose what was acknowledged.
func WithAsyncCommit() Option {
	return func(o *options) { o.asyncCommit = true }
}

// Open connects to the database. It fails when the database cannot be reached
// or would acknowledge commits that a crash may lose.
func Open(ctx context.Context, dsn string, opts ...Option) (*Store, error) {
	pool, err := NewPool(ctx, dsn, opts...)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	return New(pool, opts...), nil
}

// New makes a Store on a pool that NewPool gave.
func New(pool *pgxpool.Pool, opts ...Option) *Store {
	return &Store{pool: pool, options: optionsOf(opts)}
}

// connectTimeout bounds how long making one connection takes, and setting it
// up.
const connectTimeout = 5 * time.Second

// keepAlive finds out within half a minute that nobody is there any more on a
// connection that only listens.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// NewPool makes a pool whose connections have the settings that the SQL of
// this package relies on. It connects when it is first used.
func NewPool(ctx context.Context, dsn string, opts ...Option) (*pgxpool.Pool, error) {
	o := optionsOf(opts)
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("reading the database address: %w", err)
	}
	if o.maxConns > 0 {
		cfg.MaxConns = o.maxConns
	}
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = o.name
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	cfg.ConnConfig.DialFunc = (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext
	cfg.AfterConnect = o.prepare
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("making the connection pool: %w", err)
	}
	return pool, nil
}

// prepareConnection sets a session up. With an empty search path a name
// without its schema fails, and nobody can put an object of theirs before ours.
const prepareConnection = `
select set_config('search_path', '', false),
  set_config('timezone', 'UTC', false),
  set_config('statement_timeout', @statement_timeout::text, false),
  set_config('lock_timeout', @lock_timeout::text, false),
  set_config('idle_in_transaction_session_timeout', @idle_timeout::text, false),
  current_setting('synchronous_commit')`

func (o options) prepare(ctx context.Context, conn *pgx.Conn) error {
	// The pool gives no deadline, and a connection that never gets ready would
	// keep its place in it.
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	// Times come back in UTC, whatever the process's zone is.
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	var commit, ignored string
	err := conn.QueryRow(ctx, prepareConnection, pgx.NamedArgs{
		"statement_timeout": milliseconds(o.statementTimeout),
		"lock_timeout":      milliseconds(o.lockTimeout),
		"idle_timeout":      milliseconds(o.idleTimeout),
	}).Scan(&ignored, &ignored, &ignored, &ignored, &ignored, &commit)
	if err != nil {
		return fmt.Errorf("setting the connection up: %w", err)
	}
	if commit == "off" && !o.asyncCommit {
		return errors.New("the database has synchronous_commit = off, so a crash could lose what was acknowledged: set it to on (alter role rampkeeper_app set synchronous_commit = on)")
	}
	return nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.txTimeout)
	defer cancel()
	if err := s.pool.Ping(ctx); err != nil {
		return explain(fmt.Errorf("asking the database: %w", err))
	}
	return nil
}

// Close ends all connections, once those in use are given back.
func (s *Store) Close() { s.pool.Close() }
