package httpapi

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/rampkeeper/rampkeeper/api"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// event shows an entry of the audit log.
func event(row store.EventRow) (api.Event, error) {
	entry, err := row.Decode()
	if err != nil {
		return api.Event{}, fmt.Errorf("reading event %s: %w", row.ID, err)
	}
	shown := api.Event{
		ID: row.ID, Index: row.Seq, Stream: entry.Stream, Version: entry.Version, Type: string(entry.Type), Actor: string(entry.Actor), ActorName: row.ActorName,
		At: entry.At, RecordedAt: entry.RecordedAt, Xid: strconv.FormatUint(entry.XID, 10), DBUser: entry.DBUser,
		Hash: hex.EncodeToString(row.LeafHash), PreviousHash: hex.EncodeToString(entry.PrevHash), Data: map[string]any{},
	}
	if len(entry.Data) > 0 {
		if err := json.Unmarshal(entry.Data, &shown.Data); err != nil {
			return api.Event{}, fmt.Errorf("reading the data of event %s: %w", row.ID, err)
		}
	}
	return shown, nil
}

func events(rows []store.EventRow) ([]api.Event, error) {
	out := make([]api.Event, 0, len(rows))
	for _, row := range rows {
		shown, err := event(row)
		if err != nil {
			return nil, err
		}
		out = append(out, shown)
	}
	return out, nil
}
