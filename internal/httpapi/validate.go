package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// validate holds a request against the specification and answers all faults
// at once.
func (s *Server) validate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := s.operation(r)
		var faults []access.Detail
		for _, p := range op.parameters {
			faults = append(faults, p.faults(r)...)
		}
		if op.body != nil && r.Header.Get("Content-Type") == jsonType && r.ContentLength > 0 {
			faults = append(faults, bodyFaults(op.body, r)...)
		}
		if len(faults) > 0 {
			s.problem(w, r, faulty(faults))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// bodyFaults looks at the canonical body, which is in memory, and puts it
// back.
func bodyFaults(schema *jsonschema.Schema, r *http.Request) []access.Detail {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return []access.Detail{{Detail: "cannot be read"}}
	}
	setBody(r, b)
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return []access.Detail{{Detail: "is not JSON"}}
	}
	return against(schema, v, access.Detail{})
}

func against(schema *jsonschema.Schema, v any, at access.Detail) []access.Detail {
	var invalid *jsonschema.ValidationError
	switch err := schema.Validate(v); {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return schemaFaults(invalid, at)
	}
	at.Detail = "is not valid"
	return []access.Detail{at}
}

// parameter is one parameter of an operation, ready to be checked.
type parameter struct {
	name     string
	in       string
	required bool
	kind     string // of its value: string, integer, boolean or array
	schema   *jsonschema.Schema
}

func (p parameter) faults(r *http.Request) []access.Detail {
	at := access.Detail{Parameter: p.name}
	text, given, err := p.text(r)
	switch {
	case err != nil:
		at.Detail = err.Error()
		return []access.Detail{at}
	case !given && p.required:
		at.Detail = "is missing"
		return []access.Detail{at}
	case !given:
		return nil
	}
	v := p.value(text)
	if _, isText := v.(string); isText && p.kind != openapi3.TypeString {
		at.Detail = map[string]string{openapi3.TypeInteger: "is not a whole number", openapi3.TypeBoolean: "is neither true nor false"}[p.kind]
		return []access.Detail{at}
	}
	return against(p.schema, v, at)
}

// text gives the parameter as it was sent.
func (p parameter) text(r *http.Request) (text string, given bool, err error) {
	switch p.in {
	case openapi3.ParameterInPath:
		text, err = url.PathUnescape(chi.URLParam(r, p.name))
		if err != nil {
			return "", true, errors.New("is not well escaped")
		}
		return text, true, nil
	case openapi3.ParameterInQuery:
		q := r.URL.Query()
		return q.Get(p.name), q.Has(p.name), nil
	default:
		values := r.Header.Values(p.name)
		if len(values) > 1 && p.name != "If-None-Match" && p.name != "Prefer" {
			return "", true, errors.New("is given more than once")
		}
		return strings.Join(values, ", "), len(values) > 0, nil
	}
}

// value reads the text as the kind of value that the schema wants, and leaves
// it a string where that is not possible.
func (p parameter) value(text string) any {
	switch p.kind {
	case openapi3.TypeInteger:
		if n := json.Number(text); integerText(text) {
			return n
		}
	case openapi3.TypeBoolean:
		if text == "true" || text == "false" {
			return text == "true"
		}
	case openapi3.TypeArray:
		list := []any{}
		for part := range strings.SplitSeq(text, ",") {
			list = append(list, part)
		}
		return list
	}
	return text
}

func integerText(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && len(digits) < 20 && strings.Trim(digits, "0123456789") == "" && (digits == "0" || digits[0] != '0')
}

// undecodable answers what the generated code could not bind. The schema has
// seen it before, so this is the second net.
func (s *Server) undecodable(w http.ResponseWriter, r *http.Request, err error) {
	detail := access.Detail{Detail: "is not of the right type"}
	var (
		format  *api.InvalidParamFormatError
		missing *api.RequiredParamError
		header  *api.RequiredHeaderError
		many    *api.TooManyValuesForParamError
	)
	switch {
	case errors.As(err, &format):
		detail.Parameter = format.ParamName
	case errors.As(err, &missing):
		detail = access.Detail{Parameter: missing.ParamName, Detail: "is missing"}
	case errors.As(err, &header):
		detail = access.Detail{Parameter: header.ParamName, Detail: "is missing"}
	case errors.As(err, &many):
		detail = access.Detail{Parameter: many.ParamName, Detail: "is given more than once"}
	case asError(err).Code == access.Internal:
		detail.Pointer = pointerOf(err)
	default:
		s.problem(w, r, err)
		return
	}
	s.problem(w, r, faulty([]access.Detail{detail}))
}
