package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/access"
)

// methodNotAllowed is the one code that HTTP alone knows.
const methodNotAllowed access.Code = "method_not_allowed"

// presentations is how each code is shown: the one table from codes to
// statuses. What is not in it is internal.
var presentations = map[access.Code]struct {
	status int
	title  string
}{
	access.Invalid:             {http.StatusBadRequest, "The input is not valid"},
	access.Unauthenticated:     {http.StatusUnauthorized, "Sign in first"},
	access.SessionExpired:      {http.StatusUnauthorized, "The session is over"},
	access.Forbidden:           {http.StatusForbidden, "Not allowed"},
	access.SelfApproval:        {http.StatusForbidden, "Nobody decides their own request"},
	access.NotAnApprover:       {http.StatusForbidden, "Not an approver of this request"},
	access.CrossOrigin:         {http.StatusForbidden, "Refused from another site"},
	access.NotFound:            {http.StatusNotFound, "Not found"},
	methodNotAllowed:           {http.StatusMethodNotAllowed, "Method not allowed"},
	access.StateConflict:       {http.StatusConflict, "Not possible in this state"},
	access.StaleVote:           {http.StatusConflict, "The request is not what was voted on"},
	access.DuplicateRequest:    {http.StatusConflict, "Asked for already"},
	access.InProgress:          {http.StatusConflict, "The same call is being worked on"},
	access.PreconditionFailed:  {http.StatusPreconditionFailed, "Changed since it was read"},
	access.PreconditionMissing: {http.StatusPreconditionRequired, "If-Match is missing"},
	access.TooLarge:            {http.StatusRequestEntityTooLarge, "The body is too large"},
	access.UnsupportedMedia:    {http.StatusUnsupportedMediaType, "Not a media type that is taken here"},
	access.KeyReused:           {http.StatusUnprocessableEntity, "The idempotency key was used for something else"},
	access.PolicyRefused:       {http.StatusUnprocessableEntity, "Refused by policy"},
	access.ContractInvalid:     {http.StatusUnprocessableEntity, "The policy documents are not valid"},
	access.RateLimited:         {http.StatusTooManyRequests, "Too many calls"},
	access.Internal:            {http.StatusInternalServerError, "Something went wrong"},
	access.UpstreamFailed:      {http.StatusBadGateway, "The target did not answer as it should"},
	access.NotReady:            {http.StatusServiceUnavailable, "Not ready"},
}

// problem writes every answer that is not a success. The text of an error
// that is not an access.Error stays here.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, err error) {
	c := callOf(r.Context())
	e := asError(err)
	shown, known := presentations[e.Code]
	if !known || e.Code == access.Internal {
		e = access.AsError(errors.New("hidden"))
		shown = presentations[access.Internal]
		c.err = err
	}
	p := api.Problem{
		Type:       "/problems/" + string(e.Code),
		Title:      shown.title,
		Status:     shown.status,
		Detail:     e.Message,
		Code:       api.ProblemCode(e.Code),
		RequestID:  c.requestID,
		Reasons:    e.Reasons,
		DecisionID: e.DecisionID,
		Current:    e.Current,
	}
	for _, d := range e.Details {
		p.Errors = append(p.Errors, api.Fault{
			Detail: d.Detail, Pointer: d.Pointer, Parameter: d.Parameter, File: d.File, Line: d.Line, Column: d.Column,
		})
	}
	if e.Code == access.Unauthenticated || e.Code == access.SessionExpired {
		challenge(w, r)
	}
	if shown.status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "5")
	}
	if c.wrote { // too late: the client must see that the answer is broken
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "ETag", "Last-Modified"} {
		h.Del(name)
	}
	writeJSON(w, shown.status, "application/problem+json", p)
}

// asError reads the failures that are not ours as what they are.
func asError(err error) *access.Error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return bodyTooLarge
	case errors.Is(err, context.DeadlineExceeded):
		return &access.Error{Code: access.NotReady, Message: "This took too long. Try again; a creating call with the same Idempotency-Key."}
	case errors.Is(err, context.Canceled):
		return &access.Error{Code: access.NotReady, Message: "The call was given up."}
	}
	return access.AsError(err)
}

var bodyTooLarge = &access.Error{Code: access.TooLarge, Message: "The body is larger than this operation takes: 1 MiB, or 8 MiB of policy."}

// challenge says how to sign in.
func challenge(w http.ResponseWriter, r *http.Request) {
	value := `Bearer realm="rampkeeper"`
	if r.Header.Get("Authorization") != "" {
		value += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", value)
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	s.problem(w, r, &access.Error{Code: access.NotFound, Message: "There is nothing here, or nothing that you may know of."})
}

// methods that some route may have.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

func (s *Server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	routes := chi.RouteContext(r.Context()).Routes
	for _, m := range methods {
		if routes.Match(chi.NewRouteContext(), m, r.URL.EscapedPath()) {
			allowed = append(allowed, m)
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	s.problem(w, r, &access.Error{Code: methodNotAllowed, Message: "This place takes " + strings.Join(allowed, ", ") + "."})
}

// writeJSON is the one encoder besides the generated ones.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(true)
	if err := enc.Encode(v); err != nil {
		panic(err) // programmer error: our own types marshal
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // the client may be gone; there is nobody to tell
}
