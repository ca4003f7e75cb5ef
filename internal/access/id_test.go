package access_test

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// The vectors of the TypeID specification, v0.3, valid.yml and invalid.yml,
// with our prefix in the place of theirs.
func TestIDVectors(t *testing.T) {
	t.Parallel()
	for suffix, uuid := range map[string]string{
		"00000000000000000000000000": "00000000-0000-0000-0000-000000000000",
		"00000000000000000000000001": "00000000-0000-0000-0000-000000000001",
		"0000000000000000000000000a": "00000000-0000-0000-0000-00000000000a",
		"0000000000000000000000000g": "00000000-0000-0000-0000-000000000010",
		"00000000000000000000000010": "00000000-0000-0000-0000-000000000020",
		"7zzzzzzzzzzzzzzzzzzzzzzzzz": "ffffffff-ffff-ffff-ffff-ffffffffffff",
		"0123456789abcdefghjkmnpqrs": "0110c853-1d09-52d8-d73e-1194e95b5f19",
		"01h455vb4pex5vsknk084sn02q": "01890a5d-ac96-774b-bcce-b302099a8057",
	} {
		var id access.RequestID
		require.NoError(t, id.UnmarshalText([]byte("req_"+suffix)), suffix)
		require.Equal(t, strings.ReplaceAll(uuid, "-", ""), hex.EncodeToString(id[:]))
		require.Equal(t, "req_"+suffix, id.String())
		value, err := id.Value()
		require.NoError(t, err)
		require.Equal(t, uuid, value)
		for _, src := range []any{uuid, []byte(uuid), [16]byte(id), id[:]} {
			var again access.RequestID
			require.NoError(t, again.Scan(src), "%T", src)
			require.Equal(t, id, again)
		}
	}
	for name, text := range map[string]string{
		"upper-case prefix": "REQ_00000000000000000000000000",
		"another prefix":    "grt_00000000000000000000000000",
		"no prefix":         "00000000000000000000000000",
		"empty prefix":      "_00000000000000000000000000",
		"short":             "req_1234567890123456789012345",
		"long":              "req_123456789012345678901234567",
		"blanks":            "req_1234567890123456789012345 ",
		"upper case":        "req_0123456789ABCDEFGHJKMNPQRS",
		"hyphens":           "req_123456789-123456789-123456",
		"ambiguous letters": "req_ooooooiiiiiiuuuuuuulllllll",
		"hyphenated":        "req_123456789-0123456789-01234",
		"beyond 128 bits":   "req_8zzzzzzzzzzzzzzzzzzzzzzzzz",
		"empty":             "",
		"prefix alone":      "req_",
		"a uuid":            "01890a5d-ac96-774b-bcce-b302099a8057",
	} {
		var id access.RequestID
		require.Error(t, id.UnmarshalText([]byte(text)), name)
		require.True(t, id.IsZero(), name)
	}
	var id access.GrantID
	for _, src := range []any{nil, 7, "", "01890a5d", []byte{1, 2}} {
		require.Error(t, id.Scan(src), "%v", src)
	}
}

func TestIDRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var id access.GrantID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		text, err := json.Marshal(id)
		require.NoError(t, err)
		var again access.GrantID
		require.NoError(t, json.Unmarshal(text, &again))
		require.Equal(t, id, again)
	})
}

func TestNewID(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(0, 1<<47).Draw(t, "ms"))
		id, twin := access.NewID[access.GrantID](at), access.NewID[access.GrantID](at)
		later := access.NewID[access.GrantID](at.Add(time.Millisecond))
		require.NotEqual(t, id, twin)
		require.Less(t, id.String(), later.String(), "they sort by age")
		require.Equal(t, byte(7), id[6]>>4, "version 7")
		require.Equal(t, byte(2), id[8]>>6, "variant of RFC 9562")
		require.Equal(t, at.UnixMilli(), int64(id[0])<<40|int64(id[1])<<32|int64(id[2])<<24|int64(id[3])<<16|int64(id[4])<<8|int64(id[5]))
	})
}

// The kinds have names and streams of their own.
func TestIDKinds(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"req_00000000000000000000000000", "dec_00000000000000000000000000", "vot_00000000000000000000000000",
		"grt_00000000000000000000000000", "op_00000000000000000000000000", "ent_00000000000000000000000000",
		"ses_00000000000000000000000000", "evt_00000000000000000000000000",
	}, []string{
		access.RequestID{}.String(), access.DecisionID{}.String(), access.VoteID{}.String(), access.GrantID{}.String(),
		access.OperationID{}.String(), access.EntitlementID{}.String(), access.SessionID{}.String(), access.EventID{}.String(),
	})
	require.Equal(t, "grant:grt_00000000000000000000000000", access.StreamOf(access.GrantID{}))
	require.Equal(t, "request:req_00000000000000000000000000", access.StreamOf(access.RequestID{}))
	require.Equal(t, "entitlement:ent_00000000000000000000000000", access.StreamOf(access.EntitlementID{}))
}
