package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/audit"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// streamsOf gives the streams of a list, in its order.
func streamsOf(rows []store.EventRow) []string {
	streams := []string{}
	for _, row := range rows {
		streams = append(streams, row.Stream)
	}
	return streams
}

// The auditor reads the whole log; everybody else the streams of what is
// theirs, or names them, and of themselves. Nobody is told what else exists.
func TestAuditEventsVisibility(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	mine := s.submit(t, s.alice, ordersRead)   // given at once
	waits := s.submit(t, s.alice, ordersAdmin) // owners decide
	list := func(who access.Caller, f EventFilter) []store.EventRow {
		t.Helper()
		f.Limit = 200
		page, err := s.b.AuditEvents(t.Context(), who, f)
		require.NoError(t, err)
		require.Empty(t, page.Next)
		return page.Items
	}

	all := list(s.audrey, EventFilter{})
	require.Empty(t, audit.Verify(recordsOf(all)))
	require.Contains(t, streamsOf(all), access.PolicyStream)
	require.Contains(t, streamsOf(all), access.PrincipalStream(s.mallory.ID))

	request, asked := access.StreamOf(mine.ID), access.StreamOf(waits.ID)
	given := access.StreamOf(mine.Grants[0].ID)
	own := access.PrincipalStream(s.alice.ID)
	require.ElementsMatch(t, []string{own, request, given, asked}, streamsOf(list(s.alice, EventFilter{})))
	require.ElementsMatch(t, []string{access.PrincipalStream(s.olive.ID), asked}, streamsOf(list(s.olive, EventFilter{})))
	for _, who := range []access.Caller{s.mallory, s.carol, s.oprah} {
		require.NotContains(t, streamsOf(list(who, EventFilter{})), asked, who.ID)
		require.Empty(t, list(who, EventFilter{Stream: asked}), who.ID)
	}
	require.Equal(t, []string{asked}, streamsOf(list(s.alice, EventFilter{Stream: asked})))
	require.Equal(t, []string{given}, streamsOf(list(s.audrey, EventFilter{Type: access.GrantScheduled})))

	for _, row := range all {
		got, err := s.b.AuditEvent(t.Context(), s.audrey, row.ID)
		require.NoError(t, err)
		require.Equal(t, row, got)
		_, err = s.b.AuditEvent(t.Context(), s.alice, row.ID)
		switch row.Stream {
		case own, request, given, asked:
			require.NoError(t, err)
		default:
			require.ErrorIs(t, err, errNoEvent)
			_, err = s.b.AuditEvents(t.Context(), s.alice, EventFilter{After: &row.ID})
			require.ErrorIs(t, err, errNoEvent, "nor as a place to go on from")
		}
	}
	_, err := s.b.AuditEvent(t.Context(), s.audrey, access.EventID{1})
	require.ErrorIs(t, err, errNoEvent)
}

// Pages follow each other without a gap in both directions, and cursors are
// for the list and the caller that they were given to.
func TestAuditEventsPages(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.submit(t, s.alice, ordersRead)
	pages := func(f EventFilter) (rows []store.EventRow) {
		t.Helper()
		f.Limit = 3
		for {
			page, err := s.b.AuditEvents(t.Context(), s.audrey, f)
			require.NoError(t, err)
			rows = append(rows, page.Items...)
			if f.Cursor = page.Next; f.Cursor == "" {
				return rows
			}
			require.Len(t, page.Items, 3)
		}
	}
	newest := pages(EventFilter{})
	require.Greater(t, len(newest), 6)
	require.Empty(t, audit.Verify(recordsOf(newest)))
	var oldest []store.EventRow
	require.Eventually(t, func() bool { // transactions in other databases of the server hold events back
		oldest = pages(EventFilter{After: &access.EventID{}})
		return len(oldest) == len(newest)
	}, time.Minute, 10*time.Millisecond)
	require.ElementsMatch(t, newest, oldest)
	require.Equal(t, oldest[5:], pages(EventFilter{After: &oldest[4].ID}))

	page, err := s.b.AuditEvents(t.Context(), s.audrey, EventFilter{Limit: 3})
	require.NoError(t, err)
	for _, wrong := range []struct {
		who access.Caller
		f   EventFilter
	}{
		{s.carol, EventFilter{Cursor: page.Next}},
		{s.audrey, EventFilter{Cursor: page.Next, Stream: "policy"}},
		{s.audrey, EventFilter{Cursor: page.Next + "x"}},
		{s.audrey, EventFilter{Limit: 201}},
		{s.audrey, EventFilter{Limit: -1}},
	} {
		_, err := s.b.AuditEvents(t.Context(), wrong.who, wrong.f)
		require.Equal(t, access.Invalid, access.AsError(err).Code, wrong.f)
	}
}

func recordsOf(rows []store.EventRow) []audit.Record {
	all := make([]audit.Record, len(rows))
	for i, row := range rows {
		all[i] = row.Record
	}
	return all
}
