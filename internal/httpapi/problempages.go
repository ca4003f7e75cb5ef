package httpapi

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// problemPage explains one code, at the address that problem documents name
// as their type.
func (s *Server) problemPage(w http.ResponseWriter, r *http.Request) {
	code := access.Code(chi.URLParam(r, "code"))
	shown, ok := presentations[code]
	if !ok {
		s.notFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "%s (%d %s)\n\n%s\n\n%s\n", code, shown.status, http.StatusText(shown.status), shown.title, shown.means) //nolint:gosec // plain text; code is one of our own
}
