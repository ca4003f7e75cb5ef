// Package demo holds what `rampkeeper dev` puts into a new installation: an
// example policy, and the database that it protects.
package demo

import "embed"

// Policy holds the example policy documents.
//
//go:embed policy/*.yaml
var Policy embed.FS

// TargetSQL makes the made-up shop database with its prepared roles.
//
//go:embed target.sql
var TargetSQL string
