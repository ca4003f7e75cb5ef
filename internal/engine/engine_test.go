package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

const policy = `
apiVersion: rampkeeper/v1
kind: Role
metadata: {name: pg/readonly}
spec: {title: Read, entitlements: {postgres/database: [{permission: "ro_{{resource.name}}"}, {permission: connect}, {permission: connect}]}}
---
apiVersion: rampkeeper/v1
kind: Role
metadata: {name: kube/view}
spec: {title: Look, entitlements: {kube/namespace: [{permission: view}]}}
---
apiVersion: rampkeeper/v1
kind: Resource
metadata: {name: "postgres/database:prod/orders"}
spec: {title: Orders, connector: pg-prod}
---
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: reads}
spec:
  subjects: {any: [{group: red}]}
  permits: [{roles: [pg/readonly], resources: [{type: postgres/database}]}]
  time: {duration: {min: 10m, default: 20m, max: 2h}}
  approvals:
    auto: [{name: quick, maxDuration: 30m, subjects: {any: [{group: red}], all: [{group: blue}]}}]
    stages:
      - {name: owner, seats: [{from: {user: bob}}]}
      - {name: never, when: {roles: [kube/*]}, seats: [{from: {group: grey}}]}
---
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: second-pair-of-eyes}
spec:
  match: {subjects: {any: [{group: trainees}]}}
  require: {seats: [{from: {group: green}}]}
`

func policyFacts(groups ...string) engine.Facts {
	return engine.Facts{
		Now: noon, Subject: access.Subject{ID: id("ann"), Groups: groups, GroupsKnown: true},
		Accounts: map[string]string{"pg-prod": "ann"},
		People:   []access.Subject{{ID: id("bob"), GroupsKnown: true}},
	}
}

func reads(length access.Seconds) access.Ask {
	return access.Ask{Items: []access.Item{{Role: "pg/readonly", Resource: "postgres/database:prod/orders"}}, Duration: length}
}

func TestPermittedItem(t *testing.T) {
	t.Parallel()
	ix := load(t, []byte(policy))
	f := policyFacts("red", "blue")

	d := engine.Evaluate(ix, reads(1800), "hash", f)

	c, _ := ix.Contract("reads")
	require.NotEmpty(t, c.Digest)
	require.Equal(t, access.Decision{
		Outcome: access.Permit, PolicyRevision: 1, RequestHash: "hash", FactsDigest: f.Digest(), DecideWithin: 8 * 3600,
		Items: []access.ItemDecision{{
			Item: reads(0).Items[0], Outcome: access.Permit,
			Offer: &access.Offer{
				Contract: "reads", ContractDigest: c.Digest, Duration: 1800, MinDuration: 600, MaxDuration: 7200,
				DecideWithin: 8 * 3600, StartWithin: 24 * 3600, Auto: "quick", DeniesNeeded: 1,
			},
			Entitlements: []access.EntitlementKey{
				{Connector: "pg-prod", Account: "ann", Permission: "ro_orders"},
				{Connector: "pg-prod", Account: "ann", Permission: "connect"},
			},
			Trace: d.Items[0].Trace,
		}},
	}, d)
}

// The trace is what people read to understand an answer, in its order.
func TestTrace(t *testing.T) {
	t.Parallel()
	d := engine.Evaluate(load(t, []byte(policy)), reads(3600), "hash", policyFacts("red", "blue"))

	require.Equal(t, []access.Clause{
		{Rule: "Guardrail/second-pair-of-eyes", Path: "/spec/match/subjects/any", Expected: "one of: group trainees", Actual: "none of them", Verdict: access.Skipped},
		{Rule: "Contract/reads", Path: "/spec/permits/0", Expected: "a permit for the role on the resource", Actual: "pg/readonly on postgres/database:prod/orders", Verdict: access.Pass},
		{Rule: "Contract/reads", Path: "/spec/state", Expected: "active and valid", Actual: "it is", Verdict: access.Pass},
		{Rule: "Contract/reads", Path: "/spec/subjects/any", Expected: "one of: group red", Actual: "group red", Verdict: access.Pass},
		{Rule: "Contract/reads", Path: "/spec/time/duration/max", Expected: "at most 2h", Actual: "1h", Verdict: access.Pass},
		{Rule: "Contract/reads", Path: "/spec/time/duration/min", Expected: "at least 10m", Actual: "1h", Verdict: access.Pass},
		{Rule: "Contract/reads", Path: "/spec/approvals/auto/0", Expected: "auto rule quick", Actual: "duration: 1h", Verdict: access.Skipped, Fix: "Up to 30m is granted at once."},
		{Rule: "Contract/reads", Path: "/spec/approvals/stages/1/when", Expected: "stage never for roles kube/*", Actual: "pg/readonly", Verdict: access.Skipped},
		{Rule: "Contract/reads", Path: "/spec/approvals/stages", Expected: "enough people for every seat, without the requester", Actual: "1 seat can be filled", Verdict: access.Pass},
		{Rule: "Role/pg/readonly", Path: "/spec/entitlements", Expected: "an account on the target", Actual: "2 permissions", Verdict: access.Pass},
	}, d.Items[0].Trace)
}

func TestAutoRuleWantsEveryClause(t *testing.T) {
	t.Parallel()
	ix := load(t, []byte(policy))
	unknown := policyFacts("red", "blue")
	unknown.Subject.GroupsKnown = false

	require.Equal(t, access.Permit, engine.Evaluate(ix, reads(1800), "", policyFacts("red", "blue")).Outcome)
	require.Equal(t, access.Review, engine.Evaluate(ix, reads(1800), "", policyFacts("red")).Outcome, "not one of all")
	require.Equal(t, access.Review, engine.Evaluate(ix, reads(1801), "", policyFacts("red", "blue")).Outcome, "a second too long")
	require.Equal(t, access.Refuse, engine.Evaluate(ix, reads(1800), "", unknown).Outcome)
}

func TestDurationLeftOut(t *testing.T) {
	t.Parallel()
	ix := load(t, []byte(policy))
	f := policyFacts("red")

	require.Equal(t, access.Seconds(1200), engine.Evaluate(ix, reads(0), "", f).Items[0].Offer.Duration, "the contract's default")
	longer := reads(0)
	longer.Extends = access.GrantID{1}
	f.Extends = &engine.Extension{Grant: longer.Extends, Contract: "reads", StartedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(50 * time.Minute), MaxTotal: 7200}
	require.Equal(t, access.Seconds(600), engine.Evaluate(ix, longer, "", f).Items[0].Offer.Duration, "what is left")
	f.Extends.MaxTotal = 6600
	require.Equal(t, access.Refuse, engine.Evaluate(ix, longer, "", f).Outcome, "what was pinned bounds it too")
}

func TestExtensionIsAboutOneKnownGrant(t *testing.T) {
	t.Parallel()
	ix := load(t, []byte(policy))
	longer := reads(60)
	longer.Extends = access.GrantID{1}
	known := policyFacts("red")
	known.Extends = &engine.Extension{Grant: longer.Extends, Contract: "reads", StartedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	twice := longer
	twice.Items = append(twice.Items, twice.Items[0])
	other := longer
	other.Extends = access.GrantID{2}

	require.Equal(t, access.Review, engine.Evaluate(ix, longer, "", known).Outcome)
	for name, d := range map[string]access.Decision{
		"no facts": engine.Evaluate(ix, longer, "", policyFacts("red")), "no extension": engine.Evaluate(ix, reads(60), "", known),
		"two items": engine.Evaluate(ix, twice, "", known), "another grant": engine.Evaluate(ix, other, "", known),
	} {
		require.Equal(t, access.Refuse, d.Outcome, name)
		require.Equal(t, access.FactUnavailable, d.Reasons[0].Code, name)
	}
}

func TestRefusalsBesideContracts(t *testing.T) {
	t.Parallel()
	ix := load(t, []byte(policy))
	noAccount := policyFacts("red")
	noAccount.Accounts = map[string]string{"pg-prod": ""}
	catalog := "Look the exact name up in the catalogue: ramp catalog."

	for _, tt := range []struct {
		name string
		ask  access.Ask
		f    engine.Facts
		want access.Reason
	}{
		{"NoAccount", reads(1800), noAccount, access.Reason{
			Code:    access.FactUnavailable,
			Message: "postgres/database:prod/orders is on pg-prod, where no account is known for you.",
			Fix:     "Ask the operator how your account on pg-prod is found, or to add one.",
		}},
		{"NoResource", access.Ask{Items: []access.Item{{Role: "pg/readonly", Resource: "x:y"}}, Duration: 60}, policyFacts("red"), access.Reason{
			Code: access.ResourceUnknown, Message: "There is no resource x:y in the catalogue.", Fix: catalog,
		}},
		{"NoRole", access.Ask{Items: []access.Item{{Role: "pg/write", Resource: "postgres/database:prod/orders"}}, Duration: 60}, policyFacts("red"), access.Reason{
			Code: access.NoContract, Message: "There is no role pg/write in the catalogue.", Fix: catalog,
		}},
		{"RoleMeansNothingThere", access.Ask{Items: []access.Item{{Role: "kube/view", Resource: "postgres/database:prod/orders"}}, Duration: 60}, policyFacts("red"), access.Reason{
			Code: access.NoContract, Message: "No contract permits kube/view on postgres/database:prod/orders.",
			Fix: "See what you can ask for: ramp catalog. Or ask the owners of the resource for a contract.",
		}},
		{"NothingAsked", access.Ask{Duration: 60}, policyFacts("red"), access.Reason{
			Code: access.NoContract, Message: "Nothing was asked for.", Fix: "Name a role and a resource.",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := engine.Evaluate(ix, tt.ask, "", tt.f)

			require.Equal(t, access.Refuse, d.Outcome)
			require.Equal(t, []access.Reason{tt.want}, d.Reasons)
		})
	}
}

// Somebody whose groups are unknown is told that, whatever they ask for.
func TestUnknownGroupsAreSaid(t *testing.T) {
	t.Parallel()
	f := policyFacts("red")
	f.Subject.GroupsKnown = false

	d := engine.Redact(engine.Evaluate(load(t, []byte(policy)), reads(1800), "", f))

	require.Equal(t, []access.Reason{{
		Code:    access.FactUnavailable,
		Message: "No contract lets you have pg/readonly on postgres/database:prod/orders. Your groups are unknown, so that no contract for a group is for you.",
		Fix:     "Sign in again, so that your groups are known. If that does not help, the identity provider sends none.",
	}}, d.Reasons)
}

func TestSeatWho(t *testing.T) {
	t.Parallel()
	ix := load(t, []byte(policy))

	require.Equal(t, []access.Who{{Group: "green"}, {User: id("bob")}}, engine.SeatWho(ix, reads(60)), "guardrails' too, but not those of stages for other roles")
	require.Empty(t, engine.SeatWho(ix, access.Ask{Items: []access.Item{{Role: "pg/readonly", Resource: "x:y"}}}))
}

func TestFactsWithout(t *testing.T) {
	t.Parallel()
	f := engine.Facts{Live: map[string]engine.Live{"a": {Subject: 1, Total: 3}, "b": {Total: 2}}}

	require.Equal(t, map[string]engine.Live{"a": {Subject: 0, Total: 2}, "b": {Total: 2}}, f.Without("a").Live)
	require.Equal(t, map[string]engine.Live{"a": {Subject: 1, Total: 3}, "b": {Total: 1}}, f.Without("b").Live, "never below none")
	require.Equal(t, f, f.Without("c"))
	require.Equal(t, engine.Live{Subject: 1, Total: 3}, f.Live["a"], "the facts themselves stay")
}

func TestWhoSaidBothDenied(t *testing.T) {
	t.Parallel()
	bob := access.Subject{ID: id("bob"), GroupsKnown: true}
	d := access.Decision{Approvals: []access.Track{{DeniesNeeded: 1, Stages: []access.Stage{{Seats: []access.Seat{{Count: 1, Who: []access.Who{{User: bob.ID}}}}}}}}}
	people := map[access.PrincipalID]access.Subject{bob.ID: bob}
	yes, no := access.Vote{Voter: bob.ID, Decision: access.Approve}, access.Vote{Voter: bob.ID, Decision: access.Deny}

	require.Equal(t, engine.Denied, engine.Count(d, id("ann"), []access.Vote{yes, no}, people).State)
	require.Equal(t, engine.Denied, engine.Count(d, id("ann"), []access.Vote{no, yes}, people).State)
}
