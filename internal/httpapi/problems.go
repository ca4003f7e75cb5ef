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
	means  string // for people, at /problems/CODE
}{
	access.Invalid: {
		http.StatusBadRequest, "The input is not valid",
		"Something in the path, the query, a header or the body is not as the API describes it. `errors` lists every fault with its place: a JSON pointer into the body, the name of a parameter, or a line of a file. Mend them and send it again.",
	},
	access.Unauthenticated: {
		http.StatusUnauthorized, "Sign in first",
		"Nobody is signed in, or the bearer token is not one of the configured provider for this server, or has ended. Sign in: `ramp login`, or a browser at `/auth/login`.",
	},
	access.SessionExpired: {
		http.StatusUnauthorized, "The session is over",
		"The browser session has ended: it was signed out, lasted its whole time, or was not used for a while. Sign in again.",
	},
	access.Forbidden: {
		http.StatusForbidden, "Not allowed",
		"You may know of the object, and may not do this to it. `can` on requests and grants says beforehand what you may do and why not.",
	},
	access.SelfApproval: {
		http.StatusForbidden, "Nobody decides their own request",
		"Nobody fills a seat of their own request, whatever groups they are in. The attempt is on record.",
	},
	access.NotAnApprover: {
		http.StatusForbidden, "Not an approver of this request",
		"The contract does not name you for a stage that takes votes now, or not any more. The request shows who can.",
	},
	access.CrossOrigin: {
		http.StatusForbidden, "Refused from another site",
		"A page of another site made a browser send this. Nothing was changed.",
	},
	access.NotFound: {
		http.StatusNotFound, "Not found",
		"There is no such thing, or you may not know of it; the two are not told apart.",
	},
	methodNotAllowed: {
		http.StatusMethodNotAllowed, "Method not allowed",
		"The path exists and takes other methods, which the header `Allow` names.",
	},
	access.StateConflict: {
		http.StatusConflict, "Not possible in this state",
		"The object is in a state, named by `current`, in which this cannot be done. Read it again.",
	},
	access.StaleVote: {
		http.StatusConflict, "The request is not what was voted on",
		"The vote names another hash than the request has: it was cast on something else than what is asked. Read the request again before you decide.",
	},
	access.DuplicateRequest: {
		http.StatusConflict, "Asked for already",
		"You have asked for the same already, with another reason or ticket, and that request is still live. Go on with it, or withdraw it. What is identical in all is answered with the request that there is.",
	},
	access.InProgress: {
		http.StatusConflict, "The same call is being worked on",
		"A call with the same idempotency key is being worked on. Wait a moment and send it again.",
	},
	access.PreconditionFailed: {
		http.StatusPreconditionFailed, "Changed since it was read",
		"The object changed after you read the ETag that `If-Match` names. Read it again, and decide again.",
	},
	access.PreconditionMissing: {
		http.StatusPreconditionRequired, "If-Match is missing",
		"An edit wants `If-Match` with the ETag that you last saw, so that nobody's change is lost.",
	},
	access.TooLarge: {
		http.StatusRequestEntityTooLarge, "The body is too large",
		"Bodies may have 1 MiB, policy 8 MiB.",
	},
	access.UnsupportedMedia: {
		http.StatusUnsupportedMediaType, "Not a media type that is taken here",
		"Send the media type that the operation describes, in UTF-8, and not packed: no `Content-Encoding`.",
	},
	access.KeyReused: {
		http.StatusUnprocessableEntity, "The idempotency key was used for something else",
		"The idempotency key stands for an earlier call with another body. Use a new key for a new call.",
	},
	access.PolicyRefused: {
		http.StatusUnprocessableEntity, "Refused by policy",
		"Policy says no. `reasons` says why and what would work, and `decision_id` names the stored decision with its whole trace. The refused request is at `Location`.",
	},
	access.ContractInvalid: {
		http.StatusUnprocessableEntity, "The policy documents are not valid",
		"The policy documents have faults; `errors` gives file, line and column of each. Nothing was changed.",
	},
	access.RateLimited: {
		http.StatusTooManyRequests, "Too many calls",
		"Too many calls, or too many streams at once. Wait for the seconds in `Retry-After`.",
	},
	access.Internal: {
		http.StatusInternalServerError, "Something went wrong",
		"A fault of ours. The log has it under the request id. What was asked may be sent again; a creating call with the same idempotency key.",
	},
	access.UpstreamFailed: {
		http.StatusBadGateway, "The target did not answer as it should",
		"The target did not answer, or not as it should. What you asked for may still happen; read the object again.",
	},
	access.NotReady: {
		http.StatusServiceUnavailable, "Not ready",
		"The server is starting, stopping, overloaded, or cannot reach its database or identity provider. Try again after `Retry-After`.",
	},
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
		Instance:   r.URL.EscapedPath(),
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
		c.refused = err // with the reason, which the caller does not hear
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
	said, ok := errors.AsType[*access.Error](err)
	switch {
	case errors.As(err, &tooLarge):
		return bodyTooLarge
	case ok: // whoever said it knows what became of the call
		return said
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
