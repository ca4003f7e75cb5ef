package contract_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// Words are few, so that patterns meet names.
var (
	segments = []string{"a", "b", "ab", "abc", "prod"}
	types    = []string{"t", "pg/db"}
)

func drawPath(t *rapid.T, wild []string) string {
	words := slices.Concat(segments, wild)
	path := rapid.SliceOfN(rapid.SampledFrom(words), 1, 4).Draw(t, "path")
	if wild != nil && rapid.Bool().Draw(t, "rest") {
		path = append(path, "**")
	}
	return strings.Join(path, "/")
}

func drawLabels(t *rapid.T) map[string]string {
	return rapid.MapOfN(rapid.SampledFrom([]string{"env", "data"}), rapid.SampledFrom([]string{"x", "y"}), 0, 2).Draw(t, "labels")
}

func drawSelector(t *rapid.T) contract.Selector {
	s := contract.Selector{Type: rapid.SampledFrom(append([]string{"*"}, types...)).Draw(t, "type"), Labels: drawLabels(t)}
	if rapid.Bool().Draw(t, "has path") {
		s.Path = drawPath(t, []string{"*", "a*", "pr*"})
	}
	return s
}

func drawSet(t *rapid.T) *contract.Set {
	set := &contract.Set{}
	for _, name := range rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string { return drawPath(t, nil) }), 1, 4, rapid.ID).Draw(t, "roles") {
		var r contract.Role
		r.Metadata.Name = name
		r.Spec.Entitlements = map[string][]contract.RoleEntitlement{}
		for _, kind := range types {
			if rapid.IntRange(0, 3).Draw(t, "means") > 0 {
				r.Spec.Entitlements[kind] = []contract.RoleEntitlement{{Permission: "p"}}
			}
		}
		set.Roles = append(set.Roles, r)
	}
	for _, id := range rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom(types).Draw(t, "type") + ":" + drawPath(t, nil)
	}), 1, 6, rapid.ID).Draw(t, "resources") {
		var r contract.Resource
		r.Metadata.Name = id
		r.Spec.Labels = drawLabels(t)
		set.Resources = append(set.Resources, r)
	}
	roles := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return drawPath(t, []string{"*"}) }), 1, 3)
	selectors := rapid.SliceOfN(rapid.Custom(drawSelector), 1, 3)
	for i := range rapid.IntRange(0, 6).Draw(t, "contracts") {
		var c contract.Contract
		c.Metadata.Name = fmt.Sprintf("c%d", i)
		for range rapid.IntRange(1, 2).Draw(t, "permits") {
			c.Spec.Permits = append(c.Spec.Permits, contract.Permit{Roles: roles.Draw(t, "patterns"), Resources: selectors.Draw(t, "selectors")})
		}
		set.Contracts = append(set.Contracts, c)
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "guardrails") {
		var g contract.Guardrail
		g.Metadata.Name = fmt.Sprintf("g%d", i)
		if rapid.Bool().Draw(t, "has roles") {
			g.Spec.Match.Roles = roles.Draw(t, "patterns")
		}
		if rapid.Bool().Draw(t, "has resources") {
			g.Spec.Match.Resources = selectors.Draw(t, "selectors")
		}
		set.Guardrails = append(set.Guardrails, g)
	}
	return set
}

// scan says the same as the index, by looking at every document.
func scan(set *contract.Set, role *contract.Role, r *contract.Resource) (contracts, guardrails []string) {
	covers := func(roles []string, resources []contract.Selector) bool {
		return slices.ContainsFunc(roles, func(p string) bool { return contract.MatchRole(p, role.Metadata.Name) }) &&
			slices.ContainsFunc(resources, func(s contract.Selector) bool { return s.Matches(r) })
	}
	kind, _ := contract.SplitResource(r.Metadata.Name)
	for _, c := range set.Contracts {
		if slices.ContainsFunc(c.Spec.Permits, func(p contract.Permit) bool { return covers(p.Roles, p.Resources) }) && role.Spec.Entitlements[kind] != nil {
			contracts = append(contracts, c.Metadata.Name)
		}
	}
	for _, g := range set.Guardrails {
		roles, resources := g.Spec.Match.Roles, g.Spec.Match.Resources
		if roles == nil {
			roles = []string{"**"}
		}
		if resources == nil {
			resources = []contract.Selector{{Type: "*"}}
		}
		if covers(roles, resources) {
			guardrails = append(guardrails, g.Metadata.Name)
		}
	}
	return contracts, guardrails
}

func TestIndexIsTheScan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		ix := contract.Compile(set, 1, "")
		for i := range set.Resources {
			r := &set.Resources[i]
			var permitting []string
			for j := range set.Roles {
				role := &set.Roles[j]
				var contracts, guardrails []string
				for _, c := range ix.Contracts(role.Metadata.Name, r.Metadata.Name) {
					contracts = append(contracts, c.Metadata.Name)
				}
				for _, g := range ix.Guardrails(role.Metadata.Name, r.Metadata.Name) {
					guardrails = append(guardrails, g.Metadata.Name)
				}
				wantContracts, wantGuardrails := scan(set, role, r)
				require.Equal(t, wantContracts, contracts)
				require.Equal(t, wantGuardrails, guardrails)
				if wantContracts != nil {
					permitting = append(permitting, role.Metadata.Name)
				}
			}
			var got []string
			for _, p := range ix.Permitting(r.Metadata.Name) {
				got = append(got, p.Role.Metadata.Name)
			}
			require.Equal(t, permitting, got)
		}
	})
}

// refMatch states what a pattern covers without walking it from the left.
func refMatch(pattern, name string) bool {
	p, n := strings.Split(pattern, "/"), strings.Split(name, "/")
	if p[len(p)-1] == "**" {
		p = p[:len(p)-1]
		if len(n) < len(p) {
			return false
		}
		n = n[:len(p)]
	}
	if len(p) != len(n) {
		return false
	}
	for i := range p {
		prefix, wild := strings.CutSuffix(p[i], "*")
		if wild && !strings.HasPrefix(n[i], prefix) || !wild && p[i] != n[i] {
			return false
		}
	}
	return true
}

func TestPathPatterns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern, path := drawPath(t, []string{"*", "a*", "pr*"}), drawPath(t, nil)
		require.Equal(t, refMatch(pattern, path), contract.MatchPath(pattern, path), "%s against %s", pattern, path)
		require.True(t, contract.MatchPath(path, path), "a literal covers itself")
		require.True(t, contract.MatchPath("**", path))
	})
}

// TestWrittenAnyWay: what a set means depends neither on the order of
// documents and keys, nor on files, nor on YAML or JSON.
func TestWrittenAnyWay(t *testing.T) {
	t.Parallel()
	set := demo(t)
	rapid.Check(t, func(t *rapid.T) {
		shuffled := rapid.Permutation(set.Documents).Draw(t, "documents")
		source := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var files []contract.File
		var text strings.Builder
		for i, d := range shuffled {
			body := d.Source
			if rapid.Bool().Draw(t, "as JSON") {
				var v any
				require.NoError(t, json.Unmarshal(d.Body, &v))
				body = shuffle(source, v)
			}
			text.WriteString("---\n" + body + "\n")
			if i == len(shuffled)-1 || rapid.Bool().Draw(t, "next file") {
				files = append(files, contract.File{Name: fmt.Sprint(i), Data: []byte(text.String())})
				text.Reset()
			}
		}

		got, problems := contract.Load(files...)
		require.Empty(t, problems)
		require.Equal(t, set.Digest(), got.Digest())
		require.Equal(t, set.Contracts, got.Contracts)
		require.Equal(t, set.Roles, got.Roles)
	})
}

// shuffle writes a value as JSON with its keys in a random order.
func shuffle(source *rand.Rand, v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for k, x := range v {
			parts = append(parts, fmt.Sprintf("%q: %s", k, shuffle(source, x)))
		}
		source.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		return "{" + strings.Join(parts, ",\n  ") + "}"
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, shuffle(source, x))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return string(b)
	}
}

// TestRenaming: other names for the contracts give the same answers under the
// other names.
func TestRenaming(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		order := rapid.Permutation(set.Contracts).Draw(t, "names")
		renamed, to := *set, map[string]string{}
		renamed.Contracts = slices.Clone(set.Contracts)
		for i := range renamed.Contracts {
			to[renamed.Contracts[i].Metadata.Name] = "x-" + order[i].Metadata.Name
			renamed.Contracts[i].Metadata.Name = "x-" + order[i].Metadata.Name
		}
		slices.SortFunc(renamed.Contracts, func(a, b contract.Contract) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
		before, after := contract.Compile(set, 1, ""), contract.Compile(&renamed, 1, "")
		for _, r := range set.Resources {
			for _, role := range set.Roles {
				var want, got []string
				for _, c := range before.Contracts(role.Metadata.Name, r.Metadata.Name) {
					want = append(want, to[c.Metadata.Name])
				}
				for _, c := range after.Contracts(role.Metadata.Name, r.Metadata.Name) {
					got = append(got, c.Metadata.Name)
				}
				slices.Sort(want)
				require.Equal(t, want, got)
			}
		}
	})
}
