package httpapi

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

func TestParseStrict(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		want       string // canonical, if it is taken
		faults     []access.Detail
	}{
		{"Plain", ` {"b":[1,"x",true,{}],"a":{"c":1.50}} `, `{"a":{"c":1.50},"b":[1,"x",true,{}]}`, nil},
		{"NullIsAbsent", `{"a":null,"b":{"c":null}}`, `{"b":{}}`, nil},
		{"Twice", `{"a":1,"b":{"c":1,"c":2},"a":3}`, "", []access.Detail{
			{Pointer: "/b/c", Detail: "is given twice"}, {Pointer: "/a", Detail: "is given twice"},
		}},
		{"TwiceEscaped", `{"a":1,"\u0061":2}`, "", []access.Detail{{Pointer: "/a", Detail: "is given twice"}}},
		{"OtherCase", `{"role":1,"Role":2}`, "", []access.Detail{{Pointer: "/Role", Detail: "differs only in case from role"}}},
		{"PointerEscapes", `{"a/b~":{"c":1,"c":1}}`, "", []access.Detail{{Pointer: "/a~1b~0/c", Detail: "is given twice"}}},
		{"SecondDocument", `{} {}`, "", []access.Detail{{Detail: "goes on after its end; send one JSON document"}}},
		{"Junk", `{}x`, "", []access.Detail{{Detail: "goes on after its end; send one JSON document"}}},
		{"Cut", `{"a":[1,`, "", []access.Detail{{Pointer: "/a/1", Detail: "is not JSON: it ends too early, at byte 8"}}},
		{"BOM", "\xef\xbb\xbf{}", "", []access.Detail{{Detail: "starts with a byte order mark; send plain UTF-8"}}},
		{"NotUTF8", "{\"a\":\"\xff\"}", "", []access.Detail{{Detail: "is not valid UTF-8 at byte 7"}}},
		{"NUL", `["\u0000"]`, "", []access.Detail{{Pointer: "/0", Detail: "holds the character U+0000, which cannot be stored"}}},
		{"HalfHigh", `{"a":"\ud800"}`, "", []access.Detail{{Pointer: "/a", Detail: "holds half of a surrogate pair"}}},
		{"HalfLow", `{"a":"x\udfffy"}`, "", []access.Detail{{Pointer: "/a", Detail: "holds half of a surrogate pair"}}},
		{"TwoHighs", `{"a":"\ud800\ud800"}`, "", []access.Detail{{Pointer: "/a", Detail: "holds half of a surrogate pair"}}},
		{"HalfInName", `{"\ud800":1}`, "", []access.Detail{{Pointer: "", Detail: "holds half of a surrogate pair"}}},
		{"Pair", `{"a":"\ud83d\ude80","b":"\\ud800","c":"\\\\u0000"}`, `{"a":"🚀","b":"\\ud800","c":"\\\\u0000"}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, _, faults := parseStrict([]byte(tt.body))
			require.Equal(t, tt.faults, faults)
			if faults == nil {
				b, err := json.Marshal(v)
				require.NoError(t, err)
				require.Equal(t, tt.want, string(b))
			}
		})
	}
	_, _, faults := parseStrict([]byte(strings.Repeat("[", 100_000)))
	require.Equal(t, "nests too deep", faults[0].Detail)
	_, _, faults = parseStrict(nil)
	require.Len(t, faults, 1)
}

// What is taken means the same to encoding/json, and stays taken in its
// canonical form.
func FuzzParseStrict(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"x\u0041",null]}`, `"\ud83d\ude80"`, `{"a":1,"A":2}`, `[1e5]`, `{}{}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, _, faults := parseStrict(body)
		if faults != nil {
			return
		}
		require.True(t, utf8.Valid(body))
		dec := json.NewDecoder(strings.NewReader(string(body)))
		var theirs any
		require.NoError(t, dec.Decode(&theirs))
		require.ErrorIs(t, dec.Decode(&theirs), io.EOF)
		canonical, err := json.Marshal(v)
		require.NoError(t, err)
		again, _, faults := parseStrict(canonical)
		require.Empty(t, faults)
		require.Equal(t, v, again)
	})
}
