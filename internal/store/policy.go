package store

import (
	"context"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// PolicyRevision is one numbered state of the whole policy.
type PolicyRevision struct {
	Revision  int64
	Digest    access.Digest // of the set
	Author    access.PrincipalID
	Issuer    string // whose subjects the bare user names of documents are
	AppliedAt time.Time
	Note      string
}

// PolicyDocument is one document of a revision.
type PolicyDocument struct {
	Digest access.Digest
	Kind   string
	Name   string
	Body   []byte // canonical JSON
	Source string
}

// CurrentRevision gives the number of the policy in force, 0 before the first
// one, and keeps it in force until the transaction ends.
func (tx *Tx) CurrentRevision(ctx context.Context) (int64, error) { panic("soon") }

// CurrentRevisionForUpdate is CurrentRevision for the one who replaces it.
func (tx *Tx) CurrentRevisionForUpdate(ctx context.Context) (int64, error) { panic("soon") }

// Revision gives what is on record about a revision.
func (tx *Tx) Revision(ctx context.Context, n int64) (PolicyRevision, error) { panic("soon") }

// Documents gives the documents of a revision, by kind and name.
func (tx *Tx) Documents(ctx context.Context, n int64) ([]PolicyDocument, error) { panic("soon") }

// InsertRevision puts a revision with its documents on record and in force.
// The caller holds CurrentRevisionForUpdate and records the event.
func (tx *Tx) InsertRevision(ctx context.Context, r PolicyRevision, documents []PolicyDocument) error {
	panic("soon")
}
