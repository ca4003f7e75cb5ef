package broker

import (
	"context"
	"fmt"
	"strings"

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

// MaySee says of which of the audit streams the caller may know that
// something happened there: of policy, of themselves, and of the requests and
// grants that they may see. It is for hints about what others did, so it puts
// nothing on record.
func (b *Broker) MaySee(ctx context.Context, who access.Caller, streams ...string) (map[string]bool, error) {
	var (
		requests []access.RequestID
		grants   []access.GrantID
		always   []string
	)
	for _, stream := range streams {
		kind, id, _ := strings.Cut(stream, ":")
		switch kind {
		case "request":
			var r access.RequestID
			if r.UnmarshalText([]byte(id)) == nil {
				requests = append(requests, r)
			}
		case "grant":
			var g access.GrantID
			if g.UnmarshalText([]byte(id)) == nil {
				grants = append(grants, g)
			}
		default:
			if stream == access.PolicyStream || stream == access.PrincipalStream(who.ID) {
				always = append(always, stream)
			}
		}
	}
	may := map[string]bool{}
	if len(requests)+len(grants) > 0 {
		err := b.store.InTx(ctx, func(tx *store.Tx) (err error) {
			may, err = tx.Visible(ctx, who.Subject, seesAll(who), requests, grants)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading who may see: %w", err)
		}
	}
	for _, stream := range always {
		may[stream] = true
	}
	return may, nil
}
