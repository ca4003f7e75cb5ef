package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const (
	jsonType   = "application/json"
	yamlType   = "application/yaml"
	ndjsonType = "application/x-ndjson"
)

// operation gives what the specification says about the route.
func (s *Server) operation(r *http.Request) *operation {
	return s.spec.operations[r.Method+" "+strings.TrimPrefix(chi.RouteContext(r.Context()).RoutePattern(), base)]
}

// contentType takes only the media types that the operation declares, and no
// packed bodies: a small one may unpack to anything.
func (s *Server) contentType(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := s.operation(r)
		has := r.ContentLength != 0
		switch {
		case r.Header.Get("Content-Encoding") != "":
			s.problem(w, r, &access.Error{Code: access.UnsupportedMedia, Message: "Send the body as it is, without Content-Encoding."})
			return
		case has && len(op.bodyTypes) == 0:
			if !nothing(r) {
				s.problem(w, r, &access.Error{Code: access.Invalid, Message: "This operation takes no body."})
				return
			}
		case has:
			kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
			charset := params["charset"]
			if err != nil || !slices.Contains(op.bodyTypes, kind) || charset != "" && !strings.EqualFold(charset, "utf-8") {
				s.problem(w, r, &access.Error{
					Code:    access.UnsupportedMedia,
					Message: "Send the body as " + strings.Join(op.bodyTypes, " or ") + " in UTF-8, and say so in Content-Type.",
				})
				return
			}
			r.Header.Set("Content-Type", kind)
		case op.bodyRequired:
			s.problem(w, r, &access.Error{Code: access.Invalid, Message: "A body is missing: send " + strings.Join(op.bodyTypes, " or ") + "."})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// nothing says whether the body is empty, or as good as that: some clients
// send {} with every POST.
func nothing(r *http.Request) bool {
	b, err := io.ReadAll(io.LimitReader(r.Body, 16))
	b = bytes.TrimSpace(b)
	return err == nil && (len(b) == 0 || string(b) == "{}")
}

// strictBody reads the body once, refuses what two readers could read
// differently, and hands on its canonical form, whose digest is what an
// idempotency key stands for.
func (s *Server) strictBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var canonical []byte
		if kind := r.Header.Get("Content-Type"); len(s.operation(r).bodyTypes) > 0 && r.ContentLength != 0 {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				s.problem(w, r, unreadable(err))
				return
			}
			canonical = body
			if kind == jsonType {
				v, nulls, faults := parseStrict(body)
				if len(faults) > 0 {
					s.problem(w, r, &access.Error{Code: access.Invalid, Message: "The body cannot be taken as it is.", Details: faults})
					return
				}
				keepUnknown(s.operation(r).body, v, nulls)
				if canonical, err = json.Marshal(v); err != nil {
					s.problem(w, r, fmt.Errorf("writing the canonical body: %w", err))
					return
				}
			}
			setBody(r, canonical)
		} else {
			setBody(r, nil)
		}
		callOf(r.Context()).bodyHash = access.DigestOf([]string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(canonical)})
		next.ServeHTTP(w, r)
	})
}

// keepUnknown puts back the members that were null and that the schema does
// not know, so that they are refused as any other.
func keepUnknown(schema *jsonschema.Schema, v any, nulls []nullMember) {
	if len(nulls) == 0 {
		return
	}
	for _, n := range nulls {
		n.of[n.name] = nil
	}
	unknown := map[string]bool{}
	for _, f := range against(schema, v, access.Detail{}) {
		unknown[f.Pointer] = unknown[f.Pointer] || f.Detail == notAMember
	}
	for _, n := range nulls {
		if !unknown[n.pointer] {
			delete(n.of, n.name)
		}
	}
}

func setBody(r *http.Request, b []byte) {
	r.ContentLength = int64(len(b))
	if len(b) == 0 {
		r.Body = http.NoBody
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
}

// unreadable says why a body could not be read to its end.
func unreadable(err error) error {
	if e := asError(err); e.Code != access.Internal {
		return e
	}
	return &access.Error{Code: access.Invalid, Message: "The body ended before it was complete."}
}

// strictQuery refuses parameters that do not exist, that are given twice, or
// that hold what no parameter may.
func (s *Server) strictQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := s.operation(r)
		values, err := parseQuery(r.URL.RawQuery)
		if err != nil {
			s.problem(w, r, &access.Error{Code: access.Invalid, Message: "The query string is not well formed."})
			return
		}
		var faults []access.Detail
		for _, name := range sortedKeys(values) {
			switch v := values[name]; {
			case !slices.Contains(op.query, name):
				faults = append(faults, access.Detail{Parameter: printable(name), Detail: "is not a parameter of this operation" + known(op.query)})
			case len(v) > 1:
				faults = append(faults, access.Detail{Parameter: name, Detail: "is given more than once"})
			case access.CheckText(v[0], 4096) != "":
				faults = append(faults, access.Detail{Parameter: name, Detail: access.CheckText(v[0], 4096)})
			}
		}
		if len(faults) > 0 {
			s.problem(w, r, &access.Error{Code: access.Invalid, Message: "The query cannot be taken as it is.", Details: faults})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func known(names []string) string {
	if len(names) == 0 {
		return "; it takes none"
	}
	return "; it takes " + strings.Join(names, ", ")
}

// printable keeps a name that came from outside short and plain.
func printable(s string) string {
	if len(s) > 64 || access.CheckText(s, 64) != "" {
		return "(unprintable)"
	}
	return s
}
