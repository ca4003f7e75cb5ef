package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/audit"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// The streams that newRows writes, as different people see them.
func TestEvents(t *testing.T) {
	t.Parallel()
	r := newRows(t)
	request, grant := access.StreamOf(r.request), access.StreamOf(r.grant)
	must(t, r.commit(t, event(access.PrincipalStream(bob), 1)))
	s := r.Store(t)
	list := func(f store.EventFilter) (streams []string) {
		t.Helper()
		f.Limit = 100
		inTx(t, s, func(tx *store.Tx) error {
			rows, err := tx.Events(t.Context(), f)
			must(t, err)
			require.Empty(t, audit.Verify(records(rows)))
			after, err := tx.EventsAfter(t.Context(), store.Mark{}, f)
			must(t, err)
			require.Subset(t, rows, after, "both orders list the same events")
			for _, row := range rows {
				streams = append(streams, row.Stream)
				one, err := tx.Event(t.Context(), row.ID, f.Viewer)
				must(t, err)
				require.Equal(t, row, one)
			}
			return nil
		})
		return streams
	}
	viewer := func(s access.Subject) store.EventFilter { return store.EventFilter{Viewer: &s} }

	own := access.PrincipalStream(bob)
	require.Equal(t, []string{own, grant, request, "policy"}, list(store.EventFilter{}), "newest first")
	require.Equal(t, []string{grant, request}, list(viewer(person(alice))), "the requester")
	require.Equal(t, []string{own, grant, request}, list(viewer(person(bob))), "named by the user")
	require.Equal(t, []string{grant, request}, list(viewer(person("x|carol", "ops"))), "named by a group")
	require.Empty(t, list(viewer(person("x|dave", "other"))))
	require.Empty(t, list(viewer(access.Subject{ID: "x|erin", Groups: []string{"ops"}})), "unknown groups name nobody")
	require.Equal(t, []string{request}, list(store.EventFilter{Streams: []string{request}}))
	require.Empty(t, list(store.EventFilter{Types: []access.EventType{"other.event"}}))
	require.Len(t, list(store.EventFilter{Actor: access.System}), 4)
	require.Empty(t, list(store.EventFilter{Since: noon.AddDate(100, 0, 0)}))
	require.Empty(t, list(store.EventFilter{Until: noon.AddDate(-20, 0, 0)}))

	inTx(t, s, func(tx *store.Tx) error {
		rows, err := tx.Events(t.Context(), store.EventFilter{Limit: 2})
		must(t, err)
		next, err := tx.Events(t.Context(), store.EventFilter{Limit: 2, Before: rows[1].Seq})
		must(t, err)
		require.Equal(t, []string{request, "policy"}, []string{next[0].Stream, next[1].Stream})
		_, err = tx.Event(t.Context(), next[1].ID, &access.Subject{ID: alice})
		require.ErrorIs(t, err, store.ErrNotFound, "of policy, which is not alice's")
		return nil
	})
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	r := newRows(t)
	must(t, r.commit(t, `update core.entitlement set presence = 'absent', version = 1`, event(access.StreamOf(r.ent), 1)))
	must(t, r.commit(t, step(access.OnStart, access.Provisioning), event(access.StreamOf(r.grant), 2)))
	inTx(t, r.Store(t), func(tx *store.Tx) error {
		rows, err := tx.Timeline(t.Context(), r.request, []access.GrantID{r.grant}, tx.Now.AddDate(0, 0, -1))
		must(t, err)
		var streams []string
		for _, row := range rows {
			streams = append(streams, row.Stream)
		}
		require.Equal(t, []string{
			access.StreamOf(r.request), access.StreamOf(r.grant), access.StreamOf(r.ent), access.StreamOf(r.grant),
		}, streams)
		return nil
	})
}
