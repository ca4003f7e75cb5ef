package broker

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
)

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
		require.Equal(t, []string{"oprah forbidden", "carol forbidden", "audrey forbidden", "mallory not_found", "mallory not_found"}, s.rows(t, `
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
	require.Equal(t, []string{"0"}, s.rows(t, `select deadlocks from pg_stat_database where datname = current_database()`), "everybody locks in one order")
	s.verifyAudit(t)
	invariants(t, s.admin)
}
