package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// maxDepth is how deep a body may nest.
const maxDepth = 32

// parseStrict reads one JSON document and reports every way in which two
// readers could understand it differently: members given twice or in another
// case, text after its end, characters that JSON cannot carry. What comes
// back has no members that are null, which means absent; they are told apart.
func parseStrict(body []byte) (v any, nulls []nullMember, faults []access.Detail) {
	if bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
		return nil, nil, []access.Detail{{Detail: "starts with a byte order mark; send plain UTF-8"}}
	}
	if !utf8.Valid(body) {
		return nil, nil, []access.Detail{{Detail: "is not valid UTF-8 at byte " + strconv.Itoa(invalidAt(body)+1)}}
	}
	p := parser{body: body, dec: json.NewDecoder(bytes.NewReader(body))}
	p.dec.UseNumber()
	v = p.value("", 0)
	if p.broken == nil {
		if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
			p.fault("", "goes on after its end; send one JSON document")
		}
	}
	return v, p.nulls, p.faults
}

// nullMember is a member that was sent as null and left out of its object.
type nullMember struct {
	of      map[string]any
	name    string
	pointer string // as a fault has it
}

func invalidAt(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

type parser struct {
	body   []byte
	dec    *json.Decoder
	nulls  []nullMember
	faults []access.Detail
	broken error // syntax: there is no going on
}

func (p *parser) fault(pointer, detail string) {
	p.faults = append(p.faults, access.Detail{Pointer: pointer, Detail: detail})
}

// token reads the next token and looks at its bytes.
func (p *parser) token(pointer string) json.Token {
	if p.broken != nil {
		return nil
	}
	from := p.dec.InputOffset()
	t, err := p.dec.Token()
	if err != nil {
		p.broken = err
		p.fault(pointer, "is not JSON: "+syntax(err, p.dec.InputOffset()))
		return nil
	}
	if s, ok := t.(string); ok {
		if what := hidden(p.body[from:p.dec.InputOffset()], s); what != "" {
			p.fault(pointer, what)
		}
	}
	return t
}

// syntax says where a document stops being JSON. The decoder's own sentences
// quote single characters at most.
func syntax(err error, offset int64) string {
	var at *json.SyntaxError
	switch {
	case errors.As(err, &at):
		return fmt.Sprintf("%s, at byte %d", at.Error(), at.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("it ends too early, at byte %d", offset)
	}
	return fmt.Sprintf("unreadable at byte %d", offset)
}

// hidden names what a string carries that Postgres or people cannot read.
func hidden(raw []byte, s string) string {
	if strings.ContainsRune(s, 0) {
		return "holds the character U+0000, which cannot be stored"
	}
	for i := 0; i+1 < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++ // the escaped character
		if raw[i] != 'u' || i+5 > len(raw) {
			continue
		}
		u, err := strconv.ParseUint(string(raw[i+1:i+5]), 16, 16)
		if err != nil {
			continue // the decoder has refused it already
		}
		switch {
		case u >= 0xdc00 && u <= 0xdfff:
			return "holds half of a surrogate pair"
		case u >= 0xd800 && u < 0xdc00:
			rest := raw[i+5:]
			if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
				return "holds half of a surrogate pair"
			}
			low, err := strconv.ParseUint(string(rest[2:6]), 16, 16)
			if err != nil || low < 0xdc00 || low > 0xdfff {
				return "holds half of a surrogate pair"
			}
			i += 10 // both halves
		default:
			i += 4
		}
	}
	return ""
}

func (p *parser) value(pointer string, depth int) any {
	t := p.token(pointer)
	delim, ok := t.(json.Delim)
	if !ok || p.broken != nil {
		return t
	}
	if depth == maxDepth {
		p.fault(pointer, "nests too deep")
		p.broken = errors.New("too deep")
		return nil
	}
	if delim == '[' {
		list := []any{}
		for p.broken == nil && p.dec.More() {
			list = append(list, p.value(pointer+"/"+strconv.Itoa(len(list)), depth+1))
		}
		p.token(pointer)
		return list
	}
	return p.object(pointer, depth)
}

func (p *parser) object(pointer string, depth int) any {
	members, folded := map[string]any{}, map[string]string{}
	for p.broken == nil && p.dec.More() {
		name, _ := p.token(pointer).(string)
		if p.broken != nil {
			break
		}
		at := pointer + "/" + escapePointer(name)
		switch first, seen := folded[strings.ToLower(name)]; {
		case seen && first == name:
			p.fault(at, "is given twice")
		case seen:
			p.fault(at, "differs only in case from "+first)
		}
		folded[strings.ToLower(name)] = name
		if v := p.value(at, depth+1); v != nil {
			members[name] = v
		} else {
			p.nulls = append(p.nulls, nullMember{members, name, pointer + "/" + escapePointer(printable(name))})
		}
	}
	p.token(pointer)
	return members
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func escapePointer(name string) string { return pointerEscapes.Replace(name) }
