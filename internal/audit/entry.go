// Package audit is the form of the audit log: what the bytes of an entry say,
// how entries are hashed and chained, and how a stream of them is verified.
//
// The stored bytes are what is hashed. The columns beside them in the
// database are a convenience, and verification compares the two. The package
// is pure, so that the same code serves the broker, its tests and an auditor
// who has nothing but an export.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Entry is what the bytes of one event say. The database writes them, in
// audit.append.
type Entry struct {
	Stream     string
	Version    int64
	PrevHash   []byte    // of the stream's previous event; empty for the first
	At         time.Time // when the broker decided
	RecordedAt time.Time // when the database wrote it down
	XID        uint64    // the database's transaction
	DBUser     string    // the login that wrote it
	Type       access.EventType
	Actor      access.PrincipalID
	Data       json.RawMessage
}

const timeLayout = "2006-01-02T15:04:05.000000Z"

// Encode gives the bytes of an entry, the same ones that the database makes.
func (e Entry) Encode() []byte {
	var b bytes.Buffer
	b.WriteString(`{"stream":` + quote(e.Stream))
	b.WriteString(`,"version":` + strconv.FormatInt(e.Version, 10))
	b.WriteString(`,"prev_hash":"` + hex.EncodeToString(e.PrevHash))
	b.WriteString(`","at":"` + e.At.UTC().Format(timeLayout))
	b.WriteString(`","recorded_at":"` + e.RecordedAt.UTC().Format(timeLayout))
	b.WriteString(`","xid":` + strconv.FormatUint(e.XID, 10))
	b.WriteString(`,"db_user":` + quote(e.DBUser))
	b.WriteString(`,"type":` + quote(string(e.Type)))
	b.WriteString(`,"actor":` + quote(string(e.Actor)))
	b.WriteString(`,"data":`)
	b.Write(e.Data)
	b.WriteByte('}')
	return b.Bytes()
}

// quote writes a string as the database does: it escapes quotes, backslashes
// and control characters, and nothing else.
func quote(s string) string {
	var b bytes.Buffer
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.Write([]byte{'\\', c})
		case c == '\b':
			b.WriteString(`\b`)
		case c == '\f':
			b.WriteString(`\f`)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

var errForm = errors.New("the entry is not in the form in which the database writes entries")

// Decode reads the bytes of an entry. It accepts exactly what Encode writes:
// no other order, spelling, or member, so that an entry has one meaning.
func Decode(entry []byte) (Entry, error) {
	var raw struct {
		Stream     string             `json:"stream"`
		Version    int64              `json:"version"`
		PrevHash   string             `json:"prev_hash"`
		At         string             `json:"at"`
		RecordedAt string             `json:"recorded_at"`
		XID        uint64             `json:"xid"`
		DBUser     string             `json:"db_user"`
		Type       access.EventType   `json:"type"`
		Actor      access.PrincipalID `json:"actor"`
		Data       json.RawMessage    `json:"data"`
	}
	if err := json.Unmarshal(entry, &raw); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", errForm, err)
	}
	e := Entry{
		Stream: raw.Stream, Version: raw.Version, XID: raw.XID, DBUser: raw.DBUser,
		Type: raw.Type, Actor: raw.Actor, Data: raw.Data,
	}
	var errs [3]error
	e.PrevHash, errs[0] = hex.DecodeString(raw.PrevHash)
	e.At, errs[1] = time.Parse(timeLayout, raw.At)
	e.RecordedAt, errs[2] = time.Parse(timeLayout, raw.RecordedAt)
	if err := errors.Join(errs[:]...); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", errForm, err)
	}
	if !bytes.Equal(e.Encode(), entry) {
		return Entry{}, errForm
	}
	return e, nil
}

// LeafHash is the hash of an entry, as RFC 6962 hashes a leaf.
func LeafHash(entry []byte) []byte {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(entry)
	return h.Sum(nil)
}
