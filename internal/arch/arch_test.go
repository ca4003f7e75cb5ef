// Package arch holds the rules about the shape of the whole module, as tests.
package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/rampkeeper/rampkeeper/"

// layers says what each package may import of this module. Arrows point down
// only; a package that is not here has not been thought about yet.
var layers = map[string][]string{
	// L0
	"internal/access": {},
	// L1: verbs without the others
	"internal/contract": {"internal/access"},
	"internal/engine":   {"internal/access", "internal/contract"},
	"internal/audit":    {"internal/access"},
	"migrations":        {},
	"deploy/postgres":   {},
	"deploy/demo":       {},
	"internal/store":    {"internal/access", "internal/audit", "migrations", "deploy/postgres"},
	"internal/connector": {
		"internal/access",
	},
	"internal/connector/postgres":    {"internal/access", "internal/connector", "deploy/postgres"},
	"internal/connector/fake":        {"internal/access", "internal/connector"},
	"internal/connector/conformance": {"internal/access", "internal/connector"},
	"internal/authn":                 {"internal/access", "internal/store"},
	"internal/cluster":               {},
	// L2
	"internal/broker": {
		"internal/access", "internal/contract", "internal/engine", "internal/store", "internal/connector",
	},
	// L3
	"api":        {"internal/access"},
	"api/client": {"internal/access"},
	"web":        {},
	"internal/httpapi": {
		"internal/broker", "internal/authn", "internal/access", "api", "web",
		// Types that the broker's answers consist of. httpapi decides nothing.
		"internal/contract", "internal/engine", "internal/store", "internal/connector",
	},
	"internal/config": {"internal/access"},
	"internal/devmode": {
		"internal/devmode/idp", "internal/access", "internal/cluster", "internal/config", "internal/store",
		"internal/connector/postgres", "deploy/demo", "deploy/postgres",
	},
	"internal/devmode/idp": {"internal/access"},
	// commands: wiring only
	"cmd/rampkeeper": {
		"internal/access", "internal/authn", "internal/broker", "internal/cluster", "internal/config", "internal/connector",
		"internal/connector/postgres", "internal/contract", "internal/devmode", "internal/httpapi", "internal/store", "api", "web",
	},
	"cmd/ramp": {"api/client", "api", "internal/access", "internal/audit", "internal/contract"},
	// support of tests and of the build
	"internal/pgtest":    {"internal/store", "migrations", "deploy/postgres"},
	"internal/arch":      {},
	"tools/withpostgres": {"internal/cluster"},
	"tools/configdoc":    {"internal/config"},
}

// tools are programs of the build, which may import what they describe.
var tools = regexp.MustCompile(`^(tools|bench)/`)

// pure packages do no I/O and read no clock: what they say depends on their
// arguments alone.
var pure = []string{"internal/access", "internal/contract", "internal/engine", "internal/audit"}

// impure are packages of the standard library that a pure package has no use
// for.
var impure = regexp.MustCompile(`^(os|net|syscall|log|context|math/rand|runtime|plugin|testing)(/.*)?$`)

// pgxUsers may speak SQL.
var pgxUsers = []string{"internal/store", "internal/pgtest", "internal/connector/postgres", "internal/devmode"}

type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

var packages = sync.OnceValues(func() (all []listed, err error) {
	root, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(root)))
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
})

func load(t *testing.T) []listed {
	t.Helper()
	all, err := packages()
	require.NoError(t, err, "listing the packages")
	require.Greater(t, len(all), 10)
	return all
}

func TestLayers(t *testing.T) {
	t.Parallel()
	for _, p := range load(t) {
		allowed, known := layers[p.ImportPath]
		if !known && !tools.MatchString(p.ImportPath) {
			t.Errorf("%s has no place in the layers: give it one in this file", p.ImportPath)
		}
		for _, i := range p.Imports {
			i, ours := strings.CutPrefix(i, module)
			if ours && known && !slices.Contains(allowed, i) {
				t.Errorf("%s may not import %s: arrows point down only", p.ImportPath, i)
			}
		}
	}
}

// The map itself has no circle, whatever it says.
func TestLayersHaveNoCircle(t *testing.T) {
	t.Parallel()
	var visit func(name string, path []string)
	visit = func(name string, path []string) {
		require.NotContains(t, path, name, "a circle")
		for _, next := range layers[name] {
			visit(next, append(slices.Clone(path), name))
		}
	}
	for name := range layers {
		visit(name, nil)
	}
}

func TestPurePackages(t *testing.T) {
	t.Parallel()
	clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}
	for _, p := range load(t) {
		if !slices.Contains(pure, p.ImportPath) {
			continue
		}
		for _, i := range p.Imports {
			if impure.MatchString(i) {
				t.Errorf("%s is pure and may not import %s", p.ImportPath, i)
			}
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" && pkg.Obj == nil && slices.Contains(clock, sel.Sel.Name) {
					t.Errorf("%s: time.%s: time comes in as an argument", fset.Position(n.Pos()), sel.Sel.Name)
				}
				return true
			})
		}
	}
}

func TestImportsThatNobodyNeeds(t *testing.T) {
	t.Parallel()
	for _, p := range load(t) {
		for _, i := range p.Imports {
			switch {
			case i == "database/sql":
				t.Errorf("%s imports database/sql: use pgx", p.ImportPath)
			case i == "log":
				t.Errorf("%s imports log: use log/slog", p.ImportPath)
			case i == "math/rand":
				t.Errorf("%s imports math/rand: use math/rand/v2, or crypto/rand for anything secret", p.ImportPath)
			case strings.HasPrefix(i, "github.com/jackc/pgx/") && !slices.Contains(pgxUsers, p.ImportPath):
				t.Errorf("%s imports %s: SQL lives in internal/store", p.ImportPath, i)
			case i == module+"internal/pgtest" || strings.HasPrefix(i, "github.com/stretchr/testify") && !strings.Contains(p.ImportPath, "pgtest") && !strings.Contains(p.ImportPath, "conformance"):
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, i)
			}
		}
	}
}

// Migrations come in pairs, numbered from 1 without gaps, and each is one
// transaction: the migration library does not make it one.
func TestMigrations(t *testing.T) {
	t.Parallel()
	dir := ""
	for _, p := range load(t) {
		if p.ImportPath == "migrations" {
			dir = p.Dir
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.sql"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	name := regexp.MustCompile(`^(\d{6})_([a-z0-9_]+)\.(up|down)\.sql$`)
	directions := map[string][]string{}
	numbers := map[string]bool{}
	for _, path := range files {
		m := name.FindStringSubmatch(filepath.Base(path))
		require.NotNil(t, m, "%s: six digits, a name, .up.sql or .down.sql", path)
		directions[m[1]+"_"+m[2]] = append(directions[m[1]+"_"+m[2]], m[3])
		numbers[m[1]] = true
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if !bytes.Contains(text, []byte("index concurrently")) {
			require.True(t, bytes.HasPrefix(text, []byte("begin;\n")) && bytes.HasSuffix(text, []byte("\ncommit;\n")), "%s is not one transaction", path)
		}
	}
	for pair, both := range directions {
		require.ElementsMatch(t, []string{"up", "down"}, both, pair)
	}
	require.Len(t, numbers, len(directions), "a number is used twice")
	for i := range len(numbers) {
		require.Contains(t, numbers, fmt.Sprintf("%06d", i+1), "a gap")
	}
}
