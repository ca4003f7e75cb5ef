package contract

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed schema/contract.v1.json
var schemaText []byte

// SchemaURL is the name of the published schema.
const SchemaURL = "https://rampkeeper.dev/schemas/contract.v1.json"

// Schema gives the JSON Schema of one document, as it is published.
func Schema() []byte { return bytes.Clone(schemaText) }

// kinds are the kinds of documents, in the order of a listing.
var kinds = []string{"Role", "Resource", "Approvers", "Contract", "Guardrail"}

// schemas is the compiled schema of each kind. Going by kind rather than
// through the root's oneOf keeps the errors to those of the right kind.
type schemas struct {
	raw    any // to look up what an object may hold
	byKind map[string]*jsonschema.Schema
}

var compiled = sync.OnceValue(func() *schemas {
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		panic(fmt.Sprintf("reading the embedded schema: %v", err))
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	registerFormats(c)
	if err := c.AddResource(SchemaURL, raw); err != nil {
		panic(fmt.Sprintf("adding the embedded schema: %v", err))
	}
	s := &schemas{raw: raw, byKind: map[string]*jsonschema.Schema{}}
	for _, k := range kinds {
		s.byKind[k] = c.MustCompile(SchemaURL + "#/$defs/" + k)
	}
	return s
})

// fields gives the names that the object at a location of the schema may hold.
func (s *schemas) fields(schemaURL string) []string {
	_, pointer, _ := strings.Cut(schemaURL, "#/")
	at := s.raw
	for segment := range strings.SplitSeq(pointer, "/") {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[unescape(segment)]
	}
	m, _ := at.(map[string]any)
	properties, _ := m["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

// identify reads what a document says it is, and reports when that is enough
// to stop: without a kind there is no schema to hold the rest against.
func (p *parsed) identify() (kind, name string, ok bool) {
	doc, isMap := p.value.(map[string]any)
	if !isMap {
		if len(p.problems) == 0 {
			p.fault(p.at[""], "", "a document is a mapping", "start with apiVersion: rampkeeper/v1 and kind")
		}
		return "", "", false
	}
	version, given := doc["apiVersion"]
	if !given {
		p.fault(p.at[""], "", "apiVersion is missing", "add apiVersion: rampkeeper/v1")
	} else if version != "rampkeeper/v1" {
		p.fault(p.at["/apiVersion"], "/apiVersion", fmt.Sprintf("%s is not known", show(version)), "write rampkeeper/v1")
	}
	written, given := doc["kind"]
	kind, _ = written.(string)
	switch {
	case !given:
		p.fault(p.at[""], "", "kind is missing", "add kind: one of "+strings.Join(kinds, ", "))
		return "", "", false
	case compiled().byKind[kind] == nil:
		fix := didYouMean(kind, slices.Values(kinds))
		if fix == "" {
			fix = "there are " + strings.Join(kinds, ", ")
		}
		p.fault(p.at["/kind"], "/kind", fmt.Sprintf("kind %s is not known", show(written)), fix)
		return "", "", false
	}
	metadata, _ := doc["metadata"].(map[string]any)
	name, _ = metadata["name"].(string)
	return kind, name, true
}

// validate holds the document against the schema of its kind.
func (p *parsed) validate(kind string) {
	for _, problem := range p.problems {
		p.refused[problem.Pointer] = true
	}
	defer func() {
		for _, problem := range p.problems {
			p.structural[problem.Pointer] = true
		}
	}()
	err := compiled().byKind[kind].Validate(p.value)
	if err == nil {
		return
	}
	root, ok := err.(*jsonschema.ValidationError) //nolint:errorlint // documented as the only type, and never wrapped
	if !ok {
		p.fault(p.at[""], "", "cannot be checked against the schema", "")
		return
	}
	said := map[string]bool{} // where something is wrong already, the schema's view is of no use
	for _, problem := range p.problems {
		said[problem.Pointer] = true
	}
	p.explain(root, said)
}
