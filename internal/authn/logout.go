package authn

import (
	"fmt"
	"net/http"
	"time"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Logout ends the session of the browser. It takes POST from this server's
// own pages only, so that no other site can sign people out.
func (a *Authenticator) Logout(w http.ResponseWriter, r *http.Request) {
	if err := a.sameOrigin.Check(r); err != nil {
		a.fail(w, r, fmt.Errorf("%w (%w)", &access.Error{
			Code:    access.CrossOrigin,
			Message: "Only pages of this server can sign you out.",
		}, err))
		return
	}
	noStore(w)
	if cookie, err := r.Cookie(SessionCookie); err == nil {
		if err := a.store.InTx(r.Context(), func(tx *store.Tx) error {
			return tx.DeleteSessionByHash(r.Context(), hash(cookie.Value))
		}); err != nil {
			a.fail(w, r, fmt.Errorf("ending the session: %w", err))
			return
		}
	}
	setCookie(w, SessionCookie, "", -time.Second)
	if wantsPage(r) {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
