// Package broker holds the use cases, one file each, and the loops that make
// grants real and take them away. It decides nothing by itself: what may
// happen is the engine's and the lifecycle tables' to say.
package broker

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Config is what a Broker works with. Zero durations and numbers mean the
// defaults.
type Config struct {
	Store *store.Store
	// LoopStore is another way to the same database, for the reaper and for
	// what surrounds a call to a target, so that neither requests nor
	// decisions keep a removal waiting for a connection. Nil: Store.
	LoopStore  *store.Store
	Connectors *connector.Registry
	// Issuer completes the users that policy names by their subject alone.
	Issuer string
	// Skew is how far the clocks of broker and target may differ: what an
	// operation started may land until its deadline plus Skew.
	Skew time.Duration
	// OperationTimeout bounds one call of a connector.
	OperationTimeout time.Duration
	Log              *slog.Logger
	Metrics          prometheus.Registerer // nil: measured, shown nowhere
	// Slots is how many calls one connector takes at once, for removals and
	// for provisioning each.
	Slots int
	// Poll is how often the loops look without being woken.
	Poll time.Duration
}

// Broker runs the use cases. It is safe for concurrent use; any number of
// brokers may share one database.
type Broker struct {
	store      *store.Store
	loopStore  *store.Store
	connectors *connector.Registry
	issuer     string
	skew       time.Duration
	opTimeout  time.Duration
	slots      int
	poll       time.Duration
	log        *slog.Logger
	metrics    *metrics
	// index is the policy compiled last. inPolicy replaces it when the
	// database holds another revision.
	index atomic.Pointer[contract.Index]
	// at is called after each durable step of the loops. Tests stop there.
	at     func(step string)
	pinned pinnedPolicies
	round  round // over the pending requests
	watch  watch // over the live grants
}

// New makes a Broker. Its loops start with Run.
func New(cfg Config) *Broker {
	b := &Broker{
		store:      cfg.Store,
		loopStore:  cfg.LoopStore,
		connectors: cfg.Connectors,
		issuer:     cfg.Issuer,
		skew:       cfg.Skew,
		opTimeout:  cfg.OperationTimeout,
		slots:      cfg.Slots,
		poll:       cfg.Poll,
		log:        cfg.Log,
		at:         func(string) {},
	}
	if b.loopStore == nil {
		b.loopStore = b.store
	}
	if b.connectors == nil {
		b.connectors = connector.NewRegistry(nil)
	}
	if b.skew <= 0 {
		b.skew = 5 * time.Second
	}
	if b.opTimeout <= 0 {
		b.opTimeout = 30 * time.Second
	}
	if b.slots <= 0 {
		b.slots = 4
	}
	if b.poll <= 0 {
		b.poll = time.Second
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	b.metrics = newMetrics(cfg.Metrics, b.store, b.connectors.Names())
	return b
}

// Key is what makes a creating call repeatable: the same key with the same
// body gives the object made by the first call. The zero Key means none.
type Key struct {
	Key      string
	BodyHash access.Digest
}

// Can says whether the caller may do something to an object now, computed by
// the functions that decide when it is tried.
type Can struct {
	Action  string `json:"action"`
	Allowed bool   `json:"allowed"`
	Why     string `json:"why,omitempty"` // not
}

// Page is one page of a list. Next is the cursor of the page after it, "" on
// the last.
type Page[T any] struct {
	Items []T
	Next  string
}
