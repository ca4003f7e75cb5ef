package contract

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one fault of a document: where it is and how to mend it.
type Problem struct {
	File         string
	Line, Column int    // from 1; 0 where there is none
	Pointer      string // JSON pointer into the document
	Message      string
	Fix          string // what would be right
	Warning      bool   // worth a look, but no reason to refuse the file
}

// String gives file:line:col: pointer: message.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		b.WriteString(":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column))
	}
	b.WriteString(": ")
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Pointer != "" {
		b.WriteString(p.Pointer + ": ")
	}
	b.WriteString(p.Message)
	if p.Fix != "" {
		b.WriteString(" (" + p.Fix + ")")
	}
	return b.String()
}

// Problems is every problem found. As an error it is the lines of them.
type Problems []Problem

// Error gives one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Errors leaves the warnings out.
func (ps Problems) Errors() Problems {
	var out Problems
	for _, p := range ps {
		if !p.Warning {
			out = append(out, p)
		}
	}
	return out
}

// Sort orders by place, so that the output does not depend on which check ran
// first.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Message, b.Message))
	})
}

// limited keeps the first problems of very many, and says so.
func (ps Problems) limited() Problems {
	if len(ps) <= maxProblems {
		return ps
	}
	left := len(ps) - maxProblems
	ps = ps[:maxProblems:maxProblems]
	last := ps[len(ps)-1]
	return append(ps, Problem{File: last.File, Line: last.Line, Column: last.Column, Message: "and " + strconv.Itoa(left) + " more problems", Warning: len(ps.Errors()) == 0})
}
