package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"go.yaml.in/yaml/v4"
)

var formats = []string{"table", "wide", "json", "yaml", "name"}

// table is how a value looks to people.
type table struct {
	head []string // none for a list of properties
	wide []string // columns of head that only -o wide shows
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
		fmt.Fprintln(a.out, string(raw))
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
	hidden := map[int]bool{}
	for i, h := range t.head {
		for _, w := range t.wide {
			hidden[i] = hidden[i] || h == w && a.format != "wide"
		}
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
	line := func(cells []string) {
		var shown []string
		for i, c := range cells {
			if !hidden[i] {
				shown = append(shown, plain(strings.ReplaceAll(strings.ReplaceAll(c, "\n", " "), "\t", " ")))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(shown, "\t"), "\t"))
	}
	if len(t.head) > 0 {
		upper := make([]string, len(t.head))
		for i, h := range t.head {
			upper[i] = strings.ToUpper(h)
		}
		line(upper)
	}
	for _, r := range t.rows {
		line(r)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
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
	return string(out), nil
}

// clock writes an instant in the local zone: the time alone if it is today.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.Local()
	if now := time.Now(); t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}

// left writes how long it is until t.
func left(t time.Time) string {
	d := time.Until(t).Round(time.Second)
	if d <= 0 {
		return "over"
	}
	if d > time.Hour {
		d = d.Round(time.Minute)
	}
	return strings.TrimSuffix(d.String(), "0s") + " left"
}
