package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// note keeps selectors for resources, which looks at all of them at once.
func (c *checker) note(p *parsed, at string, selectors []Selector) {
	for i, s := range selectors {
		here := fmt.Sprintf("%s/%d", at, i)
		if p.doubtful(here) {
			continue
		}
		c.selectors = append(c.selectors, selectorUse{doc: p, pointer: here, Selector: s})
		for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
			if !c.labels[k] {
				key := here + "/labels/" + escape(k)
				p.warn(p.keyAt[key], key, "no resource has the label "+quote(k), didYouMean(k, maps.Keys(c.labels)))
			}
		}
	}
}

// resources reports selectors that cover no resource of the catalogue. It
// goes from the resources to the selectors, as a request does, so that large
// sets stay cheap.
func (c *checker) resources() {
	t, reached := newTree(), make([]bool, len(c.selectors))
	for i, s := range c.selectors {
		t.add(i, "any", s.Selector)
	}
	var hits []int32
	for i := range c.set.Resources {
		hits = t.find(hits[:0], "any", &c.set.Resources[i])
		for _, h := range hits {
			reached[h] = true
		}
	}
	for i, s := range c.selectors {
		if reached[i] {
			continue
		}
		id := s.Type + ":" + s.Path
		_, known := c.first[identity{"Resource", id}]
		switch {
		case known: // its document is faulty, or its labels differ
			if len(s.Labels) > 0 {
				s.doc.warn(s.doc.at[s.pointer], s.pointer, id+" does not have these labels", "")
			}
		case s.Path != "" && s.Type != "*" && !strings.Contains(s.Path, "*"):
			fix := c.didYouMean(id, "Resource")
			s.doc.fault(s.doc.at[s.pointer+"/path"], s.pointer+"/path", "there is no resource "+quote(id), fix)
		default:
			s.doc.warn(s.doc.at[s.pointer], s.pointer, "covers no resource of the catalogue", "")
		}
	}
}
