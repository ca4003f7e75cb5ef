// Package api is the HTTP API: openapi.yaml is its one source, and the server
// interface, the models and the client in package client are generated from
// it. Nothing here is written by hand but the specification.
package api

import _ "embed"

//go:generate go tool -modfile=../tools/codegen/go.mod oapi-codegen -config server.gen.yaml openapi.yaml
//go:generate go tool -modfile=../tools/codegen/go.mod oapi-codegen -config client/client.gen.yaml openapi.yaml

// YAML is the specification as it was written.
//
//go:embed openapi.yaml
var YAML []byte
