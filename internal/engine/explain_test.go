package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

// A question need not say what only a request has to say.
func TestExplainMissesNoReasonAndNoTicket(t *testing.T) {
	t.Parallel()
	set, problems := contract.Load(contract.File{Name: "policy.yaml", Data: []byte(`
apiVersion: rampkeeper/v1
kind: Role
metadata: {name: r}
spec: {title: R, entitlements: {t: [{permission: r}]}}
---
apiVersion: rampkeeper/v1
kind: Resource
metadata: {name: "t:x"}
spec: {title: X, connector: target}
---
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: c}
spec:
  subjects: {any: [{user: ann}]}
  permits: [{roles: [r], resources: [{type: t}]}]
  time: {duration: {default: 20m, max: 1h}}
  justification: {minLength: 10, ticket: {pattern: "T-[0-9]+", required: true}}
`)})
	require.Empty(t, problems)
	ix := contract.Compile(set, 1, "iss")
	facts := engine.Facts{
		Now:      time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC),
		Subject:  access.Subject{ID: "iss|ann", GroupsKnown: true},
		Accounts: map[string]string{"target": "ann"},
	}
	said := func(ask access.Ask, path string) access.Clause {
		for _, c := range engine.Explain(ix, ask, facts).Items[0].Trace {
			if c.Path == path {
				return c
			}
		}
		return access.Clause{}
	}
	ask := access.Ask{Items: []access.Item{{Role: "r", Resource: "t:x"}}}

	d := engine.Explain(ix, ask, facts)
	require.Equal(t, access.Permit, d.Outcome)
	require.Empty(t, d.Reasons)
	require.Equal(t, access.Seconds(1200), d.Items[0].Offer.Duration)
	require.Equal(t, access.Clause{
		Rule: "Contract/c", Path: "/spec/justification/minLength", Verdict: access.Skipped,
		Expected: "a reason of at least 10 characters", Actual: "not given yet",
	}, said(ask, "/spec/justification/minLength"))
	require.Equal(t, access.Clause{
		Rule: "Contract/c", Path: "/spec/justification/ticket", Verdict: access.Skipped,
		Expected: "a ticket of the form T-[0-9]+", Actual: "not given yet",
	}, said(ask, "/spec/justification/ticket"))

	require.Equal(t, access.Refuse, engine.Evaluate(ix, ask, "", facts).Outcome, "a request is judged by what it says")
	ask.Reason, ask.Ticket = "short", "X"
	d = engine.Explain(ix, ask, facts)
	require.Equal(t, access.Refuse, d.Outcome, "and so is a question, by what it says")
	require.Len(t, d.Reasons, 2)
}
