package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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

// The lock of policy is an advisory one. Its queue is fair: whoever applies is
// next as soon as those who decide already are done, and is not overtaken by
// those who come later. Deciding writes nothing to the row.
const (
	sharePolicy = `select pg_advisory_xact_lock_shared(hashtextextended('policy', 0))`
	lockPolicy  = `select pg_advisory_xact_lock(hashtextextended('policy', 0))`
)

const selectCurrentRevision = `select p.revision from core.policy p`

// CurrentRevision gives the number of the policy in force, 0 before the first
// one, and keeps it in force until the transaction ends.
func (tx *Tx) CurrentRevision(ctx context.Context) (int64, error) {
	return tx.currentRevision(ctx, sharePolicy)
}

// CurrentRevisionForUpdate is CurrentRevision for the one who replaces it.
func (tx *Tx) CurrentRevisionForUpdate(ctx context.Context) (int64, error) {
	return tx.currentRevision(ctx, lockPolicy)
}

// currentRevision locks and reads in one round trip, as two statements: the
// second sees what was committed while the first one waited.
func (tx *Tx) currentRevision(ctx context.Context, lock string) (n int64, err error) {
	ctx, cancel := tx.bounded(ctx)
	defer cancel()
	var batch pgx.Batch
	batch.Queue(lock)
	batch.Queue(selectCurrentRevision).QueryRow(func(row pgx.Row) error {
		if err := row.Scan(&n); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return nil
	})
	if err := tx.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return 0, fmt.Errorf("locking the policy: %w", err)
	}
	return n, nil
}

const selectRevision = `
select r.revision, r.digest, r.author, r.issuer, r.applied_at, r.note
from core.policy_revision r
where r.revision = @revision`

// Revision gives what is on record about a revision, or ErrNotFound.
func (tx *Tx) Revision(ctx context.Context, n int64) (PolicyRevision, error) {
	return one(ctx, tx, selectRevision, pgx.NamedArgs{"revision": n}, scanRevision)
}

const selectRevisions = `
select r.revision, r.digest, r.author, r.issuer, r.applied_at, r.note
from core.policy_revision r
where r.revision < @before
order by r.revision desc
limit @limit`

// Revisions gives revisions before one, newest first.
func (tx *Tx) Revisions(ctx context.Context, before int64, limit int) ([]PolicyRevision, error) {
	return many(ctx, tx, selectRevisions, pgx.NamedArgs{"before": before, "limit": limit}, scanRevision)
}

func scanRevision(row pgx.CollectableRow) (r PolicyRevision, err error) {
	err = row.Scan(&r.Revision, &r.Digest, &r.Author, &r.Issuer, (*instant)(&r.AppliedAt), &r.Note)
	return r, err
}

const selectPolicyDocuments = `
select d.digest, d.kind, d.name, d.body, d.source
from core.policy_member m
join core.policy_document d on d.digest = m.digest
where m.revision = @revision
order by d.kind collate "C", d.name collate "C"`

// Documents gives the documents of a revision, by kind and name.
func (tx *Tx) Documents(ctx context.Context, n int64) ([]PolicyDocument, error) {
	return many(ctx, tx, selectPolicyDocuments, pgx.NamedArgs{"revision": n}, func(row pgx.CollectableRow) (d PolicyDocument, err error) {
		err = row.Scan(&d.Digest, &d.Kind, &d.Name, &d.Body, &d.Source)
		return d, err
	})
}

const selectPolicyMembers = `
select m.digest, m.kind, m.name
from core.policy_member m
where m.revision = @revision
order by m.kind collate "C", m.name collate "C"`

// Members is Documents without their bodies and sources.
func (tx *Tx) Members(ctx context.Context, n int64) ([]PolicyDocument, error) {
	return many(ctx, tx, selectPolicyMembers, pgx.NamedArgs{"revision": n}, func(row pgx.CollectableRow) (d PolicyDocument, err error) {
		err = row.Scan(&d.Digest, &d.Kind, &d.Name)
		return d, err
	})
}

const insertPolicyDocuments = `
insert into core.policy_document (digest, kind, name, body, source)
select u.digest, u.kind, u.name, u.body::json, u.source
from unnest(@digests::text[], @kinds::text[], @names::text[], @bodies::text[], @sources::text[]) as u (digest, kind, name, body, source)
on conflict (digest) do nothing`

const insertRevision = `
insert into core.policy_revision (revision, digest, author, issuer, applied_at, note)
values (@revision, @digest, @author, @issuer, @now, @note)`

const insertPolicyMembers = `
insert into core.policy_member (revision, kind, name, digest)
select @revision, u.kind, u.name, u.digest
from unnest(@digests::text[], @kinds::text[], @names::text[]) as u (digest, kind, name)`

const firstRevision = `
insert into core.policy (revision) values (@revision)`

const nextRevision = `
update core.policy set revision = @revision`

// InsertRevision puts a revision with its documents on record and in force,
// at tx.Now. The caller holds CurrentRevisionForUpdate and records the event.
func (tx *Tx) InsertRevision(ctx context.Context, r PolicyRevision, documents []PolicyDocument) error {
	n := len(documents)
	digests, kinds, names := make([]string, n), make([]string, n), make([]string, n)
	bodies, sources := make([]string, n), make([]string, n)
	for i, d := range documents {
		digests[i], kinds[i], names[i] = string(d.Digest), d.Kind, d.Name
		bodies[i], sources[i] = string(d.Body), d.Source
	}
	setRevision := nextRevision
	if r.Revision == 1 {
		setRevision = firstRevision
	}
	for _, step := range []struct{ what, sql string }{
		{"policy documents", insertPolicyDocuments},
		{"policy revision", insertRevision},
		{"policy members", insertPolicyMembers},
		{"policy in force", setRevision},
	} {
		if err := tx.exec(ctx, step.sql, pgx.NamedArgs{
			"digests": digests, "kinds": kinds, "names": names, "bodies": bodies, "sources": sources,
			"revision": r.Revision, "digest": r.Digest, "author": r.Author, "issuer": r.Issuer, "note": r.Note, "now": tx.Now,
		}); err != nil {
			return fmt.Errorf("inserting %s: %w", step.what, err)
		}
	}
	return nil
}
