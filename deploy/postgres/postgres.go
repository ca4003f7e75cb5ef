// Package postgres carries the SQL that prepares a PostgreSQL cluster for an
// installation, so that development and tests use the file that operators use.
package postgres

import _ "embed"

// Roles is roles.sql: idempotent, for a superuser, once for each cluster.
//
//go:embed roles.sql
var Roles string
