package broker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
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

func TestRelease(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		stop := s.run(t, s.b)
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		pass(poll)
		stop()

		for _, who := range []access.Caller{s.oprah, s.carol, s.audrey} {
			_, err := s.b.Release(t.Context(), who, g.ID, "")
			require.Equal(t, "forbidden", refusedAs(err), "%s", who.Name)
		}
		_, err := s.b.Release(t.Context(), s.mallory, g.ID, "")
		_, nowhere := s.b.Release(t.Context(), s.mallory, access.NewID[access.GrantID](time.Now()), "")
		require.Equal(t, access.AsError(nowhere), access.AsError(err), "a hidden grant is as absent as one that does not exist")
		_, err = s.b.Release(t.Context(), s.alice, g.ID, "hidden \u202e text")
		require.Equal(t, "validation_failed", refusedAs(err))

		view, err := s.b.Release(t.Context(), s.alice, g.ID, "done early")
		require.NoError(t, err)
		require.Equal(t, access.Revoking, view.State)
		require.Equal(t, access.EndByRequester, view.EndReason)
		again, err := s.b.Release(t.Context(), s.alice, g.ID, "done early")
		require.NoError(t, err)
		require.Equal(t, view, again, "a repetition changes nothing")
		require.Empty(t, allowed(view.Can))
		require.Equal(t, []string{"end https://id.example|alice done early"}, s.rows(t, `select kind, author, text from core.grant_note`))

		s.run(t, s.broker(nil))
		pass(time.Second)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
		require.Equal(t, []string{"oprah forbidden", "carol forbidden", "audrey forbidden", "mallory not_found"}, s.rows(t, `
			select split_part(actor, '|', 2), convert_from(entry, 'UTF8')::json->'data'->>'rule'
			from audit.event where event_type = 'attempt.refused' order by seq`))
		require.Empty(t, s.rows(t, `select 1 from audit.event where convert_from(entry, 'UTF8') like '%done early%'`))
	})
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		who    func(s *stage) access.Caller
		reason access.EndReason
		err    string
	}{
		{"Approver", func(s *stage) access.Caller { return s.olive }, access.EndByApprover, ""},
		{"Operator", func(s *stage) access.Caller { return s.oprah }, access.EndByAdmin, ""},
		{"ContractAdmin", func(s *stage) access.Caller { return s.carol }, access.EndByAdmin, ""},
		{"Holder", func(s *stage) access.Caller { return s.alice }, "", "forbidden"},
		{"Auditor", func(s *stage) access.Caller { return s.audrey }, "", "forbidden"},
		{"Stranger", func(s *stage) access.Caller { return s.mallory }, "", "not_found"},
		{"AnotherEngineer", func(s *stage) access.Caller { return s.alan }, "", "not_found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onStage(t, func(t *testing.T, s *stage) {
				s.run(t, s.b)
				req := s.approve(t, s.submit(t, s.alice, ordersAdmin), s.olive)
				pass(poll)
				id := req.Grants[0].ID
				require.Equal(t, access.Active, s.grant(t, id).State)

				_, err := s.b.Revoke(t.Context(), tt.who(s), id, "looks wrong")
				require.Equal(t, tt.err, refusedAs(err))
				pass(poll)
				g := s.grant(t, id)
				require.Equal(t, tt.reason, g.EndReason)
				if tt.err == "" {
					require.Equal(t, access.Ended, g.State)
				} else {
					require.Equal(t, access.Active, g.State)
				}
			})
		})
	}
}

// A grant that has not started is cancelled: there is nothing to remove.
func TestCancelScheduled(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		view, err := s.b.Revoke(t.Context(), s.oprah, g.ID, "")
		require.NoError(t, err)
		require.Equal(t, access.Cancelled, view.State)
		require.Equal(t, access.EndByAdmin, view.EndReason)
		s.run(t, s.b)
		pass(time.Minute)
		require.Empty(t, s.target.Calls())
	})
}

// A grant that nobody could start in its time lapses.
func TestLapse(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		pass(2 * time.Hour)
		s.run(t, s.b)
		pass(time.Second)
		require.Equal(t, access.Lapsed, s.grant(t, g.ID).State)
		require.Empty(t, s.target.Calls())
	})
}

// What cannot be checked waits, and lapses in the end: here the connector has
// left the configuration.
func TestWhatCannotBeCheckedWaits(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		s.run(t, s.broker(func(c *Config) { c.Connectors = nil }))
		pass(time.Hour)
		require.Equal(t, access.Scheduled, s.grant(t, g.ID).State)
		pass(time.Hour)
		require.Equal(t, access.Lapsed, s.grant(t, g.ID).State)
	})
}

// Policy that became stricter stops a grant that has not started (T9).
func TestPolicyCancelsBeforeTheStart(t *testing.T) {
	t.Parallel()
	const freeze = `
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: freeze}
spec:
  match: {resources: [{type: postgres/database, labels: {env: prod}}]}
  deny: {reason: nothing changes in production today}
`
	onStage(t, func(t *testing.T, s *stage) {
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		s.apply(t, reads, changes, elsewhere, freeze)
		s.run(t, s.b)
		pass(time.Second)
		cancelled := s.grant(t, g.ID)
		require.Equal(t, access.Cancelled, cancelled.State)
		require.Equal(t, access.EndByPolicy, cancelled.EndReason)
		require.Empty(t, s.target.Calls())
	})
}

func TestActivate(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		a := ask(ordersRead)
		a.StartAt = time.Now().Add(time.Hour)
		out, err := s.b.Submit(t.Context(), s.alice, a, Key{})
		require.NoError(t, err)
		id := out.Request.Grants[0].ID

		_, err = s.b.Activate(t.Context(), s.alice, id)
		require.Equal(t, &access.Error{
			Code: access.StateConflict, Current: "scheduled",
			Message: "This grant starts by itself at " + stamp(a.StartAt) + ".",
		}, access.AsError(err))
		_, err = s.b.Activate(t.Context(), s.oprah, id)
		require.Equal(t, "forbidden", refusedAs(err))
		require.Equal(t, []string{"release"}, allowed(s.view(t, s.alice, id).Can))

		pass(time.Hour)
		require.Equal(t, []string{"activate", "release"}, allowed(s.view(t, s.alice, id).Can))
		view, err := s.b.Activate(t.Context(), s.alice, id)
		require.NoError(t, err)
		require.Equal(t, access.Provisioning, view.State)
		again, err := s.b.Activate(t.Context(), s.alice, id)
		require.NoError(t, err)
		require.Equal(t, view, again)
		s.run(t, s.b)
		pass(0)
		require.Equal(t, access.Active, s.grant(t, id).State)
		pass(time.Hour)
		_, err = s.b.Activate(t.Context(), s.alice, id)
		require.Equal(t, "state_conflict ended", refusedAs(err))
	})
}

// view is a grant as somebody sees it.
func (s *scene) view(t *testing.T, who access.Caller, id access.GrantID) GrantView {
	t.Helper()
	v, err := s.b.Grant(t.Context(), who, id)
	require.NoError(t, err)
	return v
}

func TestShorten(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		req := s.approve(t, s.submit(t, s.alice, ordersAdmin), s.olive)
		id := req.Grants[0].ID
		_, err := s.b.Shorten(t.Context(), s.alice, id, NewEnd{Duration: 60})
		require.Equal(t, "state_conflict scheduled", refusedAs(err))
		pass(poll)
		g := s.grant(t, id)

		for name, tt := range map[string]struct {
			who access.Caller
			by  NewEnd
			err string
		}{
			"later":          {s.alice, NewEnd{At: g.ExpiresAt.Add(time.Second)}, "state_conflict active"},
			"the same":       {s.alice, NewEnd{At: g.ExpiresAt}, "state_conflict active"},
			"in the past":    {s.alice, NewEnd{At: g.StartedAt}, "validation_failed"},
			"nothing":        {s.alice, NewEnd{}, "validation_failed"},
			"both":           {s.alice, NewEnd{At: g.StartedAt, Duration: 60}, "validation_failed"},
			"negative":       {s.alice, NewEnd{Duration: -1}, "validation_failed"},
			"an operator":    {s.oprah, NewEnd{Duration: 60}, "forbidden"},
			"a stranger":     {s.mallory, NewEnd{Duration: 60}, "not_found"},
			"another worker": {s.alan, NewEnd{Duration: 60}, "not_found"},
		} {
			_, err := s.b.Shorten(t.Context(), tt.who, id, tt.by)
			require.Equal(t, tt.err, refusedAs(err), name)
		}

		view, err := s.b.Shorten(t.Context(), s.olive, id, NewEnd{Duration: 20 * 60})
		require.NoError(t, err)
		require.Equal(t, g.StartedAt.Add(20*time.Minute), view.ExpiresAt)
		pass(poll)
		held := entitlement("target", "alice", "admin_orders")
		require.Equal(t, view.ExpiresAt, s.target.Until(held).UTC(), "the target was told")
		view, err = s.b.Shorten(t.Context(), s.alice, id, NewEnd{At: g.StartedAt.Add(10 * time.Minute)})
		require.NoError(t, err)
		pass(time.Until(view.ExpiresAt))
		ended := s.grant(t, id)
		require.Equal(t, access.Ended, ended.State)
		require.Equal(t, view.ExpiresAt, ended.EndedAt)
		_, err = s.b.Shorten(t.Context(), s.alice, id, NewEnd{Duration: 60})
		require.Equal(t, "state_conflict ended", refusedAs(err))
	})
}

// An extension has a decision and votes of its own (T12); the target learns
// the new end, and the old one takes nothing away.
func TestExtendedGrantOutlivesItsOldEnd(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		req := s.approve(t, s.submit(t, s.alice, ordersAdmin), s.olive)
		pass(poll)
		id := req.Grants[0].ID
		g := s.grant(t, id)
		out, err := s.b.Extend(t.Context(), s.alice, id, 30*60, "not done yet", "", Key{})
		require.NoError(t, err)
		require.Equal(t, g.ExpiresAt, s.grant(t, id).ExpiresAt, "nothing moves before the votes")
		s.approve(t, out.Request, s.olive)
		require.Equal(t, g.ExpiresAt.Add(30*time.Minute), s.grant(t, id).ExpiresAt)

		pass(time.Until(g.ExpiresAt) + time.Minute)
		held := entitlement("target", "alice", "admin_orders")
		require.Equal(t, access.Active, s.grant(t, id).State)
		require.Equal(t, g.ExpiresAt.Add(30*time.Minute), s.target.Until(held).UTC())
		pass(30 * time.Minute)
		require.Equal(t, access.Ended, s.grant(t, id).State)
		require.Len(t, s.target.Calls(fake.Remove), 1)
	})
}

func TestCredentialsAreHandedOverOnce(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		_, err := s.b.Credentials(t.Context(), s.alice, g.ID)
		require.Equal(t, "state_conflict scheduled", refusedAs(err))
		pass(poll)
		for _, who := range []access.Caller{s.oprah, s.carol, s.audrey} {
			_, err = s.b.Credentials(t.Context(), who, g.ID)
			require.Equal(t, "forbidden", refusedAs(err), who.Name)
		}
		_, err = s.b.Credentials(t.Context(), s.mallory, g.ID)
		require.Equal(t, "not_found", refusedAs(err))

		s.target.Plan(fake.Fail.For(fake.Credential))
		_, err = s.b.Credentials(t.Context(), s.alice, g.ID)
		require.Equal(t, "upstream_failed", refusedAs(err))
		require.True(t, errors.Is(err, connector.ErrRefused))

		got, err := s.b.Credentials(t.Context(), s.alice, g.ID)
		require.NoError(t, err, "a failure takes nothing away")
		until := s.grant(t, g.ID).ExpiresAt
		require.Equal(t, connector.Credential{Username: "alice", Password: "password of alice", Until: until}, got)
		_, err = s.b.Credentials(t.Context(), s.alice, g.ID)
		require.Equal(t, "state_conflict active", refusedAs(err))
		require.Equal(t, time.Now().UTC().Truncate(time.Microsecond), s.grant(t, g.ID).CredentialsIssuedAt)

		require.Equal(t, []string{"ensure succeeded", "credential failed", "credential succeeded"},
			s.rows(t, `select kind, outcome from core.operation order by fence`))
		require.Empty(t, s.rows(t, `select 1 from audit.event where convert_from(entry, 'UTF8') like '%password%'`))
		require.Equal(t, []string{"alice alice"}, s.rows(t, `select split_part(actor, '|', 2), convert_from(entry, 'UTF8')::json->'data'->>'account'
			from audit.event where event_type = 'grant.credentials_issued'`))
		pass(10 * time.Minute)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
	})
}

// The grant ends while its credentials are made: nothing is handed over, and
// the removal waits for the call.
func TestCredentialsOfAGrantThatEndsMeanwhile(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		pass(poll)
		release := s.target.Hang()
		var err error
		var done sync.WaitGroup
		done.Go(func() { _, err = s.b.Credentials(t.Context(), s.alice, g.ID) })
		pass(time.Second)
		require.Equal(t, []string{"credential open"}, s.rows(t, `select kind, outcome from core.operation order by fence desc limit 1`), "on record before the call")
		_, revokeErr := s.b.Revoke(t.Context(), s.oprah, g.ID, "")
		require.NoError(t, revokeErr)
		pass(2 * time.Second)
		require.Empty(t, s.target.Calls(fake.Remove))
		release()
		done.Wait()
		require.Equal(t, "state_conflict revoking", refusedAs(err))
		pass(poll)
		require.Equal(t, access.Ended, s.grant(t, g.ID).State)
		require.True(t, s.grant(t, g.ID).CredentialsIssuedAt.IsZero())
	})
}

// T11: for a target that will never answer again.
func TestAttest(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.run(t, s.b)
		other := s.person(t, "otis")
		other.Roles = []access.AppRole{access.Operator}
		both := s.person(t, "both")
		both.Roles = []access.AppRole{access.Operator, access.ContractAdmin}
		g := s.hold(t, s.alice, ordersRead, 2*time.Minute)
		pass(poll)
		attest := func(who access.Caller, evidence string) string {
			_, err := s.b.Attest(t.Context(), who, g.ID, evidence)
			return refusedAs(err)
		}
		require.Equal(t, "state_conflict active", attest(s.oprah, "it is gone"))
		s.target.SetDown(true)
		pass(30 * time.Minute)
		require.Equal(t, "state_conflict revoking", attest(s.oprah, "it is gone"), "too early")
		pass(time.Hour)
		require.Equal(t, "validation_failed", attest(s.oprah, "  "))
		require.Equal(t, "forbidden", attest(s.audrey, "it is gone"))
		holder := s.alice
		holder.Roles = []access.AppRole{access.Operator}
		require.Equal(t, "forbidden", attest(holder, "it is gone"))

		require.Empty(t, attest(s.oprah, "the machine was scrapped"))
		view := s.grant(t, g.ID)
		require.Equal(t, access.Revoking, view.State, "one signature is not enough")
		require.Equal(t, []access.PrincipalID{s.oprah.ID}, view.Attested)
		require.Equal(t, "state_conflict revoking", attest(s.oprah, "again"))
		require.Equal(t, "state_conflict revoking", attest(other, "me too"), "two of one role")
		require.Empty(t, attest(both, "I saw the shredder"))
		view = s.grant(t, g.ID)
		require.Equal(t, access.Ended, view.State)
		require.Equal(t, access.EndAttested, view.EndReason)
		require.Equal(t, []string{"2"}, s.rows(t, `select json_array_length(convert_from(entry, 'UTF8')::json->'data'->'attested_by')
			from audit.event where event_type = 'grant.ended'`))
		require.Empty(t, s.rows(t, `select 1 from audit.event where convert_from(entry, 'UTF8') ~ 'scrapped|shredder'`))

		calls := len(s.target.Calls(fake.Remove))
		pass(time.Hour)
		require.Greater(t, len(s.target.Calls(fake.Remove)), calls, "removal is tried all the same")
		s.target.SetDown(false)
		pass(10 * time.Minute)
		require.False(t, s.target.Holds(aliceReads))
	})
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
		req, err := s.b.Request(t.Context(), s.alice, s.grantRequest(t))
		require.NoError(t, err)
		g := req.Grants[0]
		g.ID, g.Holder = access.NewID[access.GrantID](tx.Now), twin.ID
		return tx.InsertGrant(t.Context(), g, []access.EntitlementKey{aliceReads})
	})
	require.Equal(t, "state_conflict", refusedAs(err))
}

func (s *scene) grantRequest(t *testing.T) (id access.RequestID) {
	t.Helper()
	require.NoError(t, s.admin.QueryRow(t.Context(), `select request_id from core.grant limit 1`).Scan(&id))
	return id
}

// Whatever is done to a grant at once, it comes to one end, and the access
// with it.
func TestRaces(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	run := s.b
	run.poll = 20 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	var loops sync.WaitGroup
	loops.Go(func() { _ = run.Run(ctx, nil) })
	defer loops.Wait()
	defer stop()

	const rounds = 12
	for range rounds {
		req := s.approve(t, s.submit(t, s.alice, ordersAdmin), s.olive)
		id := req.Grants[0].ID
		require.Eventually(t, func() bool { return s.grant(t, id).State == access.Active }, 10*time.Second, 5*time.Millisecond)
		extension, err := s.b.Extend(t.Context(), s.alice, id, 60, "a little more", "", Key{})
		require.NoError(t, err)
		errs := make([]error, 5)
		var racers sync.WaitGroup
		for i, act := range []func() error{
			func() error { _, err := s.b.Release(t.Context(), s.alice, id, "mine"); return err },
			func() error { _, err := s.b.Revoke(t.Context(), s.oprah, id, "ours"); return err },
			func() error { _, err := s.vote(t, s.olive, extension.Request, access.Approve); return err },
			func() error { _, err := s.b.Shorten(t.Context(), s.alice, id, NewEnd{Duration: 5 * 60}); return err },
			func() error { s.clock.pass(time.Hour); return s.b.expireGrants(t.Context()) },
		} {
			racers.Go(func() { errs[i] = act() })
		}
		racers.Wait()
		for i, err := range errs {
			if err != nil {
				require.Contains(t, []access.Code{access.StateConflict, access.Invalid, access.NotAnApprover}, access.AsError(err).Code, "racer %d: %v", i, err)
			}
		}
		require.Eventually(t, func() bool { return s.grant(t, id).State == access.Ended }, 10*time.Second, 5*time.Millisecond)
		require.Empty(t, s.target.Held())
	}
	s.verifyAudit(t)
	invariants(t, s.admin)
}
