package contract

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// later are fields of the policy language that this version does not have.
// They are refused like any unknown field: a rule that is read and not kept
// would be worse than none.
var later = []string{
	"activation", "anchor", "breakGlass", "budget", "bypass", "claim", "conditions", "conflicts", "decay", "drift",
	"enforcement", "escalate", "extension", "fallback", "kinds", "minExpiryClass", "params", "sessions", "stepUp",
	"windows", "workload",
}

// pointerTo joins the segments of a JSON pointer.
func pointerTo(segments []string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString("/" + escape(s))
	}
	return b.String()
}

// explain turns a tree of schema errors into problems that say what was met,
// what is right and where. At most one is given for a value.
func (p *parsed) explain(e *jsonschema.ValidationError, said map[string]bool) {
	pointer := pointerTo(e.InstanceLocation)
	if said[pointer] || len(p.problems) >= maxDocProblems {
		return
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		// A pattern helps editors; where there is a format it says more.
		causes := slices.Clone(e.Causes)
		slices.SortStableFunc(causes, func(a, b *jsonschema.ValidationError) int { return rank(a) - rank(b) })
		for _, c := range causes {
			p.explain(c, said)
		}
		return
	case *kind.AdditionalProperties:
		allowed := compiled().fields(e.SchemaURL)
		for _, name := range slices.Sorted(slices.Values(k.Properties)) {
			p.unknown(pointer, name, allowed)
		}
		return
	case *kind.PropertyNames:
		p.badKey(k.Property, len(e.InstanceLocation), keyHint(e), said)
		return
	case *kind.Required:
		for _, name := range k.Missing {
			p.fault(p.whereOf(pointer), pointer, name+" is missing", "add "+name)
			p.structural[pointer+"/"+escape(name)] = true
		}
		return
	case *kind.OneOf:
		p.fault(p.whereOf(pointer), pointer, "a guardrail either denies or requires", "give one of deny and require")
		return
	}
	said[pointer] = true
	p.refused[pointer] = true
	message, fix := describe(e, p.lookup(e.InstanceLocation))
	p.fault(p.at[pointer], pointer, message, fix)
}

// badKey reports a key that a mapping with free keys may not have. The
// validator hands out a location that it goes on writing to, of which only the
// length can be trusted; the key is looked for instead.
func (p *parsed) badKey(key string, depth int, fix string, said map[string]bool) {
	found := ""
	for pointer := range p.keyAt { // any order: the least is taken
		segments := strings.Split(pointer, "/")
		if len(segments) != depth+2 || segments[depth+1] != escape(key) || said[pointer] {
			continue
		}
		if parent := segments[depth]; (parent == "labels" || parent == "entitlements") && (found == "" || pointer < found) {
			found = pointer
		}
	}
	if found != "" {
		said[found] = true
		p.refused[found] = true
		p.fault(p.keyAt[found], found, quote(key)+" cannot be a key here", fix)
	}
}

func rank(e *jsonschema.ValidationError) int {
	if _, ok := e.ErrorKind.(*kind.Pattern); ok {
		return 1
	}
	return 0
}

func (p *parsed) unknown(pointer, name string, allowed []string) {
	child := pointer + "/" + escape(name)
	fix := didYouMean(name, slices.Values(allowed))
	switch {
	case slices.Contains(later, name):
		fix = "this version does not have it yet; leave it out"
	case fix == "" && len(allowed) > 0:
		fix = "there are " + strings.Join(allowed, ", ")
	}
	p.refused[child] = true // json would take startwithin for startWithin
	p.fault(p.keyAt[child], child, "unknown field "+name, fix)
}

// whereOf is the key that leads to a value, or the value where there is none.
func (p *parsed) whereOf(pointer string) place {
	if at, ok := p.keyAt[pointer]; ok {
		return at
	}
	return p.at[pointer]
}

// describe gives the message for one value and the mend, if there is more to
// say than the message does.
func describe(e *jsonschema.ValidationError, value any) (message, fix string) {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		want := strings.Join(k.Want, " or ")
		switch {
		case k.Got == "null":
			return "has no value", "give a value, or take the field out"
		case slices.Contains(k.Want, "boolean") && k.Got == "string":
			return fmt.Sprintf("got the text %s, want true or false", show(value)), "write true or false, without quotes"
		case slices.Contains(k.Want, "string") && (k.Got == "number" || k.Got == "boolean" || k.Got == "integer"):
			return fmt.Sprintf("got the %s %s, want text", k.Got, show(value)), "put it in quotes"
		}
		return "got " + typeName(k.Got) + ", want " + typeName(want), ""
	case *kind.Enum:
		words := make([]string, 0, len(k.Want))
		for _, w := range k.Want {
			words = append(words, fmt.Sprint(w))
		}
		if s, ok := value.(string); ok {
			fix = didYouMean(s, slices.Values(words))
		}
		return fmt.Sprintf("%s is not one of %s", show(value), strings.Join(words, ", ")), fix
	case *kind.Const:
		return fmt.Sprintf("got %s", show(value)), fmt.Sprintf("write %s, or leave the field out", show(k.Want))
	case *kind.Format:
		return fmt.Sprintf("%s: %v", show(value), k.Err), ""
	case *kind.Pattern:
		return fmt.Sprintf("%s is not a name that may stand here", show(value)), hint(e.SchemaURL)
	case *kind.MinLength:
		return "is empty", "write something, or take the field out"
	case *kind.MaxLength:
		return fmt.Sprintf("is %d characters long, at most %d may be", k.Got, k.Want), ""
	case *kind.MinItems:
		return "the list is empty", emptyList(e.InstanceLocation)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d entries, at most %d may be", k.Got, k.Want), ""
	case *kind.MinProperties:
		if fields := compiled().fields(e.SchemaURL); len(fields) > 0 {
			return "says nothing", "give one of " + strings.Join(fields, ", ")
		}
		return "is empty", "write an entry"
	case *kind.MaxProperties:
		if fields := compiled().fields(e.SchemaURL); len(fields) > 0 {
			return "says several things", "give one of " + strings.Join(fields, ", ") + " in each entry"
		}
		return fmt.Sprintf("has %d entries, at most %d may be", k.Got, k.Want), ""
	case *kind.Minimum:
		return fmt.Sprintf("is %s, at least %s may be", k.Got.RatString(), k.Want.RatString()), ""
	case *kind.Maximum:
		return fmt.Sprintf("is %s, at most %s may be", k.Got.RatString(), k.Want.RatString()), ""
	default:
		return "is not what may stand here", ""
	}
}

func emptyList(location []string) string {
	if len(location) > 0 && (location[len(location)-1] == "any" || location[len(location)-1] == "all") {
		return "an empty list is about nobody: name a user or a group"
	}
	return "write an entry, or take the field out"
}

func hint(schemaURL string) string {
	switch {
	case strings.HasSuffix(schemaURL, "/roleName"):
		return "letters, digits, dot, dash and underscore in segments, such as pg/readonly"
	case strings.HasSuffix(schemaURL, "/resourceType"):
		return "lower-case letters, digits and dashes in segments, such as postgres/database"
	case strings.HasSuffix(schemaURL, "/labelKey"):
		return "letters, digits, dot, dash, underscore and slash"
	default:
		return "letters, digits, dot, dash and underscore, and no blanks or slashes"
	}
}

func keyHint(e *jsonschema.ValidationError) string {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	return hint(e.SchemaURL)
}

func typeName(jsonType string) string {
	switch jsonType {
	case "object":
		return "a mapping"
	case "array":
		return "a list"
	case "string":
		return "text"
	case "boolean":
		return "true or false"
	case "integer", "number":
		return "a whole number"
	default:
		return jsonType
	}
}

// lookup finds a value by its location.
func (p *parsed) lookup(location []string) any {
	at := p.value
	for _, segment := range location {
		switch v := at.(type) {
		case map[string]any:
			at = v[segment]
		case []any:
			i := 0
			if _, err := fmt.Sscan(segment, &i); err != nil || i < 0 || i >= len(v) {
				return nil
			}
			at = v[i]
		}
	}
	return at
}

// show writes a value into a message, shortened.
func show(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case json.Number:
		return v.String()
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case nil:
		return "nothing"
	default:
		return fmt.Sprint(v)
	}
}
