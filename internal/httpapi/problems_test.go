package httpapi

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Every code has a status and is in the specification, and the other way
// round.
func TestEveryCodeIsPresented(t *testing.T) {
	t.Parallel()
	file, err := goparser.ParseFile(token.NewFileSet(), "../access/error.go", nil, 0)
	require.NoError(t, err)
	codes := []access.Code{methodNotAllowed}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Code" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			codes = append(codes, access.Code(text))
		}
		return true
	})
	var shown []access.Code
	for code, p := range presentations {
		shown = append(shown, code)
		require.NotEmpty(t, p.means, code)
		require.True(t, api.ProblemCode(code).Valid(), "%s is missing from the specification", code)
	}
	require.ElementsMatch(t, codes, shown)
}

// Nobody is told that nothing happened, or to try again, where that is not
// known.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	unknown := &access.Error{Code: access.NotReady, Message: "Look first."}
	require.Equal(t, unknown, asError(fmt.Errorf("committing: %w (%w)", unknown, context.DeadlineExceeded)))
	require.Contains(t, asError(errors.New("a fault of ours")).Message, "may or may not have been done")
}
