package contract_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// FuzzLoad: whatever the bytes, Load ends soon and without a panic, gives
// either a set or errors, and what it accepts it accepts again from its own
// records.
func FuzzLoad(f *testing.F) {
	for _, d := range demo(f).Documents {
		f.Add([]byte(d.Source))
		f.Add(d.Body)
	}
	fixtures, err := filepath.Glob("testdata/problems/*.txtar")
	require.NoError(f, err)
	for _, name := range fixtures {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		for _, file := range txtar.Parse(data).Files {
			f.Add(file.Data)
		}
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("--- |\n---\n... #\n%YAML\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		begun := time.Now()
		set, problems := contract.Load(contract.File{Name: "fuzz", Data: data})
		require.Less(t, time.Since(begun), 10*time.Second)
		require.Equal(t, set == nil, len(problems.Errors()) > 0)
		require.LessOrEqual(t, len(problems), 602)
		if set == nil {
			return
		}
		contract.Lint(set)
		contract.Compile(set, 1, "")
		again, err := contract.Decode(set.Documents)
		require.NoError(t, err)
		require.Equal(t, set, again)
		for _, d := range set.Documents {
			once, problems := contract.Load(contract.File{Name: "again", Data: d.Body})
			if once != nil { // alone it may refer to what is not there
				require.Equal(t, d.Digest, once.Documents[0].Digest, "%s", problems)
			}
		}
	})
}
