package engine

import (
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// truth is a value of Kleene's three-valued logic. The order makes AND the
// smaller and OR the larger of two.
type truth int

const (
	no truth = iota
	unknown
	yes
)

func (t truth) not() truth { return yes - t }

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// verdict is how a clause that wants t reads in a trace.
func (t truth) verdict() access.Verdict {
	return [...]access.Verdict{no: access.Fail, unknown: access.Unknown, yes: access.Pass}[t]
}

// is says whether the atom names the subject.
func is(ix *contract.Index, a contract.Atom, s access.Subject) truth {
	switch {
	case a.Everyone:
		return yes
	case a.Group != "":
		if !s.GroupsKnown {
			return unknown
		}
		return truthOf(s.In(a.Group))
	default:
		return truthOf(ix.Who(a).Covers(s))
	}
}

func isAny(ix *contract.Index, atoms []contract.Atom, s access.Subject) truth {
	t := no
	for _, a := range atoms {
		t = max(t, is(ix, a, s))
	}
	return t
}

func isAll(ix *contract.Index, atoms []contract.Atom, s access.Subject) truth {
	t := yes
	for _, a := range atoms {
		t = min(t, is(ix, a, s))
	}
	return t
}

// subjectsCover says whether the subject is one of those the document is
// about. At the edge, a permit takes only yes for it, and a prohibition or a
// requirement everything but no.
func subjectsCover(ix *contract.Index, of contract.Subjects, s access.Subject) truth {
	return min(isAny(ix, of.Any, s), isAll(ix, of.All, s), isAny(ix, of.None, s).not())
}

// noteSubjects puts the clauses of a Subjects into the trace and gives
// whether it covers the subject.
func (e *evaluation) noteSubjects(rule, path string, of contract.Subjects) truth {
	s := e.f.Subject
	t := isAny(e.ix, of.Any, s)
	e.note(rule, path+"/any", t.verdict(), "one of: "+atomsText(of.Any), e.actual(of.Any))
	if len(of.All) > 0 {
		all := isAll(e.ix, of.All, s)
		e.note(rule, path+"/all", all.verdict(), "every one of: "+atomsText(of.All), e.actual(of.All))
		t = min(t, all)
	}
	if len(of.None) > 0 {
		none := isAny(e.ix, of.None, s).not()
		e.note(rule, path+"/none", none.verdict(), "none of: "+atomsText(of.None), e.actual(of.None))
		t = min(t, none)
	}
	return t
}

// actual says which of the atoms name the subject.
func (e *evaluation) actual(atoms []contract.Atom) string {
	var have []contract.Atom
	t := no
	for _, a := range atoms {
		v := is(e.ix, a, e.f.Subject)
		if v == yes {
			have = append(have, a)
		}
		t = max(t, v)
	}
	switch {
	case len(have) > 0:
		return atomsText(have)
	case t == unknown:
		return "the subject's groups are unknown"
	default:
		return "none of them"
	}
}

func atomsText(atoms []contract.Atom) string {
	if len(atoms) == 0 {
		return "nobody"
	}
	texts := make([]string, len(atoms))
	for i, a := range atoms {
		switch {
		case a.Everyone:
			texts[i] = "everyone"
		case a.Group != "":
			texts[i] = "group " + a.Group
		default:
			texts[i] = "user " + a.User
		}
	}
	return strings.Join(texts, ", ")
}
