package contract

import (
	"fmt"
	"strings"
)

// Entitlement is what a role means on one resource: a permission on a
// connector, in the target's terms.
type Entitlement struct {
	Connector  string
	Permission string
}

// Entitlements expands the role's templates for the resource.
func (ix *Index) Entitlements(role, resource string) ([]Entitlement, error) {
	r, ok := ix.resources[resource]
	if !ok {
		return nil, fmt.Errorf("resource %s is not in the catalogue", resource)
	}
	have, ok := ix.roles[role]
	if !ok {
		return nil, fmt.Errorf("role %s is not in the catalogue", role)
	}
	kind, _ := SplitResource(resource)
	templates := have.Spec.Entitlements[kind]
	if len(templates) == 0 {
		return nil, fmt.Errorf("role %s means nothing on a %s", role, kind)
	}
	out := make([]Entitlement, 0, len(templates))
	for _, t := range templates {
		permission, err := expand(t.Permission, r)
		if err != nil {
			return nil, fmt.Errorf("expanding role %s for %s: %w", role, resource, err)
		}
		out = append(out, Entitlement{Connector: r.Spec.Connector, Permission: permission})
	}
	return out, nil
}

// expand fills the placeholders of a template in. What comes out of labels
// and paths is not looked at again, so it cannot hold placeholders itself.
func expand(template string, r *Resource) (string, error) {
	var b strings.Builder
	err := scan(template, func(text string) { b.WriteString(text) }, func(placeholder string) error {
		_, path := SplitResource(r.Metadata.Name)
		switch key, isLabel := strings.CutPrefix(placeholder, "resource.labels."); {
		case placeholder == "resource.name":
			b.WriteString(path[strings.LastIndex(path, "/")+1:])
		case placeholder == "resource.path":
			b.WriteString(path)
		case isLabel:
			value, ok := r.Spec.Labels[key]
			if !ok {
				return fmt.Errorf("%s has no label %s", r.Metadata.Name, key)
			}
			b.WriteString(value)
		default:
			return fmt.Errorf("there is no {{%s}}: there are {{resource.name}}, {{resource.path}} and {{resource.labels.KEY}}", placeholder)
		}
		return nil
	})
	return b.String(), err
}

// scan splits a template into text and placeholders.
func scan(template string, text func(string), placeholder func(string) error) error {
	for {
		before, rest, found := strings.Cut(template, "{{")
		if strings.Contains(before, "}}") {
			return fmt.Errorf("a }} without its {{ in %q", before)
		}
		text(before)
		if !found {
			return nil
		}
		name, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return fmt.Errorf("a {{ without its }} in %q", rest)
		}
		if err := placeholder(strings.TrimSpace(name)); err != nil {
			return err
		}
		template = after
	}
}

// labelsIn gives the label keys that a template needs, and what is wrong with
// the template, if anything.
func labelsIn(template string) (keys []string, err error) {
	err = scan(template, func(string) {}, func(p string) error {
		key, isLabel := strings.CutPrefix(p, "resource.labels.")
		switch {
		case isLabel && key != "":
			keys = append(keys, key)
		case p != "resource.name" && p != "resource.path":
			return fmt.Errorf("there is no {{%s}}: there are {{resource.name}}, {{resource.path}} and {{resource.labels.KEY}}", p)
		}
		return nil
	})
	return keys, err
}
