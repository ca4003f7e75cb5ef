package contract

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits on what is read at all. They are far above what people write, and
// keep what an attacker writes from costing more than it is worth.
const (
	MaxBytes         = 16 << 20 // of all files together
	MaxDocumentBytes = 64 << 10
	MaxDocuments     = 100_000
	MaxNodes         = 2_000_000 // keys, values, lists and mappings of all files together
	MaxDepth         = 32
	maxProblems      = 500
	maxDocProblems   = 100
	maxSuggestions   = 50 // of names in the set, each of which looks at all of them
)

// chunk is the text of one document of a stream.
type chunk struct {
	file string
	line int // on which the text starts, from 1
	text string
}

// split cuts a file at its document markers. A line that starts with --- or
// ... is one wherever it stands, even inside a block of text. Cutting first
// keeps a fault in one document from hiding those of the next.
func split(f File) []chunk {
	var out []chunk
	add := func(line int, text string) {
		if !blank(text) {
			out = append(out, chunk{file: f.Name, line: line, text: text})
		}
	}
	text := string(f.Data)
	start, startLine := 0, 1
	for at, line := 0, 1; at < len(text); line++ {
		end := len(text)
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		switch row := text[at:end]; {
		case marker(row, "---"):
			add(startLine, text[start:at])
			start, startLine = at, line
		case marker(row, "..."):
			add(startLine, text[start:at])
			start, startLine = end, line+1
		}
		at = end
	}
	add(startLine, text[start:])
	return out
}

func marker(row, mark string) bool {
	rest, ok := strings.CutPrefix(row, mark)
	return ok && (rest == "" || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// blank says whether a document holds nothing but its marker and comments.
func blank(text string) bool {
	for row := range strings.Lines(text) {
		if marker(row, "---") {
			row = row[3:]
		}
		if row = strings.TrimSpace(row); row != "" && row[0] != '#' {
			return false
		}
	}
	return true
}

// source gives the document as its author wrote it, without the marker.
func (c chunk) source() string {
	text := c.text
	if first, rest, found := strings.Cut(text, "\n"); found && strings.TrimSpace(first) == "---" {
		text = rest
	} else if marker(first, "---") {
		text = strings.TrimLeft(text[3:], " \t")
	}
	return strings.Trim(strings.ReplaceAll(text, "\r\n", "\n"), "\n") + "\n"
}

// unreadable reports what no document may hold: text that is not UTF-8, a
// byte order mark, and characters that hide or reorder what the author wrote.
func unreadable(f File) Problems {
	if bytes.HasPrefix(f.Data, []byte("\xef\xbb\xbf")) {
		return Problems{{File: f.Name, Line: 1, Column: 1, Message: "starts with a byte order mark", Fix: "save the file as UTF-8 without BOM"}}
	}
	if bytes.HasPrefix(f.Data, []byte("\xff\xfe")) || bytes.HasPrefix(f.Data, []byte("\xfe\xff")) {
		return Problems{{File: f.Name, Line: 1, Column: 1, Message: "is UTF-16", Fix: "save the file as UTF-8"}}
	}
	var out Problems
	line, column := 1, 1
	for at := 0; at < len(f.Data) && len(out) < 10; {
		r, size := utf8.DecodeRune(f.Data[at:])
		bad := ""
		switch {
		case r == utf8.RuneError && size == 1:
			bad = "is not valid UTF-8"
		case r == '\r' && at+1 < len(f.Data) && f.Data[at+1] == '\n', r == '\n', r == '\t':
		case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\ufffd', unicode.Is(unicode.Cf, r) && r != '\u200d':
			bad = fmt.Sprintf("holds the character U+%04X, which hides or reorders text", r)
		}
		if bad != "" {
			out = append(out, Problem{File: f.Name, Line: line, Column: column, Message: bad, Fix: "take it out"})
		}
		if r == '\n' {
			line, column = line+1, 0
		}
		column++
		at += size
	}
	return out
}
