package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Install is this installation.
type Install struct {
	ID        [16]byte  `db:"id"`
	CursorKey []byte    `db:"cursor_key"`
	CreatedAt time.Time `db:"created_at"`
}

const selectInstall = `select id, cursor_key, created_at from core.install`

// Install gives what this installation is. It never changes, so it is loaded
// once for each Store.
func (tx *Tx) Install(ctx context.Context) (Install, error) {
	if known := tx.store.install.Load(); known != nil {
		return *known, nil
	}
	install, err := one(ctx, tx, selectInstall, nil, pgx.RowToStructByName[Install])
	if err != nil {
		return Install{}, fmt.Errorf("loading the installation: %w", err)
	}
	tx.store.install.Store(&install)
	return install, nil
}
