package contract

import (
	"maps"
	"slices"
	"strings"
)

// MatchRole says whether a role pattern of a document covers a role. Both are
// segmented by "/": a segment of the pattern is literal or *, and a trailing
// ** covers the rest, which may be nothing.
func MatchRole(pattern, name string) bool {
	return match(pattern, name, func(p, s string) bool { return p == "*" || p == s })
}

// MatchPath says whether a path pattern of a selector covers a resource's
// path: segments are literal, * or prefix-*, and a trailing ** covers the
// rest, which may be nothing.
func MatchPath(pattern, path string) bool {
	return match(pattern, path, func(p, s string) bool {
		if prefix, ok := strings.CutSuffix(p, "*"); ok {
			return strings.HasPrefix(s, prefix)
		}
		return p == s
	})
}

func match(pattern, name string, segment func(pattern, name string) bool) bool {
	for {
		if pattern == "**" {
			return true
		}
		p, patternRest, patternMore := strings.Cut(pattern, "/")
		s, nameRest, nameMore := strings.Cut(name, "/")
		if !segment(p, s) {
			return false
		}
		if !nameMore {
			return !patternMore || patternRest == "**"
		}
		if !patternMore {
			return false
		}
		pattern, name = patternRest, nameRest
	}
}

// Matches says whether the selector covers the resource: its type and its
// path and every label.
func (s Selector) Matches(r *Resource) bool {
	kind, path := SplitResource(r.Metadata.Name)
	if s.Type != "*" && s.Type != kind || s.Path != "" && !MatchPath(s.Path, path) {
		return false
	}
	for k, v := range s.Labels {
		if have, ok := r.Spec.Labels[k]; !ok || have != v {
			return false
		}
	}
	return true
}

// SplitResource gives the type and the path of a resource's id.
func SplitResource(id string) (kind, path string) {
	kind, path, _ = strings.Cut(id, ":")
	return kind, path
}

// Applies says whether the stage is asked for the role.
func (s Stage) Applies(role string) bool { return s.When == nil || matchesAny(s.When.Roles, role) }

// Covers says whether the rule is about the role. Without roles it is about
// all that the contract permits.
func (a AutoRule) Covers(role string) bool { return a.Roles == nil || matchesAny(a.Roles, role) }

func matchesAny(patterns []string, role string) bool {
	for _, p := range patterns {
		if MatchRole(p, role) {
			return true
		}
	}
	return false
}

// String writes the selector for people to read, such as
// postgres/database:prod/* with env=prod.
func (s Selector) String() string {
	text := s.Type + ":" + s.Path
	if s.Path == "" {
		text = s.Type + ":**"
	}
	for i, k := range slices.Sorted(maps.Keys(s.Labels)) {
		text += [...]string{" with ", ", "}[min(i, 1)] + k + "=" + s.Labels[k]
	}
	return text
}

// String writes where the people of a seat come from, such as db-owners for
// a set, or group security.
func (s Seat) String() string {
	switch {
	case s.From.Group != "":
		return "group " + s.From.Group
	case s.From.User != "":
		return "user " + s.From.User
	default:
		return s.From.Set
	}
}
