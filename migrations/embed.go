// Package migrations holds the schema of the database, as numbered pairs of
// files for golang-migrate. Each file is one transaction and takes the place
// of the schema's owner with "set local role", so that what it makes belongs
// to a role that nobody logs in as. Merged files never change: SHA256SUMS says
// what they are.
package migrations

import "embed"

// FS holds the migrations.
//
//go:embed *.sql
var FS embed.FS
