package engine

import (
	"maps"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Facts is everything about the world that a decision looks at. The broker
// gathers them in the deciding transaction and stores them with the decision,
// so that it can be replayed.
type Facts struct {
	Now     time.Time      `json:"now"`
	Subject access.Subject `json:"subject"` // who asks, and who would hold the grant
	// Accounts gives the subject's account on each connector that the ask
	// touches. A connector that is missing means that there is none.
	Accounts map[string]string `json:"accounts,omitempty"`
	// People are those known who might fill a seat, sorted by id; see SeatWho.
	People []access.Subject `json:"people,omitempty"`
	// Live counts the live grants of each contract, by its name.
	Live map[string]Live `json:"live,omitempty"`
	// Extends is the grant that an extension is about.
	Extends *Extension `json:"extends,omitempty"`
	// Salt keeps the digest of stored facts from being guessed: whoever asks
	// may see the digest in the log, and must not learn from it whether a
	// resource exists. Nothing is decided by it.
	Salt string `json:"salt,omitempty"`
}

// Live counts the grants of one contract in a state that is live.
type Live struct {
	Subject int `json:"subject"` // held by the subject
	Total   int `json:"total"`
}

// Extension is what a decision needs to know of the grant whose end should
// move. The grant itself is counted in Facts.Live.
type Extension struct {
	Grant     access.GrantID `json:"grant"`
	Contract  string         `json:"contract"`
	StartedAt time.Time      `json:"started_at"`
	ExpiresAt time.Time      `json:"expires_at"`
	// MaxTotal bounds the new end minus StartedAt; it was pinned with the grant.
	MaxTotal access.Seconds `json:"max_total_seconds"`
}

// Digest identifies the facts in the decision that was made from them.
func (f Facts) Digest() access.Digest { return access.DigestOf(f) }

// Without gives the facts with one live grant of the contract, held by the
// subject, taken out of the counts: a grant that is checked again before it
// starts does not stand in its own way.
func (f Facts) Without(contract string) Facts {
	live := maps.Clone(f.Live)
	if n, ok := live[contract]; ok {
		live[contract] = Live{Subject: max(0, n.Subject-1), Total: max(0, n.Total-1)}
	}
	f.Live = live
	return f
}
