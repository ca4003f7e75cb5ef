package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const insertPrincipal = `
insert into core.principal (id, name, email, username, groups, groups_known, claims_at, first_seen, last_seen)
values (@id, @name, @email, @username, @groups, @groups_known, @claims_at, @now, @now)
on conflict (id) do nothing`

const lockPrincipal = `
select p.groups, p.groups_known, p.claims_at from core.principal p where p.id = @id for update`

const updatePrincipal = `
update core.principal p
set name = @name, email = @email, username = @username, groups = @groups, groups_known = @groups_known,
  claims_at = @claims_at, last_seen = @now
where p.id = @id`

const seePrincipal = `update core.principal p set last_seen = @now where p.id = @id`

// UpsertPrincipal puts on record what a verified token of the issue time says
// about its subject. Groups are replaced as a whole, never added to, and a
// token older than the last one changes nothing: otherwise its holder could
// bring groups back that were taken away. A change of groups is an event.
func (tx *Tx) UpsertPrincipal(ctx context.Context, s access.Subject, issued time.Time) error {
	groups := []string{}
	if s.GroupsKnown {
		groups = append(groups, s.Groups...)
		slices.Sort(groups)
		groups = slices.Compact(groups)
	}
	args := pgx.NamedArgs{
		"id": s.ID, "name": s.Name, "email": s.Email, "username": s.Username,
		"groups": groups, "groups_known": s.GroupsKnown, "claims_at": issued, "now": tx.Now,
	}
	inserted, err := tx.affected(ctx, insertPrincipal, args)
	if err != nil {
		return fmt.Errorf("inserting principal: %w", err)
	}
	if inserted == 1 {
		return tx.recordGroups(ctx, s.ID, nil, groups, s.GroupsKnown)
	}
	old, err := one(ctx, tx, lockPrincipal, args, pgx.RowToStructByName[struct {
		Groups      []string  `db:"groups"`
		GroupsKnown bool      `db:"groups_known"`
		ClaimsAt    time.Time `db:"claims_at"`
	}])
	if err != nil {
		return fmt.Errorf("locking principal: %w", err)
	}
	if issued.Before(old.ClaimsAt) {
		if err := tx.exec(ctx, seePrincipal, args); err != nil {
			return fmt.Errorf("updating principal: %w", err)
		}
		return nil
	}
	if err := tx.exec(ctx, updatePrincipal, args); err != nil {
		return fmt.Errorf("updating principal: %w", err)
	}
	if s.GroupsKnown == old.GroupsKnown && slices.Equal(groups, old.Groups) {
		return nil
	}
	return tx.recordGroups(ctx, s.ID, old.Groups, groups, s.GroupsKnown)
}

type groupsChanged struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	Known   bool     `json:"known"`
}

func (tx *Tx) recordGroups(ctx context.Context, id access.PrincipalID, before, after []string, known bool) error {
	data, err := json.Marshal(groupsChanged{Added: without(after, before), Removed: without(before, after), Known: known})
	if err != nil {
		return fmt.Errorf("describing the change of groups: %w", err)
	}
	return tx.Record(ctx, access.Event{
		Stream: access.PrincipalStream(id), Type: access.GroupsChanged, Actor: id, Data: data,
	})
}

// without gives the elements of a that are not in b.
func without(a, b []string) []string {
	rest := []string{}
	for _, s := range a {
		if !slices.Contains(b, s) {
			rest = append(rest, s)
		}
	}
	return rest
}

const principalColumns = `p.id, p.name, p.email, p.username, p.groups, p.groups_known`

func scanSubject(row pgx.CollectableRow) (s access.Subject, err error) {
	err = row.Scan(&s.ID, &s.Name, &s.Email, &s.Username, &s.Groups, &s.GroupsKnown)
	if len(s.Groups) == 0 {
		s.Groups = nil
	}
	return s, err
}

const selectPeople = `
select ` + principalColumns + ` from core.principal p where p.id = any(@ids) order by p.id`

// People gives those of the principals that were ever seen, sorted by id.
func (tx *Tx) People(ctx context.Context, ids ...access.PrincipalID) ([]access.Subject, error) {
	people, err := many(ctx, tx, selectPeople, pgx.NamedArgs{"ids": ids}, scanSubject)
	if err != nil {
		return nil, fmt.Errorf("reading people: %w", err)
	}
	return people, nil
}

const selectPrincipal = `select ` + principalColumns + ` from core.principal p where p.id = @id`

// Principal gives one principal as its last token described it, or
// ErrNotFound.
func (tx *Tx) Principal(ctx context.Context, id access.PrincipalID) (access.Subject, error) {
	s, err := one(ctx, tx, selectPrincipal, pgx.NamedArgs{"id": id}, scanSubject)
	if err != nil {
		return access.Subject{}, fmt.Errorf("reading principal: %w", err)
	}
	return s, nil
}

// mostPeople bounds how many people one question loads. It is far above the
// number of people who can be named to decide a request and still be asked.
const mostPeople = 5000

const selectPeopleMatching = `
select ` + principalColumns + `
from core.principal p
where p.id = any(@users) or p.groups_known and p.groups && @groups::text[]
order by p.id
limit @limit`

// PeopleMatching gives the known people that any of whos covers, sorted by id.
func (tx *Tx) PeopleMatching(ctx context.Context, whos []access.Who) ([]access.Subject, error) {
	users, groups := []string{}, []string{}
	for _, w := range whos {
		if w.User != "" {
			users = append(users, string(w.User))
		}
		if w.Group != "" {
			groups = append(groups, w.Group)
		}
	}
	people, err := many(ctx, tx, selectPeopleMatching, pgx.NamedArgs{"users": users, "groups": groups, "limit": mostPeople}, scanSubject)
	if err != nil {
		return nil, fmt.Errorf("reading people: %w", err)
	}
	return people, nil
}
