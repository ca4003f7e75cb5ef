package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"golang.org/x/term"
)

var formats = []string{"table", "wide", "json", "yaml", "name"}

// table is how a value looks to people.
type table struct {
	head []string // none for a list of properties
	wide []string // columns of head that only -o wide shows
	cut  []string // columns of head that may be cut where the terminal is narrow
	rows [][]string
	// empty is said when there are no rows.
	empty string
}

// print writes v in the chosen format; names is what -o name shows, a line
// each.
func (a *app) print(v any, names string, t table) error {
	switch a.format {
	case "json":
		raw, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return fmt.Errorf("encoding: %w", err)
		}
		fmt.Fprintln(a.out, harmless(raw))
	case "yaml":
		raw, err := toYAML(v)
		if err != nil {
			return err
		}
		fmt.Fprint(a.out, raw)
	case "name":
		if names != "" {
			fmt.Fprintln(a.out, plain(names))
		}
	default:
		if len(t.rows) == 0 {
			a.say("%s", t.empty)
			return nil
		}
		return a.printTable(t)
	}
	return nil
}

func (a *app) printTable(t table) error {
	var rows [][]string
	if len(t.head) > 0 {
		upper := make([]string, len(t.head))
		for i, h := range t.head {
			upper[i] = strings.ToUpper(h)
		}
		rows = append(rows, upper)
	}
	rows = append(rows, t.rows...)
	var shown [][]string
	for _, row := range rows {
		var cells []string
		for i, cell := range row {
			if a.format == "wide" || len(t.head) == 0 || !slices.Contains(t.wide, t.head[i]) {
				cells = append(cells, inline(cell))
			}
		}
		shown = append(shown, cells)
	}
	var cuttable []int
	if a.format != "wide" {
		at := 0
		for _, h := range t.head {
			if slices.Contains(t.wide, h) {
				continue
			}
			if slices.Contains(t.cut, h) {
				cuttable = append(cuttable, at)
			}
			at++
		}
	}
	if _, err := io.WriteString(a.out, layout(shown, cuttable, columns(a.out))); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

const (
	gap      = 3  // between columns
	leastCut = 12 // a column is not cut to less
)

// layout aligns the columns of rows. Where they are wider than the terminal
// (0 if there is none), the columns that may be cut are, the widest first.
// Names are whole whatever happens, so that they can be copied.
func layout(rows [][]string, cuttable []int, width int) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	total := gap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for width > 0 && total > width {
		widest := -1
		for _, i := range cuttable {
			if i < len(widths) && widths[i] > leastCut && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
		total--
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if slices.Contains(cuttable, i) {
				cell = short(cell, widths[i])
			}
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+gap))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// columns gives the width of a terminal, and 0 for anything else.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// harmless writes JSON without the characters that a terminal could obey.
// They are in strings only, where an escape means the same.
func harmless(raw []byte) string {
	var b strings.Builder
	for _, r := range string(raw) {
		if r != '\n' && r != '\t' && unsafe(r) && r != unicode.ReplacementChar {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// toYAML goes by JSON, so that both formats have the same names.
func toYAML(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encoding: %w", err)
	}
	var generic any
	if err := yaml.Unmarshal(raw, &generic); err != nil {
		return "", fmt.Errorf("encoding: %w", err)
	}
	out, err := yaml.Marshal(generic)
	if err != nil {
		return "", fmt.Errorf("encoding: %w", err)
	}
	return plain(string(out)), nil
}
