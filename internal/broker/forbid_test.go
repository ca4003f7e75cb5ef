package broker

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

const notForVisitors = `
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: not-for-visitors}
spec:
  match: {subjects: {any: [{group: visitors}]}, resources: [{type: postgres/database, path: prod/orders}]}
  deny: {reason: "Visitors see nothing"}
`

// What becomes of a live grant when policy or people change under it: later
// prohibitions and a holder who lost what made them eligible end it, anything
// looser or unknown does not.
func TestLiveGrantsObeyWhatIsForbiddenNow(t *testing.T) {
	t.Parallel()
	suspended := replace(t, reads, "spec:\n", "spec:\n  state: suspended\n")
	others := replace(t, reads, "engineers", "treasurers")
	shorter := replace(t, reads, "max: 1h", "max: 5m")
	unknown := func(t *testing.T, s *stage) {
		alice := s.alice.Subject
		alice.Groups, alice.GroupsKnown = nil, false
		require.NoError(t, s.b.store.InTx(t.Context(), func(tx *store.Tx) error {
			return tx.UpsertPrincipal(t.Context(), alice, tx.Now)
		}))
	}
	apply := func(documents ...string) func(*testing.T, *stage) {
		return func(t *testing.T, s *stage) { s.apply(t, documents...) }
	}
	for _, tt := range []struct {
		name   string
		change func(*testing.T, *stage)
		after  time.Duration // how long it takes at most to notice
		reason access.EndReason
	}{
		{"Nothing", func(*testing.T, *stage) {}, 0, ""},
		{"Guardrail", apply(reads, frozen), poll, access.EndByPolicy},
		{"GuardrailForOthers", apply(reads, notForVisitors), 0, ""},
		{"GuardrailWantsShorter", apply(reads, replace(t, shortOnly, "pg/admin", "pg/readonly")), 0, ""},
		{"ContractSuspended", apply(suspended), poll, access.EndByPolicy},
		{"ContractRemoved", apply(changes), poll, access.EndByPolicy},
		{"ContractForOthersNow", apply(others), 0, ""},
		{"ContractShorter", apply(shorter), 0, ""},
		{"Looser", apply(reads, changes, ledger), 0, ""},
		{"GroupLost", func(t *testing.T, s *stage) { s.person(t, "alice", "visitors") }, time.Minute + poll, access.EndByIdentity},
		{"GroupLostAndAnotherPolicy", func(t *testing.T, s *stage) {
			s.person(t, "alice", "treasurers")
			s.apply(t, others)
		}, poll, access.EndByIdentity},
		{"GroupThatIsForbidden", func(t *testing.T, s *stage) {
			s.person(t, "alice", "engineers", "visitors")
			s.apply(t, reads, notForVisitors)
		}, poll, access.EndByPolicy},
		{"GroupsUnknown", unknown, 0, ""},
		{"GroupsUnknownAndAGuardrail", func(t *testing.T, s *stage) {
			unknown(t, s)
			s.apply(t, reads, notForVisitors)
		}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onStage(t, func(t *testing.T, s *stage) {
				s.run(t, s.b)
				g := s.hold(t, s.alice, ordersRead, 30*time.Minute)
				pass(time.Minute)
				require.Equal(t, access.Active, s.grant(t, g.ID).State)
				tt.change(t, s)
				changed := time.Now()
				pass(2*time.Minute + poll)
				after := s.grant(t, g.ID)
				if tt.reason == "" {
					require.Equal(t, access.Active, after.State)
					require.True(t, s.target.Holds(aliceReads))
					return
				}
				require.Equal(t, access.Ended, after.State)
				require.Equal(t, tt.reason, after.EndReason)
				require.LessOrEqual(t, after.RevokingAt.Sub(changed), tt.after)
				require.False(t, s.target.Holds(aliceReads))
				require.Equal(t, []string{"true"}, s.rows(t, `
					select convert_from(entry, 'UTF8')::json->'data'->>'why' <> '' from audit.event where event_type = 'grant.revoking'`))
			})
		})
	}
}

// An extension decides anew, so it is its policy that says whom the grant is
// for from then on.
func TestExtendedGrantIsForThoseOfItsExtension(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		keeps string // the group that the holder keeps
		state access.GrantState
	}{
		{"treasurers", access.Active},
		{"engineers", access.Ended},
	} {
		t.Run(tt.keeps, func(t *testing.T) {
			t.Parallel()
			onStage(t, func(t *testing.T, s *stage) {
				s.run(t, s.b)
				g := s.hold(t, s.alice, ordersRead, 30*time.Minute)
				pass(time.Minute)
				s.alice = s.person(t, "alice", "engineers", "treasurers")
				s.apply(t, replace(t, reads, "engineers", "treasurers"))
				out, err := s.b.Extend(t.Context(), s.alice, g.ID, 600, "it takes longer", "", Key{})
				require.NoError(t, err)
				require.Equal(t, access.Approved, out.Request.State)

				s.person(t, "alice", tt.keeps)
				pass(2*time.Minute + poll)

				require.Equal(t, tt.state, s.grant(t, g.ID).State)
			})
		})
	}
}

// Brokers that look at once end a grant once.
func TestManyBrokersEndWhatIsForbiddenOnce(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		stop := s.run(t, s.b)
		for _, who := range []access.Caller{s.alice, s.alan} {
			s.hold(t, who, ordersRead, 30*time.Minute)
		}
		pass(time.Minute)
		stop()
		s.apply(t, reads, frozen)
		var all sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			b := s.broker(nil)
			all.Go(func() { errs[i] = b.endForbidden(t.Context()) })
		}
		all.Wait()
		require.Equal(t, make([]error, 4), errs)
		require.Equal(t, []string{"revoking 2"}, s.rows(t, `select state, count(*) from core.grant group by state`))
		s.run(t, s.broker(nil))
		pass(time.Minute)
	})
}
