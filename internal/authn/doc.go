// Package authn says who is calling: it signs people in at an OpenID provider
// and checks the bearer tokens of programs.
//
// The provider is the only source of identity. A person is the pair of issuer
// and subject; name and e-mail are for display. Groups are what the newest
// token said, all of it: they are replaced and never added to. A claim of an
// odd type gives no right, and a groups claim that cannot be used leaves the
// person without groups but signed in.
//
// # Browsers
//
// The server is the OAuth client (authorization code with PKCE). The browser
// holds two opaque cookies: one that ties a login under way to the browser
// that began it, and, afterwards, the id of a session whose SHA-256 is kept
// in the store. No token ever reaches the browser.
//
// # For package httpapi
//
//	GET  /auth/login     (*Authenticator).Login      ?return_to=/local/path
//	GET  /auth/callback  (*Authenticator).Callback
//	POST /auth/logout    (*Authenticator).Logout
//	every other route    (*Authenticator).Authenticate
//	GET /me/sessions     (*Authenticator).Sessions
//	DELETE /me/sessions/{id}  (*Authenticator).RevokeSession
//
// # What fails, and how
//
// The provider is discovered when it is first needed, and again after a
// failure, so the broker starts and takes access away while the provider is
// down. Then new logins, and tokens that were not seen before, are answered
// NotReady; sessions and tokens that were seen go on until they end.
package authn
