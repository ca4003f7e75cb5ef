package broker

import (
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/audit"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

const issuer = "https://id.example"

var noon = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

// scene is a broker on a database of its own at noon, with its people.
type scene struct {
	b      *Broker
	db     *pgtest.DB
	target *fake.Target
	clock  *clock
	admin  *pgxpool.Pool // as the superuser, for looking at tables

	alice, alan        access.Caller // engineers
	olive, oscar, otto access.Caller // owners
	sue                access.Caller // security
	mallory            access.Caller // nobody in particular
	carol              access.Caller // contract admin
	audrey             access.Caller // auditor
	oprah              access.Caller // operator
	everybody          map[string]access.Caller
	revision           int64
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

func newScene(t *testing.T, documents ...string) *scene {
	t.Helper()
	s := &scene{db: pgtest.New(t), target: fake.New(), clock: &clock{now: noon}, everybody: map[string]access.Caller{}}
	s.b = New(Config{
		Store:      s.db.Store(t, store.WithClock(s.clock.Now)),
		Connectors: connector.NewRegistry(map[string]connector.Entry{"target": {Type: "fake", Connector: s.target}}),
		Issuer:     issuer,
		Log:        slog.New(slog.DiscardHandler),
	})
	s.admin = s.db.Admin(t)
	s.alice, s.alan = s.person(t, "alice", "engineers"), s.person(t, "alan", "engineers")
	s.olive, s.oscar, s.otto = s.person(t, "olive", "owners"), s.person(t, "oscar", "owners"), s.person(t, "otto", "owners")
	s.sue = s.person(t, "sue", "secops")
	s.mallory = s.person(t, "mallory")
	s.carol, s.audrey, s.oprah = s.person(t, "carol"), s.person(t, "audrey"), s.person(t, "oprah")
	s.carol.Roles = []access.AppRole{access.ContractAdmin}
	s.audrey.Roles = []access.AppRole{access.Auditor}
	s.oprah.Roles = []access.AppRole{access.Operator}
	maps.Copy(s.everybody, map[string]access.Caller{"carol": s.carol, "audrey": s.audrey, "oprah": s.oprah})
	s.apply(t, append([]string{reads, changes, ledger, pair, single, vaults}, documents...)...)
	return s
}

// person signs somebody in, as a member of just these groups.
func (s *scene) person(t *testing.T, name string, groups ...string) access.Caller {
	t.Helper()
	who := access.Caller{Subject: access.Subject{
		ID: access.NewPrincipalID(issuer, name), Name: strings.ToUpper(name[:1]) + name[1:], Username: name,
		Groups: groups, GroupsKnown: true,
	}}
	require.NoError(t, s.b.store.InTx(t.Context(), func(tx *store.Tx) error {
		return tx.UpsertPrincipal(t.Context(), who.Subject, tx.Now)
	}))
	s.everybody[name] = who
	return who
}

// apply puts the catalogue and these documents in force, and nothing else.
func (s *scene) apply(t *testing.T, documents ...string) {
	t.Helper()
	s.applyTo(t, catalogue, documents...)
}

func (s *scene) applyTo(t *testing.T, catalogue string, documents ...string) {
	t.Helper()
	text := strings.Join(append([]string{catalogue}, documents...), "\n---\n")
	applied, err := s.b.ApplyPolicy(t.Context(), s.carol, Apply{Files: []contract.File{{Name: "policy.yaml", Data: []byte(text)}}, Prune: true})
	require.NoError(t, err)
	s.revision = applied.Revision
}

// ask is for half an hour.
func ask(items ...access.Item) access.Ask {
	return access.Ask{Items: items, Duration: 30 * 60, Reason: "ticket 42 is on fire"}
}

// submit asks for something that waits for approval or is given at once.
func (s *scene) submit(t *testing.T, who access.Caller, items ...access.Item) RequestView {
	t.Helper()
	out, err := s.b.Submit(t.Context(), who, ask(items...), Key{})
	require.NoError(t, err)
	return out.Request
}

func (s *scene) vote(t *testing.T, who access.Caller, req RequestView, say access.VoteDecision) (RequestView, error) {
	t.Helper()
	view, _, err := s.b.Vote(t.Context(), who, req.ID, Ballot{Decision: say, Reason: "because", RequestHash: req.Hash}, Key{})
	return view, err
}

// approve casts votes that must be taken, and gives the request after them.
func (s *scene) approve(t *testing.T, req RequestView, by ...access.Caller) RequestView {
	t.Helper()
	view := req
	for _, who := range by {
		var err error
		view, err = s.vote(t, who, req, access.Approve)
		require.NoError(t, err, "the vote of %s", who.Name)
	}
	return view
}

// state reads how a request stands.
func (s *scene) state(t *testing.T, id access.RequestID) access.RequestState {
	t.Helper()
	view, err := s.b.Request(t.Context(), s.audrey, id)
	require.NoError(t, err)
	return view.State
}

// rows gives what a query finds, one line for each row. It is run as the
// superuser.
func (s *scene) rows(t *testing.T, sql string, args ...any) []string {
	t.Helper()
	rows, err := s.admin.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	defer rows.Close()
	lines := []string{}
	for rows.Next() {
		values, err := rows.Values()
		require.NoError(t, err)
		words := make([]string, len(values))
		for i, v := range values {
			words[i] = fmt.Sprint(v)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	require.NoError(t, rows.Err())
	return lines
}

// written is all that the use cases of requests write.
type written struct {
	Requests []string // requester's subject, state, trigger, version
	Votes    []string // voter's subject, decision
	Grants   []string // item, state, role, contract
	Audit    []string // type, actor's subject
}

// wrote gives what is in the tables, and checks the audit log.
func (s *scene) wrote(t *testing.T) written {
	t.Helper()
	s.verifyAudit(t)
	return written{
		Requests: s.rows(t, `select split_part(requester, '|', 2), state, last_trigger, version from core.request order by number`),
		Votes:    s.rows(t, `select split_part(voter, '|', 2), decision from core.vote order by cast_at, voter`),
		Grants:   s.rows(t, `select item, state, role, contract from core.grant order by request_id, item`),
		Audit:    s.trail(t),
	}
}

// trail is the audit log but for the arranging of the scene.
func (s *scene) trail(t *testing.T) []string {
	t.Helper()
	return s.rows(t, `select event_type, case when actor = 'system' then actor else split_part(actor, '|', 2) end
		from audit.event where event_type not like 'policy.%' and event_type not like 'auth.%' order by seq`)
}

// verifyAudit checks the hash chain of every stream.
func (s *scene) verifyAudit(t *testing.T) {
	t.Helper()
	require.NoError(t, s.b.store.InTx(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Events(t.Context(), store.EventFilter{Limit: 10_000})
		require.NoError(t, err)
		records := make([]audit.Record, len(rows))
		for i, r := range rows {
			records[i] = r.Record
		}
		require.Empty(t, audit.Verify(records))
		return nil
	}))
}

// replace gives the document with a part of it changed.
func replace(t *testing.T, document, part, by string) string {
	t.Helper()
	require.Contains(t, document, part)
	return strings.Replace(document, part, by, 1)
}
