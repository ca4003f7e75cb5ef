// Package httpapi is the broker over HTTP. Handlers decode, call and encode;
// they decide nothing. What every operation has in common (who is calling,
// limits, the rules for bodies and parameters, problem documents) is
// middleware, in the order that NewServer writes down.
//
// api/openapi.yaml is the law: requests are validated against it before a
// handler sees them, and the tests validate every answer.
package httpapi
