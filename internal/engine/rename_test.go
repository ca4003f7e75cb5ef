package engine_test

import (
	"encoding/json"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

// renaming gives other names to everything that has one, in another order.
func renaming(t *rapid.T) map[string]string {
	to := map[string]string{}
	rename := func(prefix string, names ...string) {
		for i, n := range rapid.Permutation(slices.Clone(names)).Draw(t, prefix) {
			to[n] = prefix + string(rune('a'+i))
		}
	}
	rename("contract-", "c0", "c1", "c2", "c3", "c4")
	rename("guardrail-", "g0", "g1")
	rename("set-", setNames...)
	rename("group-", groups...)
	rename("user-", users...)
	rename("stage-", "s0", "s1")
	for _, u := range users {
		to[string(id(u))] = string(id(to[u]))
		to["user "+u] = "user " + to[u]
	}
	for _, g := range groups {
		to["group "+g] = "group " + to[g]
	}
	return to
}

// renamed puts other names into a value and everything in it.
func renamed[T any](t *rapid.T, v T, to map[string]string) T {
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var tree any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	require.NoError(t, d.Decode(&tree))
	text, err = json.Marshal(rewrite(tree, to))
	require.NoError(t, err)
	var out T
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

func rewrite(tree any, to map[string]string) any {
	switch v := tree.(type) {
	case string:
		if n, ok := to[v]; ok {
			return n
		}
	case []any:
		for i := range v {
			v[i] = rewrite(v[i], to)
		}
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if n, ok := to[k]; ok {
				k = n
			}
			out[k] = rewrite(x, to)
		}
		return out
	}
	return tree
}

func TestNamesMeanNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		to := renaming(t)
		other := world{
			set: contract.Set{
				Roles: w.set.Roles, Resources: w.set.Resources,
				Approvers:  renamed(t, w.set.Approvers, to),
				Contracts:  renamed(t, w.set.Contracts, to),
				Guardrails: renamed(t, w.set.Guardrails, to),
			},
			ask: renamed(t, w.ask, to), facts: renamed(t, w.facts, to),
		}
		back := map[string]string{}
		for from, name := range to {
			back[name] = from
		}

		was, is := w.offers(), renamed(t, other.offers(), back)

		require.Equal(t, ranks(was), ranks(is), "best first, whatever the names")
		require.Equal(t, normal(was), normal(is))
		d, o := w.decide(), other.decide()
		if len(w.ask.Items) == 1 && d.Outcome != access.Refuse {
			require.Equal(t, d.Outcome, o.Outcome)
		}
	})
}

// ranks is what the order of offers follows, but for the names.
func ranks(offers []access.Offer) [][3]int {
	out := [][3]int{}
	for _, o := range offers {
		out = append(out, [3]int{o.Precedence, count(o.Stages), int(o.MaxDuration)})
	}
	return out
}

// normal leaves out the orders that follow the names.
func normal(offers []access.Offer) []string {
	out := []string{}
	for _, o := range offers {
		sort.Strings(o.Guardrails)
		out = append(out, line(o))
	}
	sort.Strings(out)
	return out
}

// What the requester sees of an item that is not theirs to know of is the
// same as for one that does not exist, and names no contract of others.
func TestRedactHidesWhatIsNotForTheRequester(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		w.ask.Items, w.ask.Contract = w.ask.Items[:1], ""
		item := w.ask.Items[0]
		exclusive := false
		var mine, others []string
		for _, c := range w.index().Contracts(item.Role, item.Resource) {
			exclusive = exclusive || c.Spec.Exclusive && refForce(*c) == ""
		}
		for _, c := range w.index().Contracts(item.Role, item.Resource) {
			if refSubject(w, c.Spec.Subjects, false) && c.Spec.State != "draft" && (c.Spec.Exclusive || !exclusive || refForce(*c) != "") {
				mine = append(mine, c.Metadata.Name)
			} else {
				others = append(others, c.Metadata.Name)
			}
		}
		text := func(d access.Decision) string {
			b, err := json.Marshal(d)
			require.NoError(t, err)
			return strings.ReplaceAll(string(b), d.Items[0].Item.Resource, "it")
		}
		whole := w.decide()
		d := engine.Redact(whole)
		nowhere := w
		nowhere.ask.Items = []access.Item{{Role: item.Role, Resource: "postgres/database:no/such"}}
		noRole := w
		noRole.ask.Items = []access.Item{{Role: "pg/nothing", Resource: item.Resource}}

		require.Equal(t, whole.Outcome, d.Outcome)
		require.Empty(t, d.FactsDigest)
		if d.Outcome == access.Refuse {
			require.NotEmpty(t, d.Reasons)
			require.Equal(t, d.Items[0].Reasons, d.Reasons)
		}
		for _, name := range others {
			require.NotContains(t, text(d), "Contract/"+name+`"`)
			require.NotContains(t, strings.ToLower(text(d)), "contract "+name)
			require.NotContains(t, text(d), `"contract":"`+name)
		}
		if mine == nil {
			require.Equal(t, text(engine.Redact(nowhere.decide())), text(d))
			require.Equal(t, strings.ReplaceAll(text(engine.Redact(noRole.decide())), "pg/nothing", item.Role), text(d))
			require.Empty(t, d.Items[0].Trace)
		}
	})
}

func TestRedactLeavesTheWholeAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		d, same := w.decide(), w.decide()

		engine.Redact(d)

		require.Equal(t, same, d)
	})
}
