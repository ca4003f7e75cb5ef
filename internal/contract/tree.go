package contract

import (
	"slices"
	"strings"
)

// tree finds the rules whose selector covers a resource and whose role
// pattern covers a role, without looking at the others. Roles that are named
// exactly have a tree each; patterns share one and are matched as found.
type tree struct {
	exact   map[string]types
	pattern types
}

// types leads from the type of a selector, which may be *, to its paths.
type types map[string]*node

// node is one place in the paths: rules that end here, rules that cover
// everything below, and the ways on.
type node struct {
	literal map[string]*node
	prefix  []prefixNode // *, whose prefix is empty, and prefix-*
	here    []rule
	rest    []rule // **
}

type prefixNode struct {
	prefix string
	node   *node
}

// rule is one role pattern with one selector of a document.
type rule struct {
	owner  int32  // index of the document
	role   string // pattern; empty where the tree is that of an exact role
	labels map[string]string
}

func newTree() *tree { return &tree{exact: map[string]types{}, pattern: types{}} }

func (t *tree) add(owner int, role string, s Selector) {
	in, r := t.pattern, rule{owner: int32(owner), role: role, labels: s.Labels} //nolint:gosec // the loader bounds the number of documents
	if !strings.Contains(role, "*") {
		r.role = ""
		if in = t.exact[role]; in == nil {
			in = types{}
			t.exact[role] = in
		}
	}
	at := in[s.Type]
	if at == nil {
		at = &node{}
		in[s.Type] = at
	}
	path, more := s.Path, true
	if path == "" {
		path = "**"
	}
	for more {
		var segment string
		segment, path, more = strings.Cut(path, "/")
		if segment == "**" {
			at.rest = append(at.rest, r)
			return
		}
		at = at.child(segment)
	}
	at.here = append(at.here, r)
}

func (n *node) child(segment string) *node {
	if prefix, ok := strings.CutSuffix(segment, "*"); ok {
		for _, p := range n.prefix {
			if p.prefix == prefix {
				return p.node
			}
		}
		n.prefix = append(n.prefix, prefixNode{prefix, &node{}})
		return n.prefix[len(n.prefix)-1].node
	}
	if n.literal == nil {
		n.literal = map[string]*node{}
	}
	if n.literal[segment] == nil {
		n.literal[segment] = &node{}
	}
	return n.literal[segment]
}

// find appends the owners of the rules that cover the role on the resource,
// each once, in ascending order.
func (t *tree) find(hits []int32, role string, r *Resource) []int32 {
	kind, path := SplitResource(r.Metadata.Name)
	for _, in := range [...]types{t.exact[role], t.pattern} {
		for _, k := range [...]string{kind, "*"} {
			if n := in[k]; n != nil {
				hits = n.find(hits, path, true, role, r.Spec.Labels)
			}
		}
	}
	slices.Sort(hits)
	return slices.Compact(hits)
}

func (n *node) find(hits []int32, path string, more bool, role string, labels map[string]string) []int32 {
	hits = collect(hits, n.rest, role, labels)
	if !more {
		return collect(hits, n.here, role, labels)
	}
	segment, rest, more := strings.Cut(path, "/")
	if next := n.literal[segment]; next != nil {
		hits = next.find(hits, rest, more, role, labels)
	}
	for _, p := range n.prefix {
		if strings.HasPrefix(segment, p.prefix) {
			hits = p.node.find(hits, rest, more, role, labels)
		}
	}
	return hits
}

func collect(hits []int32, rules []rule, role string, labels map[string]string) []int32 {
	for i := range rules {
		r := &rules[i]
		if (r.role == "" || MatchRole(r.role, role)) && covers(r.labels, labels) {
			hits = append(hits, r.owner)
		}
	}
	return hits
}

// covers says whether every wanted label is there and equal.
func covers(want, have map[string]string) bool {
	for k, v := range want {
		if h, ok := have[k]; !ok || h != v {
			return false
		}
	}
	return true
}
