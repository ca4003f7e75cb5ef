package access

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ID is a TypeID: a UUIDv7 that is shown as prefix_suffix, where the suffix
// is 26 characters of Crockford base 32. Postgres stores it as uuid. The kind
// K keeps the id of a request from being used as the id of a grant.
//
// Source: github.com/jetify-com/typeid, specification v0.3.
type ID[K kind] [16]byte

type kind interface{ prefix() string }

type (
	requestKind  struct{}
	decisionKind struct{}
	voteKind     struct{}
	grantKind    struct{}
	opKind       struct{}
	entKind      struct{}
	sessionKind  struct{}
	eventKind    struct{}
)

func (requestKind) prefix() string  { return "req" }
func (decisionKind) prefix() string { return "dec" }
func (voteKind) prefix() string     { return "vot" }
func (grantKind) prefix() string    { return "grt" }
func (opKind) prefix() string       { return "op" }
func (entKind) prefix() string      { return "ent" }
func (sessionKind) prefix() string  { return "ses" }
func (eventKind) prefix() string    { return "evt" }

type (
	// RequestID is the id of a request: req_….
	RequestID = ID[requestKind]
	// DecisionID is the id of a stored decision: dec_….
	DecisionID = ID[decisionKind]
	// VoteID is the id of a vote: vot_….
	VoteID = ID[voteKind]
	// GrantID is the id of a grant: grt_….
	GrantID = ID[grantKind]
	// OperationID is the id of an operation on a target: op_….
	OperationID = ID[opKind]
	// EntitlementID is the id of an entitlement: ent_….
	EntitlementID = ID[entKind]
	// SessionID is the id of a browser session: ses_….
	SessionID = ID[sessionKind]
	// EventID is the id of an audit event: evt_….
	EventID = ID[eventKind]
)

// NewID makes an id whose first 48 bits are now in milliseconds, so that ids
// sort roughly by age. The rest is from the system's random source. It is
// called with the type of the id, as in NewID[RequestID].
func NewID[I ~[16]byte](now time.Time) I {
	var id I
	_, _ = rand.Read(id[6:]) // never fails: crypto/rand ends the process instead
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseID reads the form that String writes. It accepts no other spelling of
// the same id.
func ParseID[K kind](s string) (ID[K], error) {
	var id ID[K]
	var k K
	suffix, ok := strings.CutPrefix(s, k.prefix()+"_")
	if !ok || len(suffix) != 26 || suffix[0] > '7' {
		return id, fmt.Errorf("not an id of the form %s_…: 26 characters of 0-9a-z follow the prefix", k.prefix())
	}
	var hi, lo uint64 // 128 bits, most significant first
	for i := range len(suffix) {
		d := strings.IndexByte(crockford, suffix[i])
		if d < 0 {
			return id, fmt.Errorf("not an id of the form %s_…: character %d is not one of %s", k.prefix(), i+1, crockford)
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(d)
	}
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id, nil
}

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// String gives the TypeID, such as req_01m843dj1xftgsy5stz96vwa7j.
func (id ID[K]) String() string {
	var k K
	hi, lo := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	var suffix [26]byte
	for i := len(suffix) - 1; i >= 0; i-- {
		suffix[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return k.prefix() + "_" + string(suffix[:])
}

// IsZero says whether the id was never set.
func (id ID[K]) IsZero() bool { return id == ID[K]{} }

// MarshalText writes the TypeID.
func (id ID[K]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the TypeID.
func (id *ID[K]) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID[K](string(text))
	return err
}

// Value gives Postgres the uuid in its hyphenated form.
func (id ID[K]) Value() (driver.Value, error) {
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}

// Scan reads a uuid of Postgres, in text or in its 16 bytes.
func (id *ID[K]) Scan(src any) error {
	switch v := src.(type) {
	case [16]byte:
		*id = v
		return nil
	case []byte:
		if len(v) == len(id) {
			copy(id[:], v)
			return nil
		}
		return id.Scan(string(v))
	case string:
		b, err := hex.DecodeString(strings.ReplaceAll(v, "-", ""))
		if err != nil || len(b) != len(id) {
			return errors.New("not a uuid")
		}
		copy(id[:], b)
		return nil
	default:
		return fmt.Errorf("cannot read an id from %T", src)
	}
}
