package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Exec runs a statement of a test in the transaction.
func (tx *Tx) Exec(ctx context.Context, sql string, args pgx.NamedArgs) error {
	return tx.exec(ctx, sql, args)
}

// SchemaConstraints gives the constraints that clients hear about.
func SchemaConstraints() []string {
	names := make([]string, 0, len(constraints))
	for name := range constraints {
		names = append(names, name)
	}
	return names
}
