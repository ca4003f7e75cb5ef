package httpapi

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// docs/problems.md explains every code at its status, and no other.
func TestProblemsAreDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/problems.md")
	require.NoError(t, err)
	documented := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		if cells := strings.Split(line, "|"); len(cells) > 4 && strings.Contains(cells[1], "`") {
			documented[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
		}
	}
	shown := map[string]string{}
	for code, p := range presentations {
		shown[string(code)] = fmt.Sprint(p.status)
	}
	require.Equal(t, shown, documented)
}
