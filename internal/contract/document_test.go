package contract_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

const ownersYAML = `# Approvers of the payments databases.
apiVersion: rampkeeper/v1   # trailing comment
kind: Approvers
metadata:
  name: owners
  description: |
    Text that holds
     --- in the middle, <b> & "quotes".
spec:
  any: [{group: owners}, {user: ada}]
`

func load(t testing.TB, text string) *contract.Set {
	t.Helper()
	set, problems := contract.Load(contract.File{Name: "a.yaml", Data: []byte(text)})
	require.Empty(t, problems)
	return set
}

func TestDocument(t *testing.T) {
	t.Parallel()
	want := contract.Document{
		Kind: "Approvers", Name: "owners", File: "a.yaml", Line: 2, Source: ownersYAML,
		Body: []byte(`{"apiVersion":"rampkeeper/v1","kind":"Approvers","metadata":{"description":"Text that holds\n --- in the middle, <b> & \"quotes\".\n","name":"owners"},"spec":{"any":[{"group":"owners"},{"user":"ada"}]}}`),
	}
	sum := sha256.Sum256(want.Body)
	want.Digest = access.Digest(hex.EncodeToString(sum[:]))

	set := load(t, ownersYAML)
	require.Equal(t, []contract.Document{want}, set.Documents)

	for name, same := range map[string]string{
		"Marker":     "---\n" + ownersYAML,
		"Windows":    strings.ReplaceAll(ownersYAML, "\n", "\r\n"),
		"KeyOrder":   "kind: Approvers\nspec:\n  any: [{group: owners}, {user: ada}]\nmetadata: {description: \"Text that holds\\n --- in the middle, <b> & \\\"quotes\\\".\\n\", name: owners}\napiVersion: rampkeeper/v1\n",
		"JSON":       string(want.Body),
		"TabbedJSON": strings.ReplaceAll(string(want.Body), ",\"", ",\n\t\""),
		"EndMarker":  ownersYAML + "...\n# the end\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := load(t, same)
			require.Equal(t, string(want.Body), string(got.Documents[0].Body))
			require.Equal(t, set.Digest(), got.Digest())
		})
	}
}

func TestSourceLosesNothingButMarkers(t *testing.T) {
	t.Parallel()
	second := strings.ReplaceAll(ownersYAML, "name: owners", "name: others")
	set := load(t, "# header\n---\n"+ownersYAML+"\n\n--- # second\n"+second+"---\n---\n# nothing\n")

	require.Len(t, set.Documents, 2)
	require.Equal(t, "# second\n"+second, set.Documents[0].Source)
	require.Equal(t, ownersYAML, set.Documents[1].Source)
	require.Equal(t, 4, set.Documents[1].Line)
	again := load(t, set.Documents[0].Source+"---\n"+set.Documents[1].Source)
	require.Equal(t, set.Digest(), again.Digest())
	unsorted := contract.Set{Documents: []contract.Document{set.Documents[1], set.Documents[0]}}
	require.Equal(t, set.Digest(), unsorted.Digest())
}

func TestDefaultsAreFilledInOnce(t *testing.T) {
	t.Parallel()
	const text = `
{apiVersion: rampkeeper/v1, kind: Role, metadata: {name: r}, spec: {title: R, entitlements: {t: [{permission: r}]}}}
---
{apiVersion: rampkeeper/v1, kind: Resource, metadata: {name: "t:x"}, spec: {title: X, connector: c}}
---
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: c}
spec:
  subjects: {any: [{group: g}]}
  permits: [{roles: [r], resources: [{type: t}]}]
  time: {duration: {max: 30m}}
  approvals: {stages: [{name: s, seats: [{from: {group: g}}]}]}
---
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: g}
spec: {match: {}, require: {seats: [{from: {group: g}}]}}
`
	set := load(t, text)

	spec := set.Contracts[0].Spec
	require.Equal(t, "active", spec.State)
	require.Equal(t, contract.Duration(1), spec.Time.Duration.Min)
	require.Equal(t, contract.Duration(1800), spec.Time.Duration.Default)
	require.Equal(t, contract.Duration(24*3600), spec.Time.StartWithin)
	require.Equal(t, contract.Duration(8*3600), spec.Time.DecideWithin)
	require.Equal(t, 1, spec.Approvals.DeniesNeeded)
	require.Equal(t, 1, spec.Approvals.Stages[0].Seats[0].Count)
	require.Equal(t, 1, set.Guardrails[0].Spec.Require.Seats[0].Count)
	require.NotContains(t, string(set.Documents[0].Body), "deniesNeeded", "what is stored is what was written")

	again, err := contract.Decode(set.Documents)
	require.NoError(t, err)
	require.Equal(t, set, again, "a set is the same after a way through the database")
}

func TestStrangeFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, data, want string }{
		{"Nothing", "", "x: there is no document here (a policy without documents permits nothing; write at least one)"},
		{"OnlyMarkers", "---\n# a\n---\n...\n", "x: there is no document here (a policy without documents permits nothing; write at least one)"},
		{"BOM", "\xef\xbb\xbfa: 1", "x:1:1: starts with a byte order mark (save the file as UTF-8 without BOM)"},
		{"UTF16", "\xff\xfea\x00", "x:1:1: is UTF-16 (save the file as UTF-8)"},
		{"NotUTF8", "a: 1\nb: \xc3\x28", "x:2:4: is not valid UTF-8 (take it out)"},
		{"NUL", "a: \x00", "x:1:4: holds the character U+0000, which hides or reorders text (take it out)"},
		{"Bidi", "a: \u202e", "x:1:4: holds the character U+202E, which hides or reorders text (take it out)"},
		{"LoneCR", "a: 1\r--- \rb: 2", "x:1:5: holds the character U+000D, which hides or reorders text (take it out)\nx:1:10: holds the character U+000D, which hides or reorders text (take it out)"},
		{"LineSeparator", "a: 1\u2028b: 2", "x:1:5: holds the character U+2028, which hides or reorders text (take it out)"},
		{"LongDocument", "a: " + strings.Repeat("x", contract.MaxDocumentBytes), "x:1:1: the document is 65539 bytes long (split it: at most 65536 bytes are read)"},
		{"LongFile", strings.Repeat("#\n", contract.MaxBytes/2+1), "x: the files are longer than 16777216 bytes in all"},
		{"ManyDocuments", strings.Repeat("a\n---\n", contract.MaxDocuments+1), "x: there are more than 100000 documents"},
		{"AliasBomb", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n", "/b/6: an alias (*a) is not accepted"},
		{"DeepFlow", strings.Repeat("[", 30_000), "is nested deeper than 32 levels"},
		{"DeepBlock", strings.Repeat("- ", 30_000), "is nested deeper than 32 levels"},
		{"DeepKeys", strings.Repeat("? ", 30_000), "is nested deeper than 32 levels"},
		{"Anchor", "&a\n", "an anchor (&a) is not accepted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set, problems := contract.Load(contract.File{Name: "x", Data: []byte(tt.data)})
			require.Nil(t, set)
			require.Contains(t, problems.Error(), tt.want)
			if strings.HasPrefix(tt.want, "x:") {
				require.Equal(t, tt.want, problems.Error())
			}
		})
	}
}

func TestManyProblemsAreCutOff(t *testing.T) {
	t.Parallel()
	set, problems := contract.Load(contract.File{Name: "x", Data: []byte(strings.Repeat("a\n---\n", 2000))})

	require.Nil(t, set)
	require.Len(t, problems, 501)
	require.Equal(t, "x:1000:1: from here on nothing was looked at (mend the problems before, or read fewer files at once)", problems[500].String())
}

// TestWorkIsBounded: what is wrong thousands of times costs little more than
// what is wrong once. Without the limits each of these takes minutes.
func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	var labels, fields, roles strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&labels, "' %d': 1,", i)
		fmt.Fprintf(&fields, "k%d: 1,", i)
	}
	for i := range 5000 {
		fmt.Fprintf(&roles, "{apiVersion: rampkeeper/v1, kind: Role, metadata: {name: role-%d}, spec: {title: R, entitlements: {t: [{permission: r}]}}}\n---\n", i)
		fmt.Fprintf(&roles, "{apiVersion: rampkeeper/v1, kind: Guardrail, metadata: {name: g%d}, spec: {match: {roles: [rule-%d]}, deny: {reason: x}}}\n---\n", i, i)
	}
	for name, text := range map[string]string{
		"Labels": strings.Repeat("{apiVersion: rampkeeper/v1, kind: Resource, metadata: {name: 't:x'}, spec: {title: x, connector: c, labels: {"+labels.String()+"}}}\n---\n", 20),
		"Fields": strings.Repeat("{apiVersion: rampkeeper/v1, kind: Resource, metadata: {name: 't:x'}, spec: {"+fields.String()+"}}\n---\n", 20),
		"Names":  roles.String(),
		"Nodes":  strings.Repeat("a: ["+strings.Repeat("a,", 30_000)+"]\n---\n", 70),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			set, problems := contract.Load(contract.File{Name: "x", Data: []byte(text)})
			require.Nil(t, set)
			require.LessOrEqual(t, len(problems), 602)
			require.Less(t, time.Since(begun), time.Minute)
		})
	}
}

// TestSchemaIsPublished holds the schema that editors get against the one
// that Load uses: the root takes exactly the documents of the kinds.
func TestSchemaIsPublished(t *testing.T) {
	t.Parallel()
	var schema struct {
		ID    string `json:"$id"`
		OneOf []struct {
			Ref string `json:"$ref"`
		} `json:"oneOf"`
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(contract.Schema(), &schema))
	require.Equal(t, contract.SchemaURL, schema.ID)
	require.Len(t, schema.OneOf, 5)
	for _, ref := range schema.OneOf {
		require.Contains(t, schema.Defs, strings.TrimPrefix(ref.Ref, "#/$defs/"))
	}

	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(contract.Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource(contract.SchemaURL, raw))
	root, err := c.Compile(contract.SchemaURL)
	require.NoError(t, err)
	for _, d := range demo(t).Documents {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.Body))
		require.NoError(t, err)
		require.NoError(t, root.Validate(v), d.Name)
	}
	require.Error(t, root.Validate(map[string]any{"apiVersion": "rampkeeper/v1", "kind": "ContractTest"}))
}
