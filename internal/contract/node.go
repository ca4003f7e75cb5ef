package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// place is where something stands in its file.
type place struct{ line, column int }

// tree of a document as plain values, with the place of each by JSON pointer.
type parsed struct {
	chunk
	value    any
	at       map[string]place // of values
	keyAt    map[string]place // of the keys that lead to them
	nodes    int
	problems Problems
	// structural are the pointers of what is wrong with the document by
	// itself, and refused those of values that cannot be used.
	structural map[string]bool
	refused    map[string]bool
}

// parse reads one document. It goes over the nodes of the YAML rather than
// decode them, because a decoder forgets places, takes yes for true and
// follows aliases.
func parse(c chunk) *parsed {
	p := &parsed{chunk: c, at: map[string]place{}, keyAt: map[string]place{}, structural: map[string]bool{}, refused: map[string]bool{}}
	if len(c.text) > MaxDocumentBytes {
		p.fault(place{1, 1}, "", fmt.Sprintf("the document is %d bytes long", len(c.text)), fmt.Sprintf("split it: at most %d bytes are read", MaxDocumentBytes))
		return p
	}
	loader, err := yaml.NewLoader(strings.NewReader(c.text), yaml.WithUniqueKeys(false),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(MaxDepth), loaderlimits.AliasValue(1))))
	if err != nil {
		p.fault(place{1, 1}, "", err.Error(), "")
		return p
	}
	var n yaml.Node
	if err := loader.Load(&n); err != nil {
		p.syntax(err)
		return p
	}
	if n.Kind != yaml.DocumentNode || len(n.Content) != 1 {
		p.fault(place{1, 1}, "", "the document is empty", "take the marker out, or write a document")
		return p
	}
	p.value = p.walk(n.Content[0], "", 0)
	var more yaml.Node
	if err := loader.Load(&more); err != nil && !errors.Is(err, io.EOF) {
		p.syntax(err)
	} else if err == nil {
		p.fault(place{more.Line, more.Column}, "", "a second document starts here", "put --- alone on a line before it")
	}
	return p
}

// fault reports an error; the place counts from the start of the document.
func (p *parsed) fault(at place, pointer, message, fix string) {
	if len(p.problems) < maxDocProblems {
		p.problems = append(p.problems, Problem{
			File: p.file, Line: p.line + at.line - 1, Column: at.column, Pointer: pointer, Message: message, Fix: fix,
		})
	}
}

func (p *parsed) syntax(err error) {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		p.fault(place{1, 1}, "", "is not YAML", "")
		return
	}
	at := place{max(1, e.Mark.Line), max(1, e.Mark.Column)}
	message, fix := e.Message, ""
	if e.ContextMsg != "" {
		message += " " + e.ContextMsg
	}
	switch {
	case strings.Contains(message, "exceeded max depth"):
		message, fix = fmt.Sprintf("is nested deeper than %d levels", MaxDepth), ""
	case strings.Contains(message, "cannot start any token"):
		fix = "indent with blanks, and put text that starts with a special character in quotes"
	case strings.Contains(message, "mapping values are not allowed"):
		fix = "look at the indentation, and put text that holds a colon in quotes"
	case strings.HasPrefix(strings.TrimLeft(p.text, " \t\r\n"), "%"):
		fix = "leave lines that start with % out"
	case strings.Contains(message, "unknown anchor"):
		p.fault(at, "", "an alias (*) is not accepted", "write the value out")
		return
	}
	p.fault(at, "", "is not YAML: "+message, fix)
}

var integer = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})$`)

// walk turns a node into maps, slices, strings, bools, json.Numbers and nil.
func (p *parsed) walk(n *yaml.Node, pointer string, depth int) any {
	at := place{n.Line, n.Column}
	p.at[pointer] = at
	p.nodes++
	if n.Anchor != "" {
		p.fault(at, pointer, "an anchor (&"+n.Anchor+") is not accepted", "write the value out where it is needed")
	}
	if n.Style&yaml.TaggedStyle != 0 {
		p.fault(at, pointer, "a tag ("+n.Tag+") is not accepted", "leave it out; put text in quotes")
		return nil
	}
	if depth > MaxDepth {
		p.fault(at, pointer, fmt.Sprintf("is nested deeper than %d levels", MaxDepth), "")
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		return p.mapping(n, pointer, depth)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for i, c := range n.Content {
			out = append(out, p.walk(c, pointer+"/"+strconv.Itoa(i), depth+1))
		}
		return out
	case yaml.ScalarNode:
		return p.scalar(n, pointer, at)
	case yaml.AliasNode:
		p.fault(at, pointer, "an alias (*"+n.Value+") is not accepted", "write the value out")
	default:
		p.fault(at, pointer, "is neither a mapping, a list nor a value", "")
	}
	return nil
}

func (p *parsed) mapping(n *yaml.Node, pointer string, depth int) any {
	out := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		at := place{k.Line, k.Column}
		switch {
		case k.Kind == yaml.ScalarNode && k.Tag == "!!merge":
			p.fault(at, pointer, "a merge key (<<) is not accepted", "write the fields out")
			continue
		case k.Kind != yaml.ScalarNode || k.Tag != "!!str" || k.Style&yaml.TaggedStyle != 0 || k.Anchor != "":
			p.fault(at, pointer, "a key has to be plain text", "put it in quotes")
			continue
		}
		if bad := access.CheckText(k.Value, access.MaxName); bad != "" {
			p.fault(at, pointer, "this key "+bad, "")
			continue
		}
		child := pointer + "/" + escape(k.Value)
		if first, dup := p.keyAt[child]; dup {
			p.fault(at, child, fmt.Sprintf("duplicate key, first defined at line %d", p.line+first.line-1), "keep one of them")
			continue
		}
		p.keyAt[child] = at
		out[k.Value] = p.walk(v, child, depth+1)
	}
	return out
}

func (p *parsed) scalar(n *yaml.Node, pointer string, at place) any {
	switch n.Tag {
	case "!!str":
		if bad := access.CheckText(n.Value, access.MaxReason); bad != "" {
			p.fault(at, pointer, bad, "")
		}
		return n.Value
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!null":
		return nil
	case "!!int":
		if integer.MatchString(n.Value) {
			return json.Number(n.Value)
		}
		p.fault(at, pointer, quote(n.Value)+" is not a plain whole number", "write digits only, or put text in quotes")
	case "!!float":
		p.fault(at, pointer, quote(n.Value)+" is not a plain whole number", "write digits only, or put text in quotes")
	case "!!timestamp":
		p.fault(at, pointer, quote(n.Value)+" is read as a date", "put it in quotes")
	default:
		p.fault(at, pointer, "a value of this kind ("+n.Tag+") is not accepted", "put text in quotes")
	}
	return nil
}

func unescape(segment string) string {
	return strings.ReplaceAll(strings.ReplaceAll(segment, "~1", "/"), "~0", "~")
}

// escape writes a key as a segment of a JSON pointer.
func escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// quote shows a value from a document, shortened.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:57]) + "…"
	}
	return strconv.Quote(s)
}
