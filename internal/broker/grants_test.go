package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// allowed gives the actions that a view offers.
func allowed(can []Can) []string {
	actions := []string{}
	for _, c := range can {
		if c.Allowed {
			actions = append(actions, c.Action)
		}
	}
	return actions
}

// refusedAs is an error's code and, for a conflict, the state it met.
func refusedAs(err error) string {
	if err == nil {
		return ""
	}
	e := access.AsError(err)
	if e.Current != "" {
		return string(e.Code) + " " + e.Current
	}
	return string(e.Code)
}

// view is a grant as somebody sees it.
func (s *scene) view(t *testing.T, who access.Caller, id access.GrantID) GrantView {
	t.Helper()
	v, err := s.b.Grant(t.Context(), who, id)
	require.NoError(t, err)
	return v
}

func TestGrantsList(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ids := func(p Page[GrantView]) (list []access.GrantID) {
		for _, g := range p.Items {
			list = append(list, g.ID)
		}
		return list
	}
	list := func(who access.Caller, f GrantFilter) Page[GrantView] {
		t.Helper()
		page, err := s.b.Grants(t.Context(), who, f)
		require.NoError(t, err)
		return page
	}
	first := s.hold(t, s.alice, ordersRead, 10*time.Minute)
	s.clock.pass(time.Second)
	second := s.approve(t, s.submit(t, s.alan, ordersAdmin), s.olive).Grants[0]
	s.clock.pass(time.Second)
	third := s.hold(t, s.alice, ordersRead, 20*time.Minute)
	_, err := s.b.Release(t.Context(), s.alice, third.ID, "")
	require.NoError(t, err)

	require.Equal(t, []access.GrantID{third.ID, second.ID, first.ID}, ids(list(s.audrey, GrantFilter{})))
	require.Equal(t, []access.GrantID{third.ID, first.ID}, ids(list(s.alice, GrantFilter{})))
	require.Equal(t, []access.GrantID{second.ID}, ids(list(s.olive, GrantFilter{})), "those that name her")
	require.Empty(t, ids(list(s.mallory, GrantFilter{})))
	for name, tt := range map[string]struct {
		f    GrantFilter
		want []access.GrantID
	}{
		"state":    {GrantFilter{States: []access.GrantState{access.Cancelled, access.Ended}}, []access.GrantID{third.ID}},
		"contract": {GrantFilter{Contract: "changes"}, []access.GrantID{second.ID}},
		"resource": {GrantFilter{Resource: ordersAdmin.Resource}, []access.GrantID{third.ID, second.ID, first.ID}},
		"holder":   {GrantFilter{Holder: s.alan.ID}, []access.GrantID{second.ID}},
		"me":       {GrantFilter{Holder: "me"}, nil},
		"since":    {GrantFilter{Since: second.CreatedAt}, []access.GrantID{third.ID, second.ID}},
		"role":     {GrantFilter{Query: "ADMIN"}, []access.GrantID{second.ID}},
		"person":   {GrantFilter{Query: "alic"}, []access.GrantID{third.ID, first.ID}},
		"wildcard": {GrantFilter{Query: "%"}, nil},
	} {
		require.Equal(t, tt.want, ids(list(s.audrey, tt.f)), name)
	}

	page := list(s.audrey, GrantFilter{Limit: 2})
	require.Equal(t, []access.GrantID{third.ID, second.ID}, ids(page))
	rest := list(s.audrey, GrantFilter{Limit: 2, Cursor: page.Next})
	require.Equal(t, []access.GrantID{first.ID}, ids(rest))
	require.Empty(t, rest.Next)
	for name, f := range map[string]GrantFilter{
		"tampered":      {Cursor: page.Next + "A"},
		"other filters": {Cursor: page.Next, Contract: "changes"},
		"limit":         {Limit: 201},
	} {
		_, err := s.b.Grants(t.Context(), s.audrey, f)
		require.Equal(t, "validation_failed", refusedAs(err), name)
	}
	_, err = s.b.Grants(t.Context(), s.carol, GrantFilter{Limit: 2, Cursor: page.Next})
	require.Equal(t, "validation_failed", refusedAs(err), "a cursor is the caller's own")
}

// An account on a target that serves one person never serves another.
func TestAccountNeverServesTwo(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.hold(t, s.alice, ordersRead, 10*time.Minute)
	twin := s.person(t, "alice2", "engineers")
	twin.Username = "alice"
	err := s.b.store.InTx(t.Context(), func(tx *store.Tx) error {
		return tx.InsertEntitlements(t.Context(), twin.ID, []access.EntitlementKey{aliceReads})
	})
	require.Equal(t, "state_conflict", refusedAs(err))
}
