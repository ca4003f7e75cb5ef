package broker

import (
	"context"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// sight is how much of a request a caller may see.
type sight int

const (
	unseen   sight = iota // as absent as one that does not exist
	withheld              // all but what people wrote
	whole
)

// sights says how much of each request the caller may see: requesters see
// their own, approvers those that name them now, auditors all; contract
// admins and operators see all without the free text.
func (b *Broker) sights(ctx context.Context, tx *store.Tx, who access.Caller, reqs ...access.Request) (map[access.RequestID]sight, error) {
	ids := make([]access.RequestID, len(reqs))
	for i, r := range reqs {
		ids[i] = r.ID
	}
	named, err := tx.NamedIn(ctx, who.Subject, ids...)
	if err != nil {
		return nil, fmt.Errorf("reading whom the requests name: %w", err)
	}
	seen := make(map[access.RequestID]sight, len(reqs))
	for _, r := range reqs {
		switch {
		case r.Requester == who.ID, named[r.ID], who.Has(access.Auditor):
			seen[r.ID] = whole
		case who.Has(access.ContractAdmin), who.Has(access.Operator):
			seen[r.ID] = withheld
		}
	}
	return seen, nil
}

// seesAll says whether lists are not bounded to what concerns the caller.
func seesAll(who access.Caller) bool {
	return who.Has(access.Auditor) || who.Has(access.ContractAdmin) || who.Has(access.Operator)
}
