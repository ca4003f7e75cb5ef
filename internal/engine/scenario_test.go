package engine_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what happens into the want sections of testdata/*.txtar")

// TestScenarios runs the stories in testdata. Each has a policy, a directory
// of people with their groups (null: unknown), steps, and what they lead to:
//
//	at 13:05
//	ann asks ROLE on RESOURCE[, ROLE on RESOURCE] for 1h [from 15:00] [under CONTRACT] [ticket T] [because REASON]
//	ann extends #1 by 30m
//	bob approves #1
//	bob denies #1
//	bob joins GROUP
//	bob leaves GROUP
//	trace #1
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			parts := map[string]*txtar.File{}
			for i, f := range archive.Files {
				parts[f.Name] = &archive.Files[i]
			}

			got := newStory(t, parts["contracts.yaml"].Data, parts["directory.yaml"].Data).play(string(parts["steps"].Data))

			if *update {
				parts["want"].Data = []byte(got)
				require.NoError(t, os.WriteFile(file, txtar.Format(archive), 0o644))
			}
			require.Equal(t, string(parts["want"].Data), got, "run with -update and look at the difference")
		})
	}
}
