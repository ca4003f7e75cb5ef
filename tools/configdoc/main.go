// Configdoc writes docs/configuration.md from the comments of config.Config,
// so that the manual and the code cannot part.
package main

import (
	"bytes"
	"encoding"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/config"
)

const head = `# Configuration

<!-- Written by tools/configdoc from internal/config/config.go. Do not edit. -->

Settings come from, in rising order: defaults, the YAML file of ` + "`--config`" + `, the environment, flags. The variable of a setting is
` + "`RAMPKEEPER_`" + ` and its path in capitals with ` + "`__`" + ` between levels: ` + "`database.url`" + ` is ` + "`RAMPKEEPER_DATABASE__URL`" + `. Lists are
comma-separated there. A secret may come from a file: append ` + "`_file`" + ` (` + "`database.url_file`, `RAMPKEEPER_DATABASE__URL_FILE`" + `); a file
that everybody can read is refused. An unknown setting stops the server and names the line.

` + "`rampkeeper config validate`" + ` checks, ` + "`rampkeeper config print`" + ` shows every value with its source, secrets redacted. An example is in
` + "[deploy/rampkeeper.example.yaml](../deploy/rampkeeper.example.yaml)" + `.
`

func main() {
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "configdoc:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		return fmt.Errorf("parsing: %w", err)
	}
	docs := map[string]map[string]string{} // type, field -> comment
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if st, ok := spec.Type.(*ast.StructType); ok {
			docs[spec.Name.Name] = map[string]string{}
			for _, f := range st.Fields.List {
				docs[spec.Name.Name][f.Names[0].Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			}
		}
		return true
	})
	var b bytes.Buffer
	b.WriteString(head)
	section(&b, docs, reflect.ValueOf(config.Default()), "")
	return os.WriteFile(out, b.Bytes(), 0o644)
}

// section writes the settings of one struct as a table, then its sections.
func section(b *bytes.Buffer, docs map[string]map[string]string, v reflect.Value, prefix string) {
	var tables []func()
	started := false
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, doc := prefix+f.Tag.Get("koanf"), docs[v.Type().Name()][f.Name]
		switch {
		case f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == v.Type().PkgPath():
			tables = append(tables, func() {
				fmt.Fprintf(b, "\n## %s\n\n%s\n", key, doc)
				section(b, docs, v.Field(i), key+".")
			})
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			tables = append(tables, func() {
				fmt.Fprintf(b, "\n## %s\n\n%s\n", key, doc)
				section(b, docs, reflect.New(f.Type.Elem()).Elem(), key+"[].")
			})
		default:
			if !started {
				b.WriteString("\n| setting | default | what it does |\n|---|---|---|\n")
				started = true
			}
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", key, value(v.Field(i)), strings.ReplaceAll(doc, "|", "\\|"))
		}
	}
	for _, t := range tables {
		t()
	}
}

func value(v reflect.Value) string {
	var s string
	if list, ok := reflect.TypeAssert[[]string](v); ok {
		s = strings.Join(slices.Clone(list), ", ")
	} else if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		text, _ := m.MarshalText()
		s = strings.ToLower(string(text))
	} else {
		s = fmt.Sprint(v.Interface())
	}
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
