package audit

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Record is one event as it is stored: the bytes, and the columns beside them.
type Record struct {
	Stream     string             `db:"stream" json:"stream"`
	Version    int64              `db:"version" json:"version"`
	PrevHash   []byte             `db:"prev_hash" json:"prev_hash"`
	LeafHash   []byte             `db:"leaf_hash" json:"leaf_hash"`
	XID        uint64             `db:"xid" json:"xid"`
	RecordedAt time.Time          `db:"recorded_at" json:"recorded_at"`
	DBUser     string             `db:"db_user" json:"db_user"`
	Type       access.EventType   `db:"event_type" json:"event_type"`
	Actor      access.PrincipalID `db:"actor" json:"actor"`
	Entry      []byte             `db:"entry" json:"entry"`
}

// Decode reads the record's bytes.
func (r Record) Decode() (Entry, error) { return Decode(r.Entry) }

// Fault is one thing that is wrong with one event.
type Fault struct {
	Stream  string
	Version int64
	Problem string
}

// String gives the fault on one line.
func (f Fault) String() string {
	return fmt.Sprintf("%s, event %d: %s", f.Stream, f.Version, f.Problem)
}

// Verify checks whole streams, in any order: that the versions of each run
// from 1 without holes, that each event links to the one before, that hashes
// and columns are those of the stored bytes. No fault means that nothing in
// these streams was changed, removed from the middle or inserted, unless
// everything after it was made anew.
func Verify(records []Record) []Fault {
	sorted := slices.Clone(records)
	slices.SortStableFunc(sorted, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Version, b.Version))
	})
	var faults []Fault
	for start := 0; start < len(sorted); {
		end := start
		for end < len(sorted) && sorted[end].Stream == sorted[start].Stream {
			end++
		}
		faults = append(faults, VerifyStream(sorted[start:end])...)
		start = end
	}
	return faults
}

// VerifyStream checks one stream, whose events come by version.
func VerifyStream(records []Record) []Fault {
	var faults []Fault
	var prev []byte
	for i, r := range records {
		fault := func(format string, args ...any) {
			faults = append(faults, Fault{Stream: r.Stream, Version: r.Version, Problem: fmt.Sprintf(format, args...)})
		}
		if r.Stream != records[0].Stream {
			fault("belongs to another stream than %s", records[0].Stream)
		}
		if want := int64(i + 1); r.Version != want {
			fault("should be event %d: events are missing or were inserted", want)
		}
		if !bytes.Equal(r.PrevHash, prev) {
			fault("does not link to the event before it")
		}
		if !bytes.Equal(r.LeafHash, LeafHash(r.Entry)) {
			fault("the hash is not that of the stored bytes")
		}
		prev = r.LeafHash
		e, err := r.Decode()
		if err != nil {
			fault("%v", err)
			continue
		}
		for _, column := range differing(r, e) {
			fault("column %s differs from the stored bytes", column)
		}
	}
	return faults
}

// differing names the columns that do not say what the bytes say.
func differing(r Record, e Entry) []string {
	var names []string
	for _, c := range []struct {
		name string
		same bool
	}{
		{"stream", r.Stream == e.Stream},
		{"version", r.Version == e.Version},
		{"prev_hash", bytes.Equal(r.PrevHash, e.PrevHash)},
		{"xid", r.XID == e.XID},
		{"recorded_at", r.RecordedAt.Equal(e.RecordedAt)},
		{"db_user", r.DBUser == e.DBUser},
		{"event_type", r.Type == e.Type},
		{"actor", r.Actor == e.Actor},
	} {
		if !c.same {
			names = append(names, c.name)
		}
	}
	return names
}
