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

	// presentations of what the handlers of this package answer, as the API
	// shows them; the others are faults of ours.
	presentations = map[access.Code]presentation{
		access.Invalid:         {http.StatusBadRequest, "The input is not valid"},
		access.Unauthenticated: {http.StatusUnauthorized, "Sign in first"},
		access.Forbidden:       {http.StatusForbidden, "Not allowed"},
		access.CrossOrigin:     {http.StatusForbidden, "Refused from another site"},
		access.NotReady:        {http.StatusServiceUnavailable, "Not ready"},
		access.Internal:        {http.StatusInternalServerError, "Something went wrong"},
	}
)

type presentation struct {
	status int
	title  string
}

// fail answers a person with a page and a program with a problem document.
// Neither holds anything that came from outside.
func (a *Authenticator) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := access.AsError(err)
	shown, ok := presentations[e.Code]
	if !ok || e.Code == access.Internal {
		e = access.AsError(errUnsaid)
		shown = presentations[access.Internal]
		a.config.Log.ErrorContext(r.Context(), "signing in or out failed", "path", r.URL.Path, "err", err)
	} else {
		a.config.Log.InfoContext(r.Context(), "signing in or out was refused", "path", r.URL.Path, "err", err)
	}
	h := w.Header()
	noStore(w)
	h.Set("X-Content-Type-Options", "nosniff")
	if shown.status == http.StatusServiceUnavailable {
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
			"type": "/problems/" + string(e.Code), "title": shown.title, "status": shown.status,
			"detail": e.Message, "instance": r.URL.EscapedPath(), "code": e.Code, "request_id": h.Get("X-Request-Id"),
		})
	}
	w.WriteHeader(shown.status)
	_, _ = body.WriteTo(w) // the client may be gone
}

// errUnsaid is no access.Error, so it becomes the one that says nothing.
var errUnsaid = errors.New("unsaid")

// wantsPage says whether a browser shows the answer to a person.
func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

func noStore(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }
