package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/pgtest"
)

// statement tells the constants that are SQL statements from the pieces that
// statements are put together of.
var statement = regexp.MustCompile(`^\s*(select|insert|update|delete|with|listen)\s`)

// Every statement of this package is prepared on the migrated schema, and
// planned as the broker's login, which also checks its privileges.
func TestQueriesPrepare(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t).AppDSN)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	_, err = conn.Exec(t.Context(), "set search_path to ''")
	require.NoError(t, err)

	queries := constants(t)
	require.Greater(t, len(queries), 30, "the constants of the package were found")
	for name, sql := range queries {
		positional, args, err := pgx.NamedArgs{}.RewriteQuery(t.Context(), conn, sql, nil)
		require.NoError(t, err, name)
		if _, err := conn.Prepare(t.Context(), name, positional); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.HasPrefix(strings.TrimSpace(sql), "listen") {
			continue
		}
		if _, err := conn.Exec(t.Context(), "explain "+positional, args...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing but the constants is sent to the database, and they say what they
// want: no "*", and the transaction's time instead of now().
func TestQueriesFollowTheHouseRules(t *testing.T) {
	t.Parallel()
	star := regexp.MustCompile(`\bselect\s+(\w+\.)?\*`)
	clock := regexp.MustCompile(`\b(now|clock_timestamp|statement_timestamp)\(\)|current_timestamp`)
	for name, sql := range constants(t) {
		require.NotRegexp(t, star, sql, name)
		if name != "selectNow" {
			require.NotRegexp(t, clock, sql, name)
		}
	}
}

// constants gives the package's string constants that are statements.
func constants(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	exprs := map[string]ast.Expr{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, name := range spec.Names {
				if i < len(spec.Values) {
					exprs[name.Name] = spec.Values[i]
				}
			}
			return true
		})
	}
	found := map[string]string{}
	for name, expr := range exprs {
		if sql, ok := text(expr, exprs); ok && statement.MatchString(sql) {
			found[name] = sql
		}
	}
	return found
}

// text evaluates a constant expression of strings.
func text(expr ast.Expr, names map[string]ast.Expr) (string, bool) {
	switch e := expr.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		return text(names[e.Name], names)
	case *ast.ParenExpr:
		return text(e.X, names)
	case *ast.BinaryExpr:
		a, okA := text(e.X, names)
		b, okB := text(e.Y, names)
		return a + b, okA && okB && e.Op == token.ADD
	default:
		return "", false
	}
}
