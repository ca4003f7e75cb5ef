package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const appendEvent = `
select audit.append(@stream, nullif(@version::bigint, 0), @at, @type, @actor, @data)`

// Record puts events on the audit log, in this transaction. They are sent
// together just before the commit, sorted by stream: streams that several
// transactions touch are then locked in one order, and none waits for
// another in a circle. Within a stream they go by version.
//
// Version 0 takes the stream's next one; it is for streams that have no row
// whose version they follow: those of principals and sessions. Data may be
// nil; it never carries secrets, nor free text other than by its digest.
func (tx *Tx) Record(_ context.Context, events ...access.Event) error {
	for _, e := range events {
		if e.Stream == "" || e.Type == "" || e.Actor == "" || e.Version < 0 {
			return fmt.Errorf("recording %q: an event needs a stream, a version, a type and an actor", e.Type)
		}
		if len(e.Data) == 0 {
			e.Data = json.RawMessage(`{}`)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, e.Data); err != nil {
			return fmt.Errorf("recording %s: %w", e.Type, err)
		}
		e.Data = compact.Bytes()
		tx.events = append(tx.events, e)
	}
	return nil
}

// flush sends the recorded events in one round trip.
func (tx *Tx) flush(ctx context.Context) (err error) {
	if len(tx.events) == 0 {
		return nil
	}
	slices.SortStableFunc(tx.events, func(a, b access.Event) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Version, b.Version))
	})
	var batch pgx.Batch
	for _, e := range tx.events {
		batch.Queue(appendEvent, pgx.NamedArgs{
			"stream": e.Stream, "version": e.Version, "at": tx.Now,
			"type": e.Type, "actor": e.Actor, "data": string(e.Data),
		})
	}
	results := tx.tx.SendBatch(ctx, &batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	for _, e := range tx.events {
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("recording %s on %s: %w", e.Type, e.Stream, err)
		}
	}
	return nil
}
