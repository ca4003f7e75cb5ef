package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// NoteKind says what a note on a grant is about.
type NoteKind string

// The kinds of notes.
const (
	NoteEnd    NoteKind = "end"    // why it was ended early
	NoteAttest NoteKind = "attest" // evidence that the access is gone
)

// GrantNote is free text that a person wrote about the end of a grant.
type GrantNote struct {
	Grant  access.GrantID
	Kind   NoteKind
	Author access.PrincipalID
	Role   access.AppRole // in which an attestation is signed
	Text   string
	Salt   []byte
	At     time.Time
}

const insertGrantNote = `
insert into core.grant_note (grant_id, kind, author, role, text, salt, created_at)
values (@grant, @kind, @author, @role, @text, @salt, @at)
on conflict (grant_id, kind, author) do nothing`

// InsertGrantNote puts a note on record. A second one by the same person on
// the same matter is left out.
func (tx *Tx) InsertGrantNote(ctx context.Context, n GrantNote) error {
	err := tx.exec(ctx, insertGrantNote, pgx.NamedArgs{
		"grant": n.Grant, "kind": n.Kind, "author": n.Author, "role": n.Role, "text": n.Text, "salt": n.Salt, "at": n.At,
	})
	if err != nil {
		return fmt.Errorf("inserting note: %w", err)
	}
	return nil
}

const selectGrantNotes = `
select n.grant_id, n.kind, n.author, n.role, n.text, n.salt, n.created_at
from core.grant_note n
where n.grant_id = any(@ids::uuid[]) and n.kind = @kind
order by n.grant_id, n.created_at, n.author`

// GrantNotes gives the notes of a kind on the grants, oldest first.
func (tx *Tx) GrantNotes(ctx context.Context, kind NoteKind, ids ...access.GrantID) ([]GrantNote, error) {
	notes, err := many(ctx, tx, selectGrantNotes, pgx.NamedArgs{"ids": uuids(ids), "kind": kind}, func(row pgx.CollectableRow) (n GrantNote, err error) {
		err = row.Scan(&n.Grant, &n.Kind, &n.Author, &n.Role, &n.Text, &n.Salt, (*instant)(&n.At))
		return n, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading notes: %w", err)
	}
	return notes, nil
}
