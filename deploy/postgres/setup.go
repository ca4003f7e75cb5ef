// Package postgres holds what an administrator runs on a PostgreSQL server to
// make it a target. Programs that do it for them take it from here.
package postgres

import _ "embed" // for TargetSetup

// TargetSetup is target-setup.sql.
//
//go:embed target-setup.sql
var TargetSetup string
