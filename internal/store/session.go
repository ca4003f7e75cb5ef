package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Session is a browser's session. The secret in its cookie is kept nowhere.
type Session struct {
	ID         access.SessionID
	TokenHash  []byte // SHA-256 of the secret
	Principal  access.PrincipalID
	AuthTime   time.Time // zero if the identity provider did not say
	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time
	ClientAddr string
	UserAgent  string
}

// most of what a client says about itself that is kept, in bytes.
const (
	mostAddr  = 100
	mostAgent = 400
)

const sessionColumns = `s.id, s.token_hash, s.principal, s.auth_time, s.created_at, s.last_seen_at, s.expires_at, s.client_addr, s.user_agent`

func (s *Session) fields() []any {
	return []any{
		&s.ID, &s.TokenHash, &s.Principal, (*instant)(&s.AuthTime), &s.CreatedAt, &s.LastSeenAt, &s.ExpiresAt, &s.ClientAddr, &s.UserAgent,
	}
}

func scanSession(row pgx.CollectableRow) (s Session, err error) {
	err = row.Scan(s.fields()...)
	return s, err
}

const insertSession = `
insert into core.session (id, token_hash, principal, auth_time, created_at, last_seen_at, expires_at, client_addr, user_agent)
values (@id, @token_hash, @principal, @auth_time, @now, @now, @expires_at, @client_addr, @user_agent)`

// InsertSession opens a session, and records auth.signed_in.
func (tx *Tx) InsertSession(ctx context.Context, s Session) error {
	err := tx.exec(ctx, insertSession, pgx.NamedArgs{
		"id": s.ID, "token_hash": s.TokenHash, "principal": s.Principal, "auth_time": orNull(s.AuthTime), "now": tx.Now,
		"expires_at": s.ExpiresAt, "client_addr": cut(s.ClientAddr, mostAddr), "user_agent": cut(s.UserAgent, mostAgent),
	})
	if err != nil {
		return fmt.Errorf("inserting session: %w", err)
	}
	return tx.recordSession(ctx, access.SignedIn, s)
}

func (tx *Tx) recordSession(ctx context.Context, what access.EventType, s Session) error {
	data, err := json.Marshal(struct {
		Session    access.SessionID `json:"session"`
		ClientAddr string           `json:"client_addr,omitempty"`
	}{s.ID, cut(s.ClientAddr, mostAddr)})
	if err != nil {
		return fmt.Errorf("describing the session: %w", err)
	}
	return tx.Record(ctx, access.Event{
		Stream: access.PrincipalStream(s.Principal), Type: what, Actor: s.Principal, Data: data,
	})
}

const selectSession = `
select ` + sessionColumns + `, ` + principalColumns + `
from core.session s join core.principal p on p.id = s.principal
where s.token_hash = @token_hash`

// Session gives the session of a secret's hash and whose it is, or
// ErrNotFound. Whether it is still good is the caller's to judge.
func (tx *Tx) Session(ctx context.Context, tokenHash []byte) (Session, access.Subject, error) {
	type found struct {
		session Session
		who     access.Subject
	}
	f, err := one(ctx, tx, selectSession, pgx.NamedArgs{"token_hash": tokenHash}, func(row pgx.CollectableRow) (f found, err error) {
		w := &f.who
		err = row.Scan(append(f.session.fields(), &w.ID, &w.Name, &w.Email, &w.Username, &w.Groups, &w.GroupsKnown)...)
		return f, err
	})
	if err != nil {
		return Session{}, access.Subject{}, fmt.Errorf("reading session: %w", err)
	}
	return f.session, f.who, nil
}

const touchSession = `update core.session s set last_seen_at = @now where s.id = @id`

// TouchSession notes that a session is in use.
func (tx *Tx) TouchSession(ctx context.Context, id access.SessionID) error {
	if err := tx.exec(ctx, touchSession, pgx.NamedArgs{"id": id, "now": tx.Now}); err != nil {
		return fmt.Errorf("touching session: %w", err)
	}
	return nil
}

const selectSessions = `
select ` + sessionColumns + `
from core.session s
where s.principal = @principal and s.expires_at > @now
order by s.created_at desc, s.id`

// Sessions lists the sessions of a principal that have not expired, newest
// first.
func (tx *Tx) Sessions(ctx context.Context, who access.PrincipalID) ([]Session, error) {
	sessions, err := many(ctx, tx, selectSessions, pgx.NamedArgs{"principal": who, "now": tx.Now}, scanSession)
	if err != nil {
		return nil, fmt.Errorf("reading sessions: %w", err)
	}
	return sessions, nil
}

const deleteSessionByHash = `
delete from core.session s where s.token_hash = @token_hash returning ` + sessionColumns

// DeleteSessionByHash ends the session of a secret's hash, if there is one,
// and records auth.signed_out.
func (tx *Tx) DeleteSessionByHash(ctx context.Context, tokenHash []byte) error {
	s, ok, err := maybe(ctx, tx, deleteSessionByHash, pgx.NamedArgs{"token_hash": tokenHash}, scanSession)
	if err != nil {
		return fmt.Errorf("deleting session: %w", err)
	}
	if !ok {
		return nil
	}
	return tx.recordSession(ctx, access.SignedOut, s)
}

const deleteSession = `
delete from core.session s where s.id = @id and s.principal = @principal returning ` + sessionColumns

// DeleteSession ends one session of a principal and records auth.signed_out;
// ErrNotFound if the principal has no such session.
func (tx *Tx) DeleteSession(ctx context.Context, who access.PrincipalID, id access.SessionID) error {
	s, err := one(ctx, tx, deleteSession, pgx.NamedArgs{"id": id, "principal": who}, scanSession)
	if err != nil {
		return fmt.Errorf("deleting session: %w", err)
	}
	return tx.recordSession(ctx, access.SignedOut, s)
}
