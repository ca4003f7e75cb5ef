package httpapi

import (
	"context"
	"net/http"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// call is what the middleware knows of a request. Each fills in its part; the
// log line and the handlers read it.
type call struct {
	request   *http.Request
	requestID string
	caller    access.Caller
	bodyHash  access.Digest       // of what was asked, for the idempotency key
	err       error               // behind an internal problem, for the log only
	refused   error               // why the caller is nobody, for the log only
	writer    http.ResponseWriter // of the answer, for its deadline
	wrote     bool                // the status line is out
	working   bool                // it holds a slot; see inFlight
}

type callKey struct{}

// callOf gives the call of a context. Outside a request it is an empty one.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}
