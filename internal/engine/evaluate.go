package engine

import (
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// Evaluate decides an ask.
func Evaluate(ix *contract.Index, ask access.Ask, requestHash access.Digest, f Facts) access.Decision {
	panic("soon")
}

// SeatWho gives those named by every seat that a decision about the ask could
// ask for: whose people the broker must load into Facts.People.
func SeatWho(ix *contract.Index, ask access.Ask) []access.Who {
	panic("soon")
}

// Redact gives the requester's view of a decision.
func Redact(d access.Decision) access.Decision {
	panic("soon")
}
