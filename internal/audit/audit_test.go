package audit_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/audit"
)

// entries draws what the database could write: any text but NUL.
func entries() *rapid.Generator[audit.Entry] {
	text := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r != 0 }))
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "µs")).UTC()
	})
	return rapid.Custom(func(t *rapid.T) audit.Entry {
		data, err := json.Marshal(rapid.MapOf(text, text).Draw(t, "data"))
		require.NoError(t, err)
		return audit.Entry{
			Stream: text.Draw(t, "stream"), Version: rapid.Int64Min(1).Draw(t, "version"),
			PrevHash: rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "prev"),
			At:       instant.Draw(t, "at"), RecordedAt: instant.Draw(t, "recorded"),
			XID: rapid.Uint64().Draw(t, "xid"), DBUser: text.Draw(t, "user"),
			Type: access.EventType(text.Draw(t, "type")), Actor: access.PrincipalID(text.Draw(t, "actor")), Data: data,
		}
	})
}

func TestDecodeReadsWhatEncodeWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := entries().Draw(t, "entry")
		b := e.Encode()
		require.True(t, json.Valid(b))
		got, err := audit.Decode(b)
		require.NoError(t, err)
		require.Equal(t, e, got)
	})
}

// Each entry has one spelling: other bytes are refused or mean another entry.
func TestDecodeIsStrict(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := entries().Draw(t, "entry")
		b := e.Encode()
		changed := bytes.Clone(b)
		i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		changed[i] ^= rapid.ByteRange(1, 255).Draw(t, "by")
		if got, err := audit.Decode(changed); err == nil {
			require.NotEqual(t, e, got)
		}
	})
	e := audit.Entry{Stream: "s", Version: 1, Type: "a.b", Actor: "x", Data: json.RawMessage(`{}`)}
	good := string(e.Encode())
	for name, bad := range map[string]string{
		"nothing":            "",
		"no object":          "[]",
		"a blank":            " " + good,
		"something behind":   good + "{}",
		"another member":     good[:len(good)-1] + `,"more":1}`,
		"a member twice":     good[:len(good)-1] + `,"actor":"y"}`,
		"another case":       `{"Stream"` + good[len(`{"stream"`):],
		"an escape too many": `{"stream":"\u0073"` + good[len(`{"stream":"s"`):],
	} {
		_, err := audit.Decode([]byte(bad))
		require.Error(t, err, name)
	}
}

// stream draws a whole stream that verifies.
func stream(t *rapid.T, name string, most int) []audit.Record {
	n := rapid.IntRange(1, most).Draw(t, "length")
	var records []audit.Record
	prev := []byte{}
	for i := range n {
		e := entries().Draw(t, "entry")
		e.Stream, e.Version, e.PrevHash = name, int64(i+1), prev
		b := e.Encode()
		records = append(records, audit.Record{
			Stream: e.Stream, Version: e.Version, PrevHash: prev, LeafHash: audit.LeafHash(b), XID: e.XID,
			RecordedAt: e.RecordedAt, DBUser: e.DBUser, Type: e.Type, Actor: e.Actor, Entry: b,
		})
		prev = audit.LeafHash(b)
	}
	return records
}

func TestVerifyAcceptsWhatIsWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := append(stream(t, "a", 5), stream(t, "b", 5)...)
		require.Empty(t, audit.Verify(rapid.Permutation(all).Draw(t, "order")))
	})
}

// Whatever is done to a stream, short of making the rest of it anew, is found.
func TestVerifyFindsChanges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records := stream(t, "a", 6)
		i := rapid.IntRange(0, len(records)-1).Draw(t, "which")
		r := &records[i]
		last := i == len(records)-1
		switch rapid.SampledFrom([]string{"column", "entry", "entry and hash", "leaf", "remove", "insert", "renumber"}).Draw(t, "what") {
		case "column":
			switch rapid.IntRange(0, 4).Draw(t, "column") {
			case 0:
				r.Actor += "x"
			case 1:
				r.Type += "x"
			case 2:
				r.RecordedAt = r.RecordedAt.Add(time.Microsecond)
			case 3:
				r.XID++
			case 4:
				r.DBUser += "x"
			}
		case "entry":
			r.Entry = bytes.Replace(r.Entry, []byte(`"data":`), []byte(`"data": `), 1)
		case "entry and hash":
			if last {
				t.Skip("only a seal outside the stream finds that")
			}
			e, err := audit.Decode(r.Entry)
			require.NoError(t, err)
			e.Data = json.RawMessage(`{"forged":true}`)
			r.Entry = e.Encode()
			r.LeafHash = audit.LeafHash(r.Entry)
		case "leaf":
			r.LeafHash = bytes.Clone(r.LeafHash)
			r.LeafHash[0]++
		case "remove":
			if last {
				t.Skip("only a seal outside the stream finds that")
			}
			records = append(records[:i:i], records[i+1:]...)
		case "insert":
			records = append(records[:i+1:i+1], records[i:]...)
		case "renumber":
			r.Version++
		}
		require.NotEmpty(t, audit.Verify(records))
	})
}

func TestFaultsNameTheirPlace(t *testing.T) {
	t.Parallel()
	e := audit.Entry{Stream: "grant:x", Version: 1, Type: "a.b", Actor: "x", Data: json.RawMessage(`{}`)}
	b := e.Encode()
	faults := audit.Verify([]audit.Record{{
		Stream: "grant:x", Version: 1, LeafHash: audit.LeafHash(b), Type: "a.b", Actor: "somebody else", Entry: b,
	}})
	require.Equal(t, []audit.Fault{{"grant:x", 1, "column actor differs from the stored bytes"}}, faults)
	require.Equal(t, "grant:x, event 1: column actor differs from the stored bytes", faults[0].String())
}
