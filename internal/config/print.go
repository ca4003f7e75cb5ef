package config

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Print writes every setting with its value and where it came from. Secrets
// are redacted.
func (c *Loaded) Print(w io.Writer) error {
	values := map[string]string{}
	flatten(reflect.ValueOf(c.Config), "", values)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		source := c.Sources[key]
		if source == "" {
			source = "default"
		}
		if _, err := fmt.Fprintf(w, "%-36s %-40s # %s\n", key, values[key], source); err != nil {
			return fmt.Errorf("writing the configuration: %w", err)
		}
	}
	return nil
}

func flatten(v reflect.Value, prefix string, into map[string]string) {
	t := v.Type()
	for i := range t.NumField() {
		key, field := prefix+t.Field(i).Tag.Get("koanf"), v.Field(i)
		switch {
		case field.Kind() == reflect.Struct && field.Type().PkgPath() == t.PkgPath():
			flatten(field, key+".", into)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			for j := range field.Len() {
				flatten(field.Index(j), fmt.Sprintf("%s[%d].", key, j), into)
			}
		case field.Kind() == reflect.Slice:
			into[key] = "[" + strings.Join(field.Interface().([]string), ", ") + "]"
		default:
			into[key] = fmt.Sprint(field.Interface())
		}
	}
}
