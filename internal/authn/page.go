package authn

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

var (
	//go:embed page.html
	pageSource string
	//go:embed page.css
	pageStyle string

	page = template.Must(template.New("page").Parse(pageSource))

	contentPolicy = func() string {
		sum := sha256.Sum256([]byte(pageStyle))
		return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	}()

	// statuses of what the handlers of this package answer; the others are
	// faults of ours.
	statuses = map[access.Code]int{
		access.Invalid:         http.StatusBadRequest,
		access.Unauthenticated: http.StatusUnauthorized,
		access.Forbidden:       http.StatusForbidden,
		access.CrossOrigin:     http.StatusForbidden,
		access.NotReady:        http.StatusServiceUnavailable,
	}
)

// fail answers a person with a page and a program with a problem document.
// Neither holds anything that came from outside.
func (a *Authenticator) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := access.AsError(err)
	status, ok := statuses[e.Code]
	if !ok {
		status = http.StatusInternalServerError
		e = access.AsError(errUnsaid)
		a.config.Log.ErrorContext(r.Context(), "signing in or out failed", "path", r.URL.Path, "err", err)
	} else {
		a.config.Log.InfoContext(r.Context(), "signing in or out was refused", "path", r.URL.Path, "err", err)
	}
	h := w.Header()
	noStore(w)
	h.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "30")
	}
	var body bytes.Buffer
	if wantsPage(r) {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("Referrer-Policy", "no-referrer")
		_ = page.Execute(&body, struct { // fails on no input: it is ours, and the buffer takes all
			Style   template.CSS
			Message string
		}{template.CSS(pageStyle), e.Message}) //nolint:gosec // our own file
	} else {
		h.Set("Content-Type", "application/problem+json")
		_ = json.NewEncoder(&body).Encode(map[string]any{
			"type": "/problems/" + string(e.Code), "title": http.StatusText(status), "status": status,
			"detail": e.Message, "instance": r.URL.Path, "code": e.Code, "request_id": h.Get("X-Request-Id"),
		})
	}
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // the client may be gone
}

// errUnsaid is no access.Error, so it becomes the one that says nothing.
var errUnsaid = errors.New("unsaid")

// wantsPage says whether a browser shows the answer to a person.
func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

func noStore(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }
