package broker

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

const (
	frozen = `
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: frozen}
spec:
  match: {resources: [{type: postgres/database, path: prod/orders}]}
  deny: {reason: "Production is frozen"}
`
	shortOnly = `
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: short-only}
spec:
  match: {roles: [pg/admin]}
  require: {maxDuration: 10m}
`
	securityToo = `
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: security-too}
spec:
  match: {roles: [pg/admin]}
  require: {seats: [{from: {group: secops}}]}
`
	setToo = `
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: set-too}
spec:
  match: {roles: [pg/admin]}
  require: {seats: [{from: {set: deciders}}]}
`
	twoOwners = `
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: two-owners}
spec:
  match: {roles: [pg/admin]}
  require: {seats: [{from: {group: owners}, count: 2}]}
`
	onPCI = `
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: on-pci}
spec:
  match: {resources: [{type: postgres/database, labels: {data: pci}}]}
  deny: {reason: "Card data is closed"}
`
	// exclusive takes the resource over from every other contract.
	exclusive = `
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: takes-over}
spec:
  exclusive: true
  subjects: {any: [{group: treasurers}]}
  permits: [{roles: [pg/admin], resources: [{type: postgres/database, path: prod/orders}]}]
  time: {duration: {min: 1m, max: 1h}, startWithin: 2h}
`
)

// TestLaterPolicy changes the policy between the request and the vote that
// would fill its last seat. What is later can only tighten.
func TestLaterPolicy(t *testing.T) {
	t.Parallel()

	suspended := replace(t, changes, "spec:\n", "spec:\n  state: suspended\n")
	bySet := replace(t, changes, "{group: owners}", "{set: deciders}")
	deciders := func(documents []string) []string {
		last := documents[len(documents)-1]
		if last != "owners" && last != "secops" {
			return documents
		}
		return append(slices.Clone(documents[:len(documents)-1]),
			"apiVersion: rampkeeper/v1\nkind: Approvers\nmetadata: {name: deciders}\nspec: {any: [{group: "+last+"}]}\n")
	}
	twice := replace(t, changes, "{group: owners}", "{group: owners}, count: 2")
	for _, tt := range []struct {
		name  string
		then  []string // besides the catalogue
		now   []string
		state access.RequestState
		why   string
	}{
		{"NothingRelevant", []string{changes}, []string{changes, reads}, access.Approved, ""},
		{"Guardrail", []string{changes}, []string{changes, frozen}, access.Invalidated, "Production is frozen"},
		{"GuardrailOnDuration", []string{changes}, []string{changes, shortOnly}, access.Invalidated, "10m"},
		{"GuardrailWantsSeats", []string{changes}, []string{changes, securityToo}, access.Invalidated, "approval"},
		{"GuardrailWantsMoreOfTheSame", []string{changes}, []string{changes, twoOwners}, access.Invalidated, "1 more of group owners"},
		{"GuardrailWantsWhatWasAsked", []string{twice}, []string{twice, twoOwners}, access.Approved, ""},
		{"GuardrailKept", []string{changes, securityToo}, []string{changes, securityToo, reads}, access.Approved, ""},
		{"GuardrailDroppedStillHolds", []string{changes, securityToo}, []string{changes}, access.Approved, ""},
		{"GuardrailMeansTheApproversOfToday", []string{bySet, "owners"}, []string{bySet, setToo, "secops"}, access.Invalidated, "1 more of deciders"},
		{"ApproversChanged", []string{bySet, "owners"}, []string{bySet, "secops"}, access.Approved, ""},
		{"ContractSuspended", []string{changes}, []string{suspended}, access.Invalidated, "suspended"},
		{"ContractRemoved", []string{changes}, []string{reads}, access.Invalidated, "no longer in force"},
		{"ContractShortened", []string{changes}, []string{replace(t, changes, "max: 2h", "max: 5m")}, access.Approved, ""},
		{"ContractForOthers", []string{changes}, []string{replace(t, changes, "engineers", "treasurers")}, access.Approved, ""},
		{"ContractWantsMore", []string{changes}, []string{twice}, access.Approved, ""},
		{"ExclusiveContract", []string{changes}, []string{changes, exclusive}, access.Approved, ""},
		{"ResourceRelabelled", []string{changes}, []string{changes, onPCI, "relabel"}, access.Invalidated, "Card data is closed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.apply(t, deciders(tt.then)...)
			req := s.submit(t, s.alice, ordersAdmin)
			if tt.now[len(tt.now)-1] == "relabel" {
				s.applyTo(t, replace(t, catalogue, "{title: Orders, connector: target, labels: {env: prod}}", "{title: Orders, connector: target, labels: {data: pci}}"), tt.now[:2]...)
			} else {
				s.apply(t, deciders(tt.now)...)
			}

			voters := []access.Caller{s.olive}
			switch stages := req.Decision.Approvals[0].Stages; {
			case len(stages) > 1 || len(stages[0].Seats) > 1:
				voters = append(voters, s.sue)
			case stages[0].Seats[0].Count > 1:
				voters = append(voters, s.oscar)
			}
			view := s.approve(t, req, voters...)

			require.Equal(t, tt.state, view.State, view.StateReason)
			if tt.why == "" {
				require.Empty(t, view.StateReason)
				require.Equal(t, []string{"0 scheduled pg/admin changes"}, s.wrote(t).Grants)
				return
			}
			require.Contains(t, view.StateReason, tt.why)
			require.Equal(t, written{
				Requests: []string{"alice invalidated invalidate 3"}, Votes: []string{"olive approve"}, Grants: []string{},
				Audit: []string{"request.submitted alice", "vote.cast olive", "request.invalidated system"},
			}, s.wrote(t))
		})
	}
}

// TestLaterFacts changes the people between the request and the last vote.
func TestLaterFacts(t *testing.T) {
	t.Parallel()

	t.Run("RequesterLeft", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		req := s.submit(t, s.alice, ordersAdmin)
		s.clock.pass(time.Second)
		s.person(t, "alice")

		view := s.approve(t, req, s.olive)

		require.Equal(t, access.Invalidated, view.State)
		require.Empty(t, s.wrote(t).Grants)
	})
	t.Run("LimitReached", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.apply(t, replace(t, changes, "approvals:", "limits: {activeTotal: 1}\n  approvals:"))
		first, second := s.submit(t, s.alice, ordersAdmin), s.submit(t, s.alan, ordersAdmin)

		require.Equal(t, access.Approved, s.approve(t, first, s.olive).State)
		require.Equal(t, access.Invalidated, s.approve(t, second, s.olive).State)

		require.Len(t, s.wrote(t).Grants, 1)
	})
}

func TestSweep(t *testing.T) {
	t.Parallel()

	t.Run("NothingToDo", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.submit(t, s.alice, ordersAdmin)
		s.clock.pass(4*time.Hour - time.Second)
		require.NoError(t, s.b.sweepRequests(t.Context()))
		require.Equal(t, []string{"alice pending submit 1"}, s.wrote(t).Requests)
	})
	t.Run("DecideByPassed", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.submit(t, s.alice, ordersAdmin)
		s.clock.pass(4 * time.Hour)
		require.NoError(t, s.b.sweepRequests(t.Context()))
		require.Equal(t, written{
			Requests: []string{"alice expired expire 2"}, Votes: []string{}, Grants: []string{},
			Audit: []string{"request.submitted alice", "request.expired system"},
		}, s.wrote(t))
	})
	t.Run("PolicyChanged", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		req := s.submit(t, s.alice, ordersAdmin)
		require.NoError(t, s.b.sweepRequests(t.Context()))
		s.apply(t, changes, frozen)
		require.NoError(t, s.b.sweepRequests(t.Context()))
		require.Equal(t, access.Invalidated, s.state(t, req.ID))
		require.Equal(t, []string{"request.submitted alice", "request.invalidated system"}, s.wrote(t).Audit)
	})
	t.Run("NobodyLeftToApprove", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		req := s.submit(t, s.alice, ordersAdmin)
		require.NoError(t, s.b.sweepRequests(t.Context()))
		s.clock.pass(time.Minute)
		for _, name := range []string{"olive", "oscar", "otto"} {
			s.person(t, name)
		}
		require.NoError(t, s.b.sweepRequests(t.Context()))
		require.Equal(t, access.Invalidated, s.state(t, req.ID))
	})
	t.Run("ManyInBatches", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		for i := range recheckBatch + 5 {
			a := ask(ordersAdmin)
			a.Duration += access.Seconds(i)
			_, err := s.b.Submit(t.Context(), s.alice, a, Key{})
			require.NoError(t, err)
		}
		s.apply(t, changes, frozen)
		require.NoError(t, s.b.sweepRequests(t.Context()))
		require.NoError(t, s.b.sweepRequests(t.Context()))
		require.Equal(t, []string{"invalidated 25"}, s.rows(t, `select state, count(*) from core.request group by state`))
	})
	t.Run("LimitsEndNothingYet", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.apply(t, replace(t, changes, "approvals:", "limits: {activeTotal: 1}\n  approvals:"))
		first, second := s.submit(t, s.alice, ordersAdmin), s.submit(t, s.alan, ordersAdmin)
		s.approve(t, first, s.olive)
		require.NoError(t, s.b.sweepRequests(t.Context()))
		require.Equal(t, access.Pending, s.state(t, second.ID))
	})
}

func TestPinnedPoliciesKeepTheNewest(t *testing.T) {
	t.Parallel()
	var p pinnedPolicies
	for revision := range int64(maxPinned + 3) {
		p.keep(&contract.Index{Revision: revision})
	}
	require.Nil(t, p.indexes[2])
	require.NotNil(t, p.indexes[3])

	p.keep(&contract.Index{Revision: 1})

	require.NotNil(t, p.indexes[1], "what is needed now is kept, however old")
	require.Nil(t, p.indexes[3])
	require.Len(t, p.indexes, maxPinned)
}
