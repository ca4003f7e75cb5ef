package authn

import "net/http"

// Login sends the browser to the identity provider.
func (a *Authenticator) Login(w http.ResponseWriter, r *http.Request) { panic("soon") }

// Callback takes the browser back from the identity provider and opens a
// session.
func (a *Authenticator) Callback(w http.ResponseWriter, r *http.Request) { panic("soon") }

// Logout ends the session of the browser.
func (a *Authenticator) Logout(w http.ResponseWriter, r *http.Request) { panic("soon") }
