package broker

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// RevisionView is a policy revision with its author's name.
type RevisionView struct {
	store.PolicyRevision
	AuthorName string
}

// Revisions lists the policy revisions, newest first, to contract admins and
// auditors.
func (b *Broker) Revisions(ctx context.Context, who access.Caller, limit int, cursor string) (Page[RevisionView], error) {
	if !readsPolicy(who) {
		return Page[RevisionView]{}, b.refused(ctx, who, "policy.read", access.PolicyStream, &access.Error{
			Code: access.Forbidden, Message: "Only contract admins and auditors read the history of policy.",
		})
	}
	limit, err := limitOf(limit)
	if err != nil {
		return Page[RevisionView]{}, err
	}
	var page Page[RevisionView]
	err = b.store.InTx(ctx, func(tx *store.Tx) error {
		page = Page[RevisionView]{Items: []RevisionView{}}
		after, err := tx.OpenCursor(ctx, who.ID, "revisions", cursor)
		if err != nil {
			return err
		}
		before := int64(math.MaxInt64)
		if after != "" {
			if before, err = strconv.ParseInt(after, 10, 64); err != nil {
				return fmt.Errorf("reading our own cursor: %w", err)
			}
		}
		rows, err := tx.Revisions(ctx, before, limit+1)
		if err != nil {
			return err
		}
		authors := make([]access.PrincipalID, len(rows))
		for i, r := range rows {
			authors[i] = r.Author
		}
		people, err := peopleByID(ctx, tx, authors...)
		if err != nil {
			return err
		}
		for _, r := range rows[:min(limit, len(rows))] {
			v := RevisionView{PolicyRevision: r, AuthorName: r.Author.Subject()}
			if p, known := people[r.Author]; known {
				v.AuthorName = p.DisplayName()
			}
			page.Items = append(page.Items, v)
		}
		if len(rows) > limit {
			page.Next, err = tx.SealCursor(ctx, who.ID, "revisions", strconv.FormatInt(rows[limit-1].Revision, 10))
		}
		return err
	})
	if err != nil {
		return Page[RevisionView]{}, fmt.Errorf("listing policy revisions: %w", err)
	}
	return page, nil
}
