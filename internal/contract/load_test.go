package contract_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/rampkeeper/rampkeeper/internal/contract"
)

var update = flag.Bool("update", false, "write what was got as what is wanted")

// TestProblems holds the output for a fixture against what its last file
// says, line by line, as an author would read it.
func TestProblems(t *testing.T) {
	t.Parallel()
	fixtures, err := filepath.Glob("testdata/problems/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, fixtures)
	for _, name := range fixtures {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(name)
			require.NoError(t, err)
			var files []contract.File
			want := ""
			for _, f := range a.Files {
				if f.Name == "want" {
					want = string(f.Data)
					continue
				}
				files = append(files, contract.File{Name: f.Name, Data: f.Data})
			}

			set, problems := contract.Load(files...)
			require.Equal(t, len(problems.Errors()) > 0, set == nil)
			if set != nil {
				problems = append(problems, contract.Lint(set)...)
				problems.Sort()
			}
			got := problems.Error() + "\n"

			if *update && got != want {
				files := a.Files[:0]
				for _, f := range a.Files {
					if f.Name != "want" {
						files = append(files, f)
					}
				}
				files = append(files, txtar.File{Name: "want", Data: []byte(got)})
				a.Files = files
				require.NoError(t, os.WriteFile(name, txtar.Format(a), 0o600))
			}
			require.Equal(t, want, got)
		})
	}
}
