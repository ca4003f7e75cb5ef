package store

import (
	"encoding/hex"
	"fmt"
	"time"
)

// instant reads a timestamptz. NULL is the zero time, as the nouns have it.
type instant time.Time

// Scan reads what pgx gives for a timestamptz.
func (i *instant) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*i = instant{}
		return nil
	case time.Time:
		*i = instant(v.UTC())
		return nil
	default:
		return fmt.Errorf("cannot read an instant from %T", src)
	}
}

func uuid[ID ~[16]byte](id ID) string { return hex.EncodeToString(id[:]) }

// uuids gives ids as an array that Postgres casts to uuid[].
func uuids[ID ~[16]byte](ids []ID) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = uuid(id)
	}
	return texts
}

// orNull writes the zero time as NULL.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// idOrNull writes the zero id as NULL.
func idOrNull[ID ~[16]byte](id ID) *ID {
	if id == *new(ID) {
		return nil
	}
	return &id
}

// noneIfEmpty writes the empty text as NULL.
func noneIfEmpty[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	text := string(s)
	return &text
}
