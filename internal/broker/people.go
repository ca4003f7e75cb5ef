package broker

import (
	"context"
	"fmt"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// peopleByID gives people as they were last seen. The set is new; the caller
// may change it.
func peopleByID(ctx context.Context, tx *store.Tx, ids ...access.PrincipalID) (map[access.PrincipalID]access.Subject, error) {
	rows, err := tx.People(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("reading people: %w", err)
	}
	people := make(map[access.PrincipalID]access.Subject, len(rows)+1)
	for _, p := range rows {
		people[p.ID] = p
	}
	return people, nil
}

// votersOf gives those who cast votes, as they are now.
func votersOf(ctx context.Context, tx *store.Tx, votes []access.Vote) (map[access.PrincipalID]access.Subject, error) {
	ids := make([]access.PrincipalID, len(votes))
	for i, v := range votes {
		ids[i] = v.Voter
	}
	return peopleByID(ctx, tx, ids...)
}
