package contract_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

func TestMatchRole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"pg/readonly", "pg/readonly", true},
		{"pg/readonly", "pg/readonlyx", false},
		{"pg/readonly", "PG/readonly", false},
		{"pg/readonly", "pg", false},
		{"pg", "pg/readonly", false},
		{"pg/*", "pg/readonly", true},
		{"pg/*", "pg", false},
		{"pg/*", "pg/a/b", false},
		{"*", "pg", true},
		{"*", "pg/readonly", false},
		{"*/readonly", "pg/readonly", true},
		{"pg/*/b", "pg/a/b", true},
		{"pg/*/b", "pg/a/c", false},
		{"pg/**", "pg/a/b", true},
		{"pg/**", "pg/a", true},
		{"pg/**", "pg", true},
		{"pg/**", "pgx", false},
		{"**", "pg/a/b", true},
		{"pg/re*", "pg/readonly", false}, // roles have no prefixes
	} {
		require.Equal(t, tt.want, contract.MatchRole(tt.pattern, tt.name), "%s against %s", tt.pattern, tt.name)
	}
}

func TestSelector(t *testing.T) {
	t.Parallel()
	var orders contract.Resource
	orders.Metadata.Name = "postgres/database:prod/eu/orders"
	orders.Spec.Labels = map[string]string{"env": "prod", "data": "pci"}
	for _, tt := range []struct {
		name string
		sel  contract.Selector
		want bool
	}{
		{"Type", contract.Selector{Type: "postgres/database"}, true},
		{"EveryType", contract.Selector{Type: "*"}, true},
		{"OtherType", contract.Selector{Type: "postgres"}, false},
		{"Literal", contract.Selector{Type: "*", Path: "prod/eu/orders"}, true},
		{"ExactCase", contract.Selector{Type: "*", Path: "prod/EU/orders"}, false},
		{"Segment", contract.Selector{Type: "*", Path: "prod/*/orders"}, true},
		{"TooFewSegments", contract.Selector{Type: "*", Path: "prod/*"}, false},
		{"TooManySegments", contract.Selector{Type: "*", Path: "prod/eu/orders/*"}, false},
		{"Prefix", contract.Selector{Type: "*", Path: "pr*/e*/ord*"}, true},
		{"PrefixIsWhole", contract.Selector{Type: "*", Path: "prod*/eu/orders"}, true},
		{"OtherPrefix", contract.Selector{Type: "*", Path: "x*/eu/orders"}, false},
		{"Rest", contract.Selector{Type: "*", Path: "prod/**"}, true},
		{"RestIsNothing", contract.Selector{Type: "*", Path: "prod/eu/orders/**"}, true},
		{"All", contract.Selector{Type: "*", Path: "**"}, true},
		{"Labels", contract.Selector{Type: "*", Labels: map[string]string{"env": "prod", "data": "pci"}}, true},
		{"OneLabelDiffers", contract.Selector{Type: "*", Labels: map[string]string{"env": "prod", "data": "public"}}, false},
		{"LabelMissing", contract.Selector{Type: "*", Labels: map[string]string{"zone": ""}}, false},
		{"PathAndLabels", contract.Selector{Type: "*", Path: "staging/**", Labels: map[string]string{"env": "prod"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.sel.Matches(&orders))
		})
	}
}

func TestContractsAndGuardrails(t *testing.T) {
	t.Parallel()
	ix := contract.Compile(demo(t), 7, "https://id.example")
	names := func(role, resource string) (out []string) {
		for _, c := range ix.Contracts(role, resource) {
			out = append(out, c.Metadata.Name)
		}
		for _, g := range ix.Guardrails(role, resource) {
			out = append(out, g.Metadata.Name)
		}
		return out
	}

	require.Equal(t, int64(7), ix.Revision)
	require.Equal(t, []string{"orders-debug"}, names("pg/readonly", "postgres/database:prod/orders"))
	require.Equal(t, []string{"orders-debug", "no-contractors-on-pci"}, names("pg/readonly", "postgres/database:prod/billing"))
	require.Empty(t, names("pg/readonly", "postgres/database:prod/nothing"))
	require.Empty(t, names("pg/nothing", "postgres/database:prod/orders"))
	require.Empty(t, names("pg/readonly", "postgres/database:prod/*"), "a request's value is never a pattern")
	require.Empty(t, names("*", "postgres/database:prod/orders"))
}

func TestWho(t *testing.T) {
	t.Parallel()
	ix := contract.Compile(demo(t), 1, "https://id.example")

	require.Equal(t, access.Who{User: "https://id.example|ada"}, ix.Who(contract.Atom{User: "ada"}))
	require.Equal(t, access.Who{User: "https://other.example|ada"}, ix.Who(contract.Atom{User: "https://other.example|ada"}))
	require.Equal(t, access.Who{Group: "security"}, ix.Who(contract.Atom{Group: "security"}))
	require.Equal(t, access.Who{}, ix.Who(contract.Atom{Everyone: true}))
	c, ok := ix.Contract("orders-debug")
	require.True(t, ok)
	require.Equal(t, []access.Who{{Group: "db-owners"}}, ix.SeatWho(c.Spec.Approvals.Stages[0].Seats[0]))
}

func TestEntitlements(t *testing.T) {
	t.Parallel()
	set, problems := contract.Load(contract.File{Name: "t.yaml", Data: []byte(`
{apiVersion: rampkeeper/v1, kind: Role, metadata: {name: r}, spec: {title: R, entitlements: {t: [
  {permission: "plain"}, {permission: "a_{{resource.name}}_z"}, {permission: "{{ resource.path }}"}, {permission: "{{resource.labels.a.b/c}}{{resource.labels.env}}"}]}}}
---
{apiVersion: rampkeeper/v1, kind: Role, metadata: {name: other}, spec: {title: R, entitlements: {u: [{permission: x}]}}}
---
{apiVersion: rampkeeper/v1, kind: Resource, metadata: {name: "t:prod/orders"}, spec: {title: O, connector: pg, labels: {a.b/c: one-, env: "{two}"}}}
---
{apiVersion: rampkeeper/v1, kind: Resource, metadata: {name: "t:bare"}, spec: {title: B, connector: pg}}
`)})
	require.Empty(t, problems)
	ix := contract.Compile(set, 1, "")

	got, err := ix.Entitlements("r", "t:prod/orders")
	require.NoError(t, err)
	require.Equal(t, []contract.Entitlement{{"pg", "plain"}, {"pg", "a_orders_z"}, {"pg", "prod/orders"}, {"pg", "one-{two}"}}, got)

	for _, tt := range []struct{ role, resource, want string }{
		{"r", "t:bare", "expanding role r for t:bare: t:bare has no label a.b/c"},
		{"r", "t:nothing", "resource t:nothing is not in the catalogue"},
		{"nothing", "t:bare", "role nothing is not in the catalogue"},
		{"other", "t:bare", "role other means nothing on a t"},
	} {
		_, err := ix.Entitlements(tt.role, tt.resource)
		require.EqualError(t, err, tt.want)
	}
}

// TestLookupStaysCheap holds the index to what it is for: a lookup among many
// contracts allocates the answer and nothing else.
func TestLookupStaysCheap(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts what other tests allocate as well
	set := demo(t)
	for i := range 10_000 {
		c := set.Contracts[0]
		c.Metadata.Name = fmt.Sprintf("filler-%d", i)
		c.Spec.Permits = []contract.Permit{{Roles: []string{"pg/readonly"}, Resources: []contract.Selector{{Type: "postgres/database", Path: fmt.Sprintf("team-%d/**", i)}}}}
		set.Contracts = append(set.Contracts, c)
	}
	ix := contract.Compile(set, 1, "")

	allocs := testing.AllocsPerRun(100, func() {
		if len(ix.Contracts("pg/readonly", "postgres/database:prod/orders")) != 1 {
			t.Error("not found")
		}
	})
	require.LessOrEqual(t, allocs, 2.0)
}
