package broker

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

func TestWhoSeesARequest(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ordersAdmin)
	grant := s.approve(t, req, s.olive).Grants[0].ID
	_, absent := s.b.Request(t.Context(), s.mallory, access.RequestID{1})

	for who, want := range map[string]sight{
		"alice": whole, "olive": whole, "oscar": whole, "audrey": whole,
		"carol": withheld, "oprah": withheld,
		"alan": unseen, "mallory": unseen, "sue": unseen,
	} {
		caller := s.everybody[who]
		view, err := s.b.Request(t.Context(), caller, req.ID)
		list, listErr := s.b.Requests(t.Context(), caller, RequestFilter{})
		events, timelineErr := s.b.Timeline(t.Context(), caller, req.ID)
		require.NoError(t, listErr)
		streams := []string{access.StreamOf(req.ID), access.StreamOf(grant), access.PrincipalStream(caller.ID), access.PolicyStream}
		may, mayErr := s.b.MaySee(t.Context(), caller, append(streams, access.StreamOf(access.GrantID{1}), access.PrincipalStream("else"), "request:x")...)
		require.NoError(t, mayErr)
		require.Equal(t, want != unseen, may[streams[0]], who)
		require.Equal(t, want != unseen, may[streams[1]], who)
		require.Len(t, may, map[bool]int{true: 2, false: 4}[want == unseen], who)
		if want == unseen {
			require.Equal(t, access.AsError(absent), access.AsError(err), "%s: hidden is as absent", who)
			require.Equal(t, access.AsError(absent), access.AsError(timelineErr), who)
			require.Empty(t, list.Items, who)
			continue
		}
		require.NoError(t, err, who)
		require.NoError(t, timelineErr, who)
		require.Len(t, list.Items, 1, who)
		require.Equal(t, view, list.Items[0], "%s: a list shows the same", who)
		require.Len(t, events, 4, who)
		require.Equal(t, want == withheld, view.ReasonHidden, who)
		if want == withheld {
			require.Empty(t, view.Ask.Reason+view.Votes[0].Reason, who)
		} else {
			require.Equal(t, "ticket 42 is on fire because", view.Ask.Reason+" "+view.Votes[0].Reason, who)
		}
	}
}

func TestCan(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ordersAdmin)

	can := func(who access.Caller) map[string]bool {
		view, err := s.b.Request(t.Context(), who, req.ID)
		require.NoError(t, err)
		may := map[string]bool{}
		for _, c := range view.Can {
			require.Equal(t, c.Allowed, c.Why == "", "%s: %q", c.Action, c.Why)
			may[c.Action] = c.Allowed
		}
		return may
	}

	require.Equal(t, map[string]bool{"withdraw": true, "approve": false, "deny": false}, can(s.alice))
	require.Equal(t, map[string]bool{"withdraw": false, "approve": true, "deny": true}, can(s.olive))
	require.Equal(t, map[string]bool{"withdraw": false, "approve": false, "deny": false}, can(s.audrey))
	s.approve(t, req, s.olive)
	require.Equal(t, map[string]bool{"withdraw": false, "approve": false, "deny": false, "extend": false}, can(s.alice))
	_, err := s.b.startGrant(t.Context(), mustView(t, s, req).Grants[0].ID)
	require.NoError(t, err)
	require.True(t, can(s.alice)["extend"])
	require.False(t, can(s.oscar)["extend"])
}

func mustView(t *testing.T, s *scene, req RequestView) RequestView {
	t.Helper()
	view, err := s.b.Request(t.Context(), s.audrey, req.ID)
	require.NoError(t, err)
	return view
}

func TestRequestsFilters(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := s.submit(t, s.alice, ordersAdmin)
	s.clock.pass(time.Hour)
	second := s.submit(t, s.alan, ledgerAdmin)
	s.clock.pass(time.Hour)
	third := s.submit(t, s.alice, ordersRead)
	name := map[access.RequestID]string{first.ID: "first", second.ID: "second", third.ID: "third"}

	for _, tt := range []struct {
		name string
		who  access.Caller
		f    RequestFilter
		want []string
	}{
		{"All", s.audrey, RequestFilter{}, []string{"third", "second", "first"}},
		{"OwnOnly", s.alice, RequestFilter{}, []string{"third", "first"}},
		{"Named", s.olive, RequestFilter{}, []string{"second", "first"}},
		{"State", s.audrey, RequestFilter{States: []access.RequestState{access.Pending}}, []string{"second", "first"}},
		{"Contract", s.audrey, RequestFilter{Contract: "ledger"}, []string{"second"}},
		{"Resource", s.audrey, RequestFilter{Resource: ordersAdmin.Resource}, []string{"third", "first"}},
		{"Requester", s.audrey, RequestFilter{Requester: s.alan.ID}, []string{"second"}},
		{"Me", s.alice, RequestFilter{Requester: "me"}, []string{"third", "first"}},
		{"MeIsNotAnybody", s.audrey, RequestFilter{Requester: "me"}, nil},
		{"Approver", s.sue, RequestFilter{Approver: true}, []string{"second"}},
		{"ApproverIsNotRequester", s.alice, RequestFilter{Approver: true}, nil},
		{"Since", s.audrey, RequestFilter{Since: noon.Add(time.Hour)}, []string{"third", "second"}},
		{"Until", s.audrey, RequestFilter{Until: noon.Add(time.Hour)}, []string{"first"}},
		{"QueryName", s.audrey, RequestFilter{Query: "aLAn"}, []string{"second"}},
		{"QueryRole", s.audrey, RequestFilter{Query: "ADMIN"}, []string{"second", "first"}},
		{"QueryPercentIsNoPattern", s.audrey, RequestFilter{Query: "%"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			page, err := s.b.Requests(t.Context(), tt.who, tt.f)
			require.NoError(t, err)
			var got []string
			for _, v := range page.Items {
				got = append(got, name[v.ID])
			}
			require.Equal(t, tt.want, got)
			require.Empty(t, page.Next)
		})
	}
}

func TestRequestsPages(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var want []int64
	for i := range 7 {
		a := ask(ordersAdmin)
		a.Duration += access.Seconds(i)
		out, err := s.b.Submit(t.Context(), s.alice, a, Key{})
		require.NoError(t, err)
		want = append([]int64{out.Request.Number}, want...)
	}

	walk := func(list func(cursor string) (Page[RequestView], error)) []int64 {
		var got []int64
		for cursor := ""; ; {
			page, err := list(cursor)
			require.NoError(t, err)
			for _, v := range page.Items {
				got = append(got, v.Number)
			}
			if cursor = page.Next; cursor == "" {
				return got
			}
			require.Len(t, page.Items, 3, "no page but the last is short")
		}
	}
	list := func(who access.Caller, cursor string) (Page[RequestView], error) {
		return s.b.Requests(t.Context(), who, RequestFilter{Limit: 3, Cursor: cursor})
	}

	require.Equal(t, want, walk(func(c string) (Page[RequestView], error) { return list(s.alice, c) }))
	require.Equal(t, want, walk(func(c string) (Page[RequestView], error) { return s.b.Approvals(t.Context(), s.olive, 3, c) }))

	page, err := list(s.alice, "")
	require.NoError(t, err)
	for name, try := range map[string]func() error{
		"Tampered":  func() error { _, err := list(s.alice, page.Next+"x"); return err },
		"OfAnother": func() error { _, err := list(s.olive, page.Next); return err },
		"OtherFilter": func() error {
			_, err := s.b.Requests(t.Context(), s.alice, RequestFilter{Limit: 3, Cursor: page.Next, Contract: "x"})
			return err
		},
		"OtherList":     func() error { _, err := s.b.Approvals(t.Context(), s.alice, 3, page.Next); return err },
		"TooManyAtOnce": func() error { _, err := s.b.Requests(t.Context(), s.alice, RequestFilter{Limit: 201}); return err },
	} {
		require.Equal(t, access.Invalid, access.AsError(try()).Code, name)
	}
}

func TestApprovals(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ledgerAdmin)
	inbox := func(who access.Caller) int {
		page, err := s.b.Approvals(t.Context(), who, 0, "")
		require.NoError(t, err)
		return len(page.Items)
	}

	require.Equal(t, 1, inbox(s.olive))
	require.Equal(t, 0, inbox(s.sue), "her stage is not open yet")
	require.Equal(t, 0, inbox(s.alice), "nobody decides their own")
	require.Equal(t, 0, inbox(s.audrey), "seeing is not deciding")
	s.approve(t, req, s.olive, s.oscar)
	require.Equal(t, 0, inbox(s.olive), "voted")
	require.Equal(t, 0, inbox(s.otto), "his seat is filled")
	require.Equal(t, 1, inbox(s.sue))
	s.approve(t, req, s.sue)
	require.Equal(t, 0, inbox(s.sue))
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ordersAdmin, ledgerAdmin)
	s.approve(t, req, s.olive, s.oscar, s.otto, s.sue)
	s.submit(t, s.alan, ordersAdmin) // of no concern

	events, err := s.b.Timeline(t.Context(), s.alice, req.ID)

	require.NoError(t, err)
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprintf("%s %s", e.Type, e.Actor.Subject()))
	}
	require.Equal(t, []string{
		"request.submitted alice", "vote.cast olive", "vote.cast oscar", "vote.cast otto",
		"vote.cast sue", "request.approved sue", "grant.scheduled sue", "grant.scheduled sue",
	}, got)
	for _, e := range events {
		require.NotContains(t, string(e.Entry), "on fire", "free text stays out of the log")
		require.NotContains(t, string(e.Entry), "because")
	}
}

func TestWithdraw(t *testing.T) {
	t.Parallel()

	t.Run("Own", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		req := s.submit(t, s.alice, ordersAdmin)
		view, err := s.b.Withdraw(t.Context(), s.alice, req.ID)
		require.NoError(t, err)
		require.Equal(t, access.Withdrawn, view.State)
		require.Equal(t, noon, view.DecidedAt)
		require.Equal(t, written{
			Requests: []string{"alice withdrawn withdraw 2"}, Votes: []string{}, Grants: []string{},
			Audit: []string{"request.submitted alice", "request.withdrawn alice"},
		}, s.wrote(t))

		_, err = s.b.Withdraw(t.Context(), s.alice, req.ID)
		require.Equal(t, access.StateConflict, access.AsError(err).Code)
		require.Equal(t, string(access.Withdrawn), access.AsError(err).Current)
		_, err = s.vote(t, s.olive, req, access.Approve)
		require.Equal(t, access.StateConflict, access.AsError(err).Code)
	})
	t.Run("OfOthers", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		req := s.submit(t, s.alice, ordersAdmin)
		for who, code := range map[string]access.Code{"olive": access.Forbidden, "oprah": access.Forbidden, "mallory": access.NotFound} {
			_, err := s.b.Withdraw(t.Context(), s.everybody[who], req.ID)
			require.Equal(t, code, access.AsError(err).Code, who)
		}
		require.Equal(t, []string{"alice pending submit 1"}, s.wrote(t).Requests)
		require.Len(t, s.wrote(t).Audit, 4, "three attempts are on record")
	})
	t.Run("Approved", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		req := s.submit(t, s.alice, ordersRead)
		_, err := s.b.Withdraw(t.Context(), s.alice, req.ID)
		require.Equal(t, access.StateConflict, access.AsError(err).Code)
		require.Contains(t, access.AsError(err).Message, "release")
	})
}
