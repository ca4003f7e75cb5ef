package broker

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// stage is a scene in virtual time: the process, the broker and the SQL share
// the bubble's clock, and the database is real.
type stage struct {
	*scene
	other *fake.Target // a second target
	pool  *pgxpool.Pool
}

// onStage plays in a bubble with a broker that does not run yet, and checks
// the invariants afterwards.
func onStage(t *testing.T, play func(t *testing.T, s *stage)) {
	t.Helper()
	db := pgtest.New(t)
	synctest.Test(t, func(t *testing.T) {
		s := &stage{
			scene: &scene{db: db, target: fake.New(), everybody: map[string]access.Caller{}},
			other: fake.New(), pool: pgtest.Reopen(t, db),
		}
		admin, err := pgxpool.New(t.Context(), db.AdminDSN)
		require.NoError(t, err)
		s.admin = admin
		defer func() { s.admin.Close(); s.pool.Close() }()
		s.b = s.broker(nil)
		s.cast(t)
		s.apply(t, reads, changes, elsewhere)
		play(t, s)
		synctest.Wait()
		s.verifyAudit(t)
		invariants(t, s.admin)
	})
}

// elsewhere gives at once, on the second target.
const elsewhere = `
apiVersion: rampkeeper/v1
kind: Resource
metadata: {name: "postgres/database:test/other"}
spec: {title: Other, connector: other}
---
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: elsewhere}
spec:
  subjects: {any: [{group: engineers}]}
  permits: [{roles: [pg/readonly], resources: [{type: postgres/database, path: test/other}]}]
  time: {duration: {min: 1m, max: 1h}, startWithin: 2h}
`

var otherRead = access.Item{Role: "pg/readonly", Resource: "postgres/database:test/other"}

// poll is how often the loops look without being woken. Inside a bubble
// nothing wakes them, and each look takes real time.
const poll = 10 * time.Second

// broker makes one more broker on the stage's database.
func (s *stage) broker(change func(*Config)) *Broker {
	cfg := Config{
		Store: store.New(s.pool, store.WithClock(time.Now)),
		Connectors: connector.NewRegistry(map[string]connector.Entry{
			"target": {Type: "fake", Connector: s.target}, "other": {Type: "fake", Connector: s.other},
		}),
		Issuer: issuer, Log: slog.New(slog.DiscardHandler), Poll: poll,
	}
	if change != nil {
		change(&cfg)
	}
	return New(cfg)
}

// cast signs everybody in.
func (s *scene) cast(t *testing.T) {
	t.Helper()
	s.alice, s.alan = s.person(t, "alice", "engineers"), s.person(t, "alan", "engineers")
	s.olive = s.person(t, "olive", "owners")
	s.mallory = s.person(t, "mallory")
	s.carol, s.audrey, s.oprah = s.person(t, "carol"), s.person(t, "audrey"), s.person(t, "oprah")
	s.carol.Roles = []access.AppRole{access.ContractAdmin}
	s.audrey.Roles = []access.AppRole{access.Auditor}
	s.oprah.Roles = []access.AppRole{access.Operator}
}

// run starts a broker's loops and lets them look once, so that what comes next
// waits for their next look; stop ends them and waits.
func (s *stage) run(t *testing.T, b *Broker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = b.Run(ctx, nil)
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	synctest.Wait()
	return stop
}

// pass lets time go by, until everything that it made happen has happened.
func pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

// hold asks for access that is given at once, for so long, and gives the grant.
func (s *scene) hold(t *testing.T, who access.Caller, item access.Item, d time.Duration) access.Grant {
	t.Helper()
	a := ask(item)
	a.Duration = access.Seconds(d / time.Second)
	out, err := s.b.Submit(t.Context(), who, a, Key{})
	require.NoError(t, err)
	require.Len(t, out.Request.Grants, 1)
	return out.Request.Grants[0]
}

// grant reads a grant as the auditor sees it.
func (s *scene) grant(t *testing.T, id access.GrantID) GrantView {
	t.Helper()
	view, err := s.b.Grant(t.Context(), s.audrey, id)
	require.NoError(t, err)
	return view
}

// entitlement is what a person's item means on the target.
func entitlement(connector, account, permission string) access.EntitlementKey {
	return access.EntitlementKey{Connector: connector, Account: account, Permission: permission}
}

var aliceReads = entitlement("target", "alice", "ro_orders")

// since gives when the calls of a verb were, in seconds after an instant.
func since(at time.Time, calls []fake.Call) []float64 {
	seconds := make([]float64, len(calls))
	for i, c := range calls {
		seconds[i] = c.At.Sub(at).Seconds()
	}
	return seconds
}
