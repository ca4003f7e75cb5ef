package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Login is a sign-in that was begun and has not come back from the identity
// provider.
type Login struct {
	StateHash []byte    `db:"state_hash"` // SHA-256 of the state parameter
	Nonce     string    `db:"nonce"`
	Verifier  string    `db:"verifier"` // of PKCE
	ReturnTo  string    `db:"return_to"`
	ExpiresAt time.Time `db:"expires_at"`
}

// mostLogins bounds the pending ones: anybody can begin a sign-in.
const mostLogins = 10_000

const trimLogins = `
delete from core.login l
where l.expires_at <= @now
  or l.state_hash in (select o.state_hash from core.login o order by o.created_at desc offset @most)`

const insertLogin = `
insert into core.login (state_hash, nonce, verifier, return_to, created_at, expires_at)
values (@state_hash, @nonce, @verifier, @return_to, @now, @expires_at)`

// InsertLogin notes a sign-in that begins. Expired ones go, and beyond the
// bound the oldest ones, whoever began them: how many somebody begins has to
// be bounded before this.
func (tx *Tx) InsertLogin(ctx context.Context, l Login) error {
	if err := tx.exec(ctx, trimLogins, pgx.NamedArgs{"now": tx.Now, "most": mostLogins - 1}); err != nil {
		return fmt.Errorf("trimming logins: %w", err)
	}
	err := tx.exec(ctx, insertLogin, pgx.NamedArgs{
		"state_hash": l.StateHash, "nonce": l.Nonce, "verifier": l.Verifier, "return_to": l.ReturnTo,
		"now": tx.Now, "expires_at": l.ExpiresAt,
	})
	if err != nil {
		return fmt.Errorf("inserting login: %w", err)
	}
	return nil
}

const takeLogin = `
delete from core.login l
where l.state_hash = @state_hash and l.expires_at > @now
returning l.state_hash, l.nonce, l.verifier, l.return_to, l.expires_at`

// TakeLogin gives the sign-in of a state's hash and forgets it, so that it is
// used once; ErrNotFound if there is none, or none any more.
func (tx *Tx) TakeLogin(ctx context.Context, stateHash []byte) (Login, error) {
	l, err := one(ctx, tx, takeLogin, pgx.NamedArgs{"state_hash": stateHash, "now": tx.Now}, pgx.RowToStructByName[Login])
	if err != nil {
		return Login{}, fmt.Errorf("taking login: %w", err)
	}
	return l, nil
}

// cut shortens a text to so many bytes, between characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
