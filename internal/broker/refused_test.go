package broker

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// Whoever names an object that they may not know of hears, and leaves behind,
// exactly what they would if it did not exist; only the auditor sees which.
func TestHiddenIsAsAbsent(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.approve(t, s.submit(t, s.alice, ordersAdmin), s.olive)
	who, ctx := s.mallory, t.Context()
	ballot := Ballot{Decision: access.Approve, RequestHash: req.Hash}
	grant := func(do func(id access.GrantID) error) [2]error {
		return [2]error{do(req.Grants[0].ID), do(access.GrantID{1})}
	}
	request := func(do func(id access.RequestID) error) [2]error {
		return [2]error{do(req.ID), do(access.RequestID{1})}
	}

	// own is what the caller may read of the log, and how many events were
	// numbered meanwhile.
	own := func() ([]store.EventRow, string) {
		page, err := s.b.AuditEvents(ctx, who, EventFilter{})
		require.NoError(t, err)
		return page.Items, s.rows(t, `select last_value from audit.event_seq_seq`)[0]
	}
	for name, try := range map[string]func() [2]error{
		"grant": func() [2]error {
			return grant(func(id access.GrantID) error { _, err := s.b.Grant(ctx, who, id); return err })
		},
		"release": func() [2]error {
			return grant(func(id access.GrantID) error { _, err := s.b.Release(ctx, who, id, ""); return err })
		},
		"credentials": func() [2]error {
			return grant(func(id access.GrantID) error { _, err := s.b.Credentials(ctx, who, id); return err })
		},
		"extend": func() [2]error {
			return grant(func(id access.GrantID) error { _, err := s.b.Extend(ctx, who, id, 60, "", "", Key{}); return err })
		},
		"request": func() [2]error {
			return request(func(id access.RequestID) error { _, err := s.b.Request(ctx, who, id); return err })
		},
		"timeline": func() [2]error {
			return request(func(id access.RequestID) error { _, err := s.b.Timeline(ctx, who, id); return err })
		},
		"withdraw": func() [2]error {
			return request(func(id access.RequestID) error { _, err := s.b.Withdraw(ctx, who, id); return err })
		},
		"vote": func() [2]error {
			return request(func(id access.RequestID) error { _, _, err := s.b.Vote(ctx, who, id, ballot, Key{}); return err })
		},
		"decision": func() [2]error {
			_, hidden := s.b.Decision(ctx, who, req.Decision.ID)
			_, absent := s.b.Decision(ctx, who, access.DecisionID{1})
			return [2]error{hidden, absent}
		},
		"contract": func() [2]error {
			_, hidden := s.b.Contract(ctx, who, "vaults")
			_, absent := s.b.Contract(ctx, who, "nothing")
			return [2]error{hidden, absent}
		},
	} {
		before, first := own()
		errs := try()
		after, last := own()
		require.Equal(t, access.NotFound, access.AsError(errs[0]).Code, name)
		require.Equal(t, access.AsError(errs[1]), access.AsError(errs[0]), name)
		require.Equal(t, before, after, name)
		var from, to int
		_, err := fmt.Sscan(first+" "+last, &from, &to)
		require.NoError(t, err)
		require.Equal(t, 2, to-from, "%s: one event for each", name)
	}

	page, err := s.b.AuditEvents(ctx, s.audrey, EventFilter{Stream: access.AttemptStream(who.ID), Limit: 100})
	require.NoError(t, err)
	require.Len(t, page.Items, 20, "the auditor sees them")
	s.verifyAudit(t)
}
