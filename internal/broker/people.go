package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"

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

// asKnown gives a subject with no more groups than its newest token gave it:
// a token that is older, and still good, brings none back.
func asKnown(ctx context.Context, tx *store.Tx, s access.Subject) (access.Subject, error) {
	newest, err := tx.Principal(ctx, s.ID)
	if errors.Is(err, store.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return access.Subject{}, fmt.Errorf("reading the caller: %w", err)
	}
	s.GroupsKnown = s.GroupsKnown && newest.GroupsKnown
	s.Groups = slices.DeleteFunc(slices.Clone(s.Groups), func(g string) bool { return !newest.In(g) })
	return s, nil
}
