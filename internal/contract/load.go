package contract

import "fmt"

// File is policy as somebody wrote it: a YAML stream of documents, or JSON.
type File struct {
	Name string
	Data []byte
}

// loaded is a document, or what is left of one whose schema refused parts of
// it, with its place in the set's lists before they are sorted.
type loaded struct {
	*parsed
	kind  string
	name  string
	index int
}

// identity is what may occur once in a set.
type identity struct{ kind, name string }

// Load reads files strictly. It reports every problem of every file, in the
// order of the text; with any error among them there is no set.
func Load(files ...File) (*Set, Problems) {
	chunks, problems := cut(files)
	set := &Set{}
	var docs []loaded
	first := map[identity]*parsed{}
	nodes := 0
	for _, c := range chunks {
		p := parse(c)
		if nodes += p.nodes; nodes > MaxNodes || len(problems) >= maxProblems {
			problems.Sort()
			return nil, append(problems.limited(), Problem{File: c.file, Line: c.line, Column: 1, Message: "from here on nothing was looked at", Fix: "mend the problems before, or read fewer files at once"})
		}
		kind, name, ok := p.identify()
		if ok {
			p.validate(kind)
		}
		sound := len(p.problems) == 0
		if ok && name != "" {
			id := identity{kind, name}
			if earlier, dup := first[id]; dup {
				at := earlier.at["/metadata/name"]
				p.fault(p.at["/metadata/name"], "/metadata/name", fmt.Sprintf("there are two documents %s/%s, the first at %s:%d", kind, name, earlier.file, earlier.line+at.line-1), "rename one of them")
			} else {
				first[id] = p
			}
		}
		if ok {
			p.salvage()
			if d, err := p.document(kind, name); err != nil {
				p.fault(p.at[""], "", err.Error(), "")
			} else if index, err := set.add(d); err == nil {
				docs = append(docs, loaded{parsed: p, kind: kind, name: name, index: index})
			} else if sound {
				p.fault(p.at[""], "", err.Error(), "")
			}
		}
		p.value = nil
		problems = append(problems, p.problems...)
	}
	if len(chunks) == 0 && len(problems) == 0 {
		problems = append(problems, Problem{File: nameOf(files), Message: "there is no document here", Fix: "a policy without documents permits nothing; write at least one"})
	}
	problems = append(problems, check(set, docs, first)...)
	problems.Sort()
	if len(problems.Errors()) > 0 {
		return nil, problems.limited()
	}
	set.sort()
	return set, problems.limited()
}

// cut makes documents of files, as far as the limits allow.
func cut(files []File) ([]chunk, Problems) {
	var chunks []chunk
	var problems Problems
	total := 0
	for _, f := range files {
		if total += len(f.Data); total > MaxBytes {
			return nil, Problems{{File: f.Name, Message: fmt.Sprintf("the files are longer than %d bytes in all", MaxBytes)}}
		}
		if bad := unreadable(f); len(bad) > 0 {
			problems = append(problems, bad...)
			continue
		}
		chunks = append(chunks, split(f)...)
		if len(chunks) > MaxDocuments {
			return nil, Problems{{File: f.Name, Message: fmt.Sprintf("there are more than %d documents", MaxDocuments)}}
		}
	}
	return chunks, problems
}

func nameOf(files []File) string {
	if len(files) == 0 {
		return "policy"
	}
	return files[0].Name
}

// add decodes a document into the set and gives its index there.
func (s *Set) add(d Document) (int, error) {
	if err := s.decode(d); err != nil {
		return 0, err
	}
	s.Documents = append(s.Documents, d)
	return map[string]int{
		"Role": len(s.Roles), "Resource": len(s.Resources), "Approvers": len(s.Approvers),
		"Contract": len(s.Contracts), "Guardrail": len(s.Guardrails),
	}[d.Kind] - 1, nil
}
