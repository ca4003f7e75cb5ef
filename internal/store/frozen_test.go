package store_test

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// network is the way to a database. While it is frozen, connections stay open
// and are taken, and nothing arrives.
type network struct {
	dsn    string
	frozen sync.RWMutex // held for writing while it is
}

func newNetwork(t *testing.T, db *pgtest.DB) *network {
	t.Helper()
	cfg, err := pgx.ParseConfig(db.AppDSN)
	must(t, err)
	kind, server := "tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	if strings.HasPrefix(cfg.Host, "/") {
		kind, server = "unix", filepath.Join(cfg.Host, ".s.PGSQL."+strconv.Itoa(int(cfg.Port)))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	n := &network{dsn: "postgres://" + cfg.User + "@" + listener.Addr().String() + "/" + cfg.Database + "?sslmode=disable"}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial(kind, server)
			if err != nil {
				_ = near.Close()
				continue
			}
			go n.carry(near, far)
			go n.carry(far, near)
		}
	}()
	return n
}

// carry moves what it reads until one end closes.
func (n *network) carry(from, to net.Conn) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		got, err := from.Read(buffer)
		n.frozen.RLock()
		n.frozen.RUnlock() //nolint:staticcheck // an empty section: it passes when nothing is frozen
		if got > 0 {
			if _, err := to.Write(buffer[:got]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// TestFrozenNetwork: a database from which nothing arrives any more, and no
// reset either, stops nobody for longer than the timeout; when it is back, all
// is well.
func TestFrozenNetwork(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	way := newNetwork(t, db)
	const timeout = 300 * time.Millisecond
	s, err := store.Open(t.Context(), way.dsn, store.WithAsyncCommit(), store.WithTxTimeout(timeout))
	must(t, err)
	t.Cleanup(s.Close)
	look := func(tx *store.Tx) error { return tx.Exec(t.Context(), `select 1`, nil) }
	inTx(t, s, look)

	for name, use := range map[string]func() error{
		"before it begins": func() error {
			way.frozen.Lock()
			return s.InTx(t.Context(), look)
		},
		"between statements": func() error {
			return s.InTx(t.Context(), func(tx *store.Tx) error {
				must(t, look(tx))
				way.frozen.Lock()
				return look(tx)
			})
		},
		"before the events": func() error {
			return s.InTx(t.Context(), func(tx *store.Tx) error {
				way.frozen.Lock()
				return tx.Record(t.Context(), note("s"))
			})
		},
		"ping": func() error {
			way.frozen.Lock()
			return s.Ping(t.Context())
		},
	} {
		began := time.Now()
		err := use()
		took := time.Since(began)
		way.frozen.Unlock()
		require.Equal(t, access.NotReady, access.AsError(err).Code, name)
		require.Contains(t, access.AsError(err).Message, "Nothing was changed", name)
		require.Less(t, took, 20*timeout, name)
		require.Eventually(t, func() bool { return s.InTx(t.Context(), look) == nil }, time.Minute, 10*time.Millisecond, name)
	}

	err = s.InTx(t.Context(), func(*store.Tx) error {
		way.frozen.Lock() // the next thing that is sent is the COMMIT
		return nil
	})
	way.frozen.Unlock()
	require.Equal(t, access.NotReady, access.AsError(err).Code)
	require.Contains(t, access.AsError(err).Message, "not known whether")
	require.Empty(t, eventsOf(t, db.Store(t), "s"))
}
