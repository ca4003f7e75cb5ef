package contract

import (
	"slices"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Digest identifies the set by the digests of its documents. It depends on
// neither the order nor the files in which they were written.
func (s *Set) Digest() access.Digest {
	lines := make([]string, len(s.Documents))
	for i, d := range s.Documents {
		lines[i] = d.Kind + "/" + d.Name + " " + string(d.Digest)
	}
	slices.SortFunc(lines, strings.Compare)
	return access.DigestOf(lines)
}
