package engine

import (
	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// Offers gives every offer for the first item, best first, and the codes of
// what the other contracts failed on; nothing if a guardrail denies.
func Offers(ix *contract.Index, ask access.Ask, f Facts) (offers []access.Offer, failures []access.Reason) {
	e := evaluation{ix: ix, ask: ask, f: f, item: ask.Items[0], trace: []access.Clause{}}
	gs, denials := e.guardrails()
	if len(denials) > 0 {
		return nil, denials
	}
	offers, failed := e.offers(gs)
	for _, x := range failed {
		failures = append(failures, x.Reason)
	}
	return offers, failures
}
