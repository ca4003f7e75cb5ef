package contract_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// demo loads the policy that the demo starts with.
func demo(t testing.TB) *contract.Set {
	t.Helper()
	names, err := filepath.Glob("../../deploy/demo/policy/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	var files []contract.File
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		files = append(files, contract.File{Name: filepath.Base(name), Data: data})
	}
	set, problems := contract.Load(files...)
	require.Empty(t, problems)
	return set
}

func TestDemoPolicy(t *testing.T) {
	t.Parallel()
	set := demo(t)

	require.Empty(t, contract.Lint(set))
	ix := contract.Compile(set, 1, "https://id.example")
	got := map[string][]string{}
	for _, r := range set.Resources {
		for _, p := range ix.Permitting(r.Metadata.Name) {
			entitlements, err := ix.Entitlements(p.Role.Metadata.Name, r.Metadata.Name)
			require.NoError(t, err)
			at := p.Role.Metadata.Name + " on " + r.Metadata.Name
			for _, c := range p.Contracts {
				got[at] = append(got[at], c.Metadata.Name)
			}
			for _, e := range entitlements {
				got[at] = append(got[at], e.Connector+"/"+e.Permission)
			}
			for _, g := range ix.Guardrails(p.Role.Metadata.Name, r.Metadata.Name) {
				got[at] = append(got[at], g.Metadata.Name)
			}
		}
	}
	require.Equal(t, map[string][]string{
		"pg/readonly on postgres/database:prod/billing":    {"orders-debug", "demo-postgres/ro_prod_billing", "no-contractors-on-pci"},
		"pg/readonly on postgres/database:prod/orders":     {"orders-debug", "demo-postgres/ro_prod_orders"},
		"pg/readonly on postgres/database:staging/orders":  {"staging-selfservice", "demo-postgres/ro_staging_orders"},
		"pg/readwrite on postgres/database:prod/billing":   {"orders-debug", "demo-postgres/rw_prod_billing", "no-contractors-on-pci"},
		"pg/readwrite on postgres/database:prod/orders":    {"orders-debug", "demo-postgres/rw_prod_orders"},
		"pg/readwrite on postgres/database:staging/orders": {"staging-selfservice", "demo-postgres/rw_staging_orders"},
	}, got)
}
