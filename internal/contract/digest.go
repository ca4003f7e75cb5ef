package contract

import "github.com/rampkeeper/rampkeeper/internal/access"

// Digest identifies the set by the digests of its documents. It depends on
// neither the order nor the files in which they were written.
func (s *Set) Digest() access.Digest { panic("soon") }
