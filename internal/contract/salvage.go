package contract

import (
	"strconv"
	"strings"
)

// salvage takes out of a document what the schema refuses, so that what is
// left can be held against the other documents: an author reads every problem
// at once. What is made of it never leaves Load.
func (p *parsed) salvage() {
	for pointer := range p.refused {
		segments := strings.Split(pointer, "/")
		if len(segments) < 2 {
			continue
		}
		last := len(segments) - 1
		for i := range segments {
			segments[i] = unescape(segments[i])
		}
		switch v := p.lookup(segments[1:last]).(type) {
		case map[string]any:
			delete(v, segments[last])
		case []any:
			if i, err := strconv.Atoi(segments[last]); err == nil && i < len(v) {
				v[i] = nil // the others keep their places
			}
		}
	}
}

// doubtful says whether the schema found something wrong at a pointer, below
// it, or with a value that holds it: then nothing can be said of what is there.
func (p *parsed) doubtful(pointer string) bool {
	for wrong := range p.structural {
		if wrong == pointer || strings.HasPrefix(wrong, pointer+"/") {
			return true
		}
	}
	for i := range len(pointer) {
		if pointer[i] == '/' && p.refused[pointer[:i]] {
			return true
		}
	}
	return false
}
