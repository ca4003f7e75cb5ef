package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/rampkeeper/rampkeeper/api"
)

// spec is the specification, read for use.
type spec struct {
	doc        *openapi3.T
	json       []byte
	operations map[string]*operation // by method, blank and path
}

// operation is what middleware wants to know of one operation.
type operation struct {
	id           string
	query        []string
	bodyTypes    []string
	bodyRequired bool
}

func loadSpec() (*spec, error) {
	doc, err := readSpec()
	if err != nil {
		return nil, err
	}
	sp := &spec{doc: doc, operations: map[string]*operation{}}
	if sp.json, err = published(doc); err != nil {
		return nil, err
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			o := &operation{id: op.OperationID, query: []string{}}
			for _, p := range slices.Concat(item.Parameters, op.Parameters) {
				if p.Value.In == openapi3.ParameterInQuery {
					o.query = append(o.query, p.Value.Name)
				}
			}
			if op.RequestBody != nil {
				o.bodyTypes = slices.Sorted(maps.Keys(op.RequestBody.Value.Content))
				o.bodyRequired = op.RequestBody.Value.Required
			}
			sp.operations[method+" "+path] = o
		}
	}
	return sp, nil
}

func readSpec() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.YAML)
	if err != nil {
		return nil, fmt.Errorf("reading openapi.yaml: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("checking openapi.yaml: %w", err)
	}
	return doc, nil
}

// published is the specification as JSON, without what only our generator
// reads.
func published(doc *openapi3.T) ([]byte, error) {
	raw, err := doc.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("writing the specification as JSON: %w", err)
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("reading the specification back: %w", err)
	}
	return json.Marshal(withoutGo(tree))
}

func withoutGo(v any) any {
	switch v := v.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(k string, _ any) bool { return len(k) > 5 && k[:5] == "x-go-" })
		for k := range v {
			v[k] = withoutGo(v[k])
		}
	case []any:
		for i := range v {
			v[i] = withoutGo(v[i])
		}
	}
	return v
}

func parseQuery(raw string) (url.Values, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("parsing the query: %w", err)
	}
	return values, nil
}

func sortedKeys(v url.Values) []string { return slices.Sorted(maps.Keys(v)) }

func (s *Server) specYAML(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", yamlType)
	_, _ = w.Write(api.YAML) // the client may be gone
}

func (s *Server) specJSON(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(s.spec.json) // the client may be gone
}
