package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v4"
)

const envPrefix = "RAMPKEEPER_"

// notSettings are variables with our prefix that other parts read.
var notSettings = []string{"RAMPKEEPER_CONFIG", "RAMPKEEPER_PG_BIN", "RAMPKEEPER_MIGRATE_URL"}

// Input is what Load reads.
type Input struct {
	File    string            // path of the YAML file; empty for none
	Environ []string          // as os.Environ gives it
	Flags   map[string]string // dotted key to value, of the flags that were given
}

// Loaded is a Config together with where each of its values came from.
type Loaded struct {
	Config
	Sources map[string]string // dotted key to "file:line", "environment NAME", "flag" or absent for a default
}

// Load reads the configuration and checks it. The error lists every fault.
func Load(in Input) (*Loaded, error) {
	l := &loader{k: koanf.New("."), keys: settings(), sources: map[string]string{}}
	if in.File != "" {
		l.file(in.File)
	}
	l.environment(in.Environ)
	for _, key := range slices.Sorted(maps.Keys(in.Flags)) {
		l.set(key, in.Flags[key], "flag")
	}
	out := &Loaded{Config: Default(), Sources: l.sources}
	if len(l.faults) == 0 {
		l.decode(&out.Config)
	}
	if len(l.faults) == 0 {
		l.faults = out.validate()
	}
	if len(l.faults) > 0 {
		return nil, fmt.Errorf("the configuration cannot be used:\n  %s", strings.Join(l.faults, "\n  "))
	}
	return out, nil
}

type loader struct {
	k       *koanf.Koanf
	keys    map[string]reflect.Type
	sources map[string]string
	faults  []string
}

func (l *loader) fault(where, format string, args ...any) {
	l.faults = append(l.faults, where+": "+fmt.Sprintf(format, args...))
}

// set puts one value in, from its text or from its _file form.
func (l *loader) set(key string, value any, source string) {
	typ, known := l.keys[key]
	if base, ok := strings.CutSuffix(key, "_file"); !known && ok && l.keys[base] == reflect.TypeFor[Secret]() {
		secret, err := ReadSecret(fmt.Sprint(value))
		if err != nil {
			l.fault(source, "%s: %v", key, err)
			return
		}
		key, value, typ, known = base, secret, l.keys[base], true
		source += " (file)"
	}
	if !known {
		l.fault(source, "unknown setting %s%s", key, didYouMean(key, l.keys))
		return
	}
	if s, ok := value.(string); ok && typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.String {
		value = splitList(s)
	}
	if err := l.k.Load(confmap.Provider(map[string]any{key: value}, "."), nil); err != nil {
		l.fault(source, "%s: %v", key, err)
		return
	}
	l.sources[key] = source
}

func (l *loader) environment(environ []string) {
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(pair, "=")
		path, ok := strings.CutPrefix(name, envPrefix)
		if !ok || slices.Contains(notSettings, name) || strings.HasPrefix(name, envPrefix+"TEST_") {
			continue
		}
		l.set(strings.ToLower(strings.ReplaceAll(path, "__", ".")), value, "environment "+name)
	}
}

func (l *loader) file(path string) {
	raw, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.fault(path, "there is no such file; name another with --config, or leave it out to use the environment alone")
		return
	case err != nil:
		l.fault(path, "cannot be read: %v", errors.Unwrap(err))
		return
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		l.fault(path, "%v", err)
		return
	}
	if len(doc.Content) > 0 {
		l.mapping(path, "", doc.Content[0])
	}
}

// mapping walks the file so that each fault can name its line.
func (l *loader) mapping(path, prefix string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		l.fault(at(path, n), "%s holds settings: write KEY: VALUE lines", cmp.Or(strings.TrimSuffix(prefix, "."), "the file"))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := prefix + name.Value
		if first, twice := seen[key]; twice {
			l.fault(at(path, name), "%s is set twice, first in line %d", key, first)
			continue
		}
		seen[key] = name.Line
		typ := l.keys[key]
		switch {
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			l.fault(at(path, value), "%s: anchors and aliases are not used here", key)
		case key == "connectors":
			l.connectors(path, value)
		case typ == nil && value.Kind == yaml.MappingNode && l.isSection(key):
			l.mapping(path, key+".", value)
		case value.Kind == yaml.ScalarNode:
			if value.Tag == "!!null" {
				continue
			}
			l.set(key, value.Value, at(path, name))
		case value.Kind == yaml.SequenceNode:
			list := []string{}
			for _, item := range value.Content {
				if item.Kind != yaml.ScalarNode {
					l.fault(at(path, item), "%s is a list of plain values", key)
					continue
				}
				list = append(list, item.Value)
			}
			l.set(key, list, at(path, name))
		default:
			l.fault(at(path, name), "unknown setting %s%s", key, didYouMean(key, l.keys))
		}
	}
}

// connectors reads the one list of sections, each entry by a loader of its own
// so that its settings are checked and its secrets read like all others.
func (l *loader) connectors(path string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		l.fault(at(path, n), "connectors is a list: start each entry with a dash")
		return
	}
	var entries []any
	for i, item := range n.Content {
		one := &loader{k: koanf.New("."), keys: keysOf(reflect.TypeFor[Connector](), ""), sources: map[string]string{}}
		one.mapping(path, "", item)
		for _, f := range one.faults {
			l.faults = append(l.faults, f+fmt.Sprintf(" (in connectors[%d])", i))
		}
		for key, source := range one.sources {
			l.sources[fmt.Sprintf("connectors[%d].%s", i, key)] = source
		}
		entries = append(entries, one.k.Raw())
	}
	if err := l.k.Load(confmap.Provider(map[string]any{"connectors": entries}, "."), nil); err != nil {
		l.fault(at(path, n), "connectors: %v", err)
	}
}

func (l *loader) isSection(key string) bool {
	for k := range l.keys {
		if strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}

func (l *loader) decode(into *Config) {
	err := l.k.UnmarshalWithConf("", into, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result:           into,
		TagName:          "koanf",
		WeaklyTypedInput: true, // the environment has only text
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(),
			mapstructure.TextUnmarshallerHookFunc(),
		),
	}})
	if err == nil {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasSuffix(line, "error(s) decoding:") {
			l.faults = append(l.faults, strings.TrimPrefix(line, "* "))
		}
	}
}

func at(path string, n *yaml.Node) string { return path + ":" + strconv.Itoa(n.Line) }

func splitList(s string) []string {
	list := []string{}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// ReadSecret reads a secret's file, without the line's end. One that everybody
// can read is refused: it is no secret.
func ReadSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", path, errors.Unwrap(err))
	}
	if info.Mode().Perm()&0o004 != 0 {
		return "", fmt.Errorf("%s can be read by everybody on this machine: chmod o-r %s", path, path)
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", path, errors.Unwrap(err))
	}
	return strings.TrimRight(string(raw), "\r\n"), nil
}

// settings is every key that Config has, with its type.
func settings() map[string]reflect.Type { return keysOf(reflect.TypeFor[Config](), "") }

func keysOf(t reflect.Type, prefix string) map[string]reflect.Type {
	keys := map[string]reflect.Type{}
	for f := range t.Fields() {
		key := prefix + f.Tag.Get("koanf")
		if f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == t.PkgPath() {
			maps.Copy(keys, keysOf(f.Type, key+"."))
			continue
		}
		keys[key] = f.Type
	}
	return keys
}

// didYouMean names the closest known key, if one is close.
func didYouMean(key string, keys map[string]reflect.Type) string {
	best, least := "", len(key)/3+2
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if d := distance(key, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance counts the edits between two keys (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
