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
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"

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
	parameters   []parameter
	bodyTypes    []string
	bodyRequired bool
	body         *jsonschema.Schema // of JSON; nil where none is taken
}

// loadSpec reads the specification and compiles every schema of a request
// once. Schemas are compiled in place, so that what they refer to is found.
func loadSpec() (*spec, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.YAML)
	if err != nil {
		return nil, fmt.Errorf("reading openapi.yaml: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("checking openapi.yaml: %w", err)
	}
	sp := &spec{doc: doc, operations: map[string]*operation{}}
	if sp.json, err = published(doc); err != nil {
		return nil, err
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(sp.json))
	if err != nil {
		return nil, fmt.Errorf("reading the specification back: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	for _, f := range formats {
		c.RegisterFormat(&f)
	}
	if err := c.AddResource(specURL, tree); err != nil {
		return nil, fmt.Errorf("compiling the specification: %w", err)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if sp.operations[method+" "+path], err = readOperation(c, item, path, method, op); err != nil {
				return nil, err
			}
		}
	}
	return sp, nil
}

// specURL names the specification while it is compiled; nothing is fetched.
const specURL = "https://rampkeeper.invalid/openapi.json"

func readOperation(c *jsonschema.Compiler, item *openapi3.PathItem, path, method string, op *openapi3.Operation) (*operation, error) {
	o := &operation{id: op.OperationID, query: []string{}}
	at := "#/paths/" + escapePointer(path)
	for _, group := range []struct {
		at   string
		list openapi3.Parameters
	}{{at, item.Parameters}, {at + "/" + strings.ToLower(method), op.Parameters}} {
		for i, ref := range group.list {
			place := ref.Ref
			if place == "" {
				place = group.at + "/parameters/" + strconv.Itoa(i)
			}
			schema, err := c.Compile(specURL + place + "/schema")
			if err != nil {
				return nil, fmt.Errorf("compiling parameter %s of %s: %w", ref.Value.Name, op.OperationID, err)
			}
			p := parameter{name: ref.Value.Name, in: ref.Value.In, required: ref.Value.Required, schema: schema, kind: openapi3.TypeString}
			if types := ref.Value.Schema.Value.Type.Slice(); len(types) == 1 {
				p.kind = types[0]
			}
			o.parameters = append(o.parameters, p)
			if p.in == openapi3.ParameterInQuery {
				o.query = append(o.query, p.name)
			}
		}
	}
	if op.RequestBody == nil {
		return o, nil
	}
	o.bodyTypes = slices.Sorted(maps.Keys(op.RequestBody.Value.Content))
	o.bodyRequired = op.RequestBody.Value.Required
	place := op.RequestBody.Ref
	if place == "" {
		place = at + "/" + strings.ToLower(method) + "/requestBody"
	}
	var err error
	if o.body, err = c.Compile(specURL + place + "/content/application~1json/schema"); err != nil {
		return nil, fmt.Errorf("compiling the body of %s: %w", op.OperationID, err)
	}
	return o, nil
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
		maps.DeleteFunc(v, func(k string, _ any) bool { return strings.HasPrefix(k, "x-go-") })
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
