package broker

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

func TestSubmit(t *testing.T) {
	t.Parallel()

	type outcome struct {
		Request string // requester, state, trigger, version
		Grants  []string
		Audit   []string
		Code    access.Code
		Reasons []access.ReasonCode
	}
	for _, tt := range []struct {
		name string
		who  string
		ask  access.Ask
		want outcome
	}{
		{"Permitted", "alice", ask(ordersRead), outcome{
			Request: "alice approved submit 1",
			Grants:  []string{"0 scheduled pg/readonly reads"},
			Audit:   []string{"grant.scheduled alice", "request.approved alice"},
		}},
		{"NeedsReview", "alice", ask(ordersAdmin), outcome{
			Request: "alice pending submit 1",
			Audit:   []string{"request.submitted alice"},
		}},
		{"PermittedWithReviewedWaits", "alice", ask(ordersRead, ordersAdmin), outcome{
			Request: "alice pending submit 1",
			Audit:   []string{"request.submitted alice"},
		}},
		{"NotEligible", "mallory", ask(ordersRead), outcome{
			Request: "mallory refused submit 1",
			Audit:   []string{"request.refused mallory"},
			Code:    access.PolicyRefused, Reasons: []access.ReasonCode{access.NoContract},
		}},
		{"UnknownResource", "alice", ask(nowhere), outcome{
			Request: "alice refused submit 1",
			Audit:   []string{"request.refused alice"},
			Code:    access.PolicyRefused, Reasons: []access.ReasonCode{access.NoContract},
		}},
		{"TooLong", "alice", access.Ask{Items: []access.Item{ordersRead}, Duration: 3601}, outcome{
			Request: "alice refused submit 1",
			Audit:   []string{"request.refused alice"},
			Code:    access.PolicyRefused, Reasons: []access.ReasonCode{access.DurationTooLong},
		}},
		{"OneRefusedItemRefusesAll", "alice", ask(ordersRead, vaultAdmin), outcome{
			Request: "alice refused submit 1",
			Audit:   []string{"request.refused alice"},
			Code:    access.PolicyRefused, Reasons: []access.ReasonCode{access.NoContract},
		}},
		{"Malformed", "alice", access.Ask{Items: []access.Item{ordersRead}, Duration: 0}, outcome{Code: access.Invalid}},
		{"HiddenText", "alice", access.Ask{Items: []access.Item{ordersRead}, Duration: 60, Reason: "a\u202eb"}, outcome{Code: access.Invalid}},
		{"InThePast", "alice", access.Ask{Items: []access.Item{ordersRead}, Duration: 60, StartAt: noon.Add(-time.Hour)}, outcome{Code: access.Invalid}},
		{"ExtendsSomething", "alice", access.Ask{Items: []access.Item{ordersRead}, Duration: 60, Extends: access.GrantID{1}}, outcome{Code: access.Invalid}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)

			out, err := s.b.Submit(t.Context(), s.everybody[tt.who], tt.ask, Key{})

			got := outcome{}
			if err != nil {
				e := access.AsError(err)
				got.Code = e.Code
				for _, r := range e.Reasons {
					got.Reasons = append(got.Reasons, r.Code)
				}
			}
			wrote := s.wrote(t)
			if len(wrote.Requests) > 0 {
				got.Request = wrote.Requests[0]
				require.Len(t, wrote.Requests, 1)
				require.Equal(t, out.Request.State, s.state(t, out.Request.ID))
			}
			if len(wrote.Grants) > 0 {
				got.Grants = wrote.Grants
			}
			if len(wrote.Audit) > 0 {
				got.Audit = wrote.Audit
			}
			require.Equal(t, tt.want, got)
			require.Empty(t, wrote.Votes)
		})
	}
}

func TestSubmitWritesTheClocksOfTheGrant(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	later := ask(ordersRead)
	later.StartAt = noon.Add(time.Hour)

	out, err := s.b.Submit(t.Context(), s.alice, later, Key{})
	require.NoError(t, err)

	require.Len(t, out.Request.Grants, 1)
	g := out.Request.Grants[0]
	require.Equal(t, access.Grant{
		ID: g.ID, RequestID: out.Request.ID, Item: 0, Holder: s.alice.ID, Role: "pg/readonly", Resource: ordersRead.Resource,
		Contract: "reads", Connector: "target", State: access.Scheduled, Duration: 1800, MaxTotal: 3600,
		StartAt: noon.Add(time.Hour), StartBy: noon.Add(3 * time.Hour), ExpiresAt: noon.Add(3*time.Hour + 30*time.Minute),
		ExpiryClass: access.ExpiryReaper, Residual: g.Residual, Version: 1, CreatedAt: noon,
	}, g)
	require.Equal(t, []string{"target alice ro_orders unknown"},
		s.rows(t, `select connector, account, permission, presence from core.entitlement`))
	require.Equal(t, []string{"target alice " + string(s.alice.ID)},
		s.rows(t, `select connector, account, principal from core.account`))
}

func TestRefusalSaysNothingOfHiddenResources(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	refusalOf := func(item access.Item) access.Error {
		_, err := s.b.Submit(t.Context(), s.alice, ask(item), Key{})
		e := *access.AsError(err)
		e.DecisionID = access.DecisionID{}
		for i := range e.Reasons {
			e.Reasons[i].Message = ""
		}
		return e
	}

	require.Equal(t, refusalOf(nowhere), refusalOf(vaultAdmin), "absent and hidden read the same")
	require.Equal(t, []string{"refuse", "refuse"}, s.rows(t, `select outcome from core.decision`), "auditors find both")
}

func TestOneAccountNeverServesTwo(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.submit(t, s.alice, ordersRead)
	twin := s.alan
	twin.Username = "alice" // the target would know both by the same name

	out, err := s.b.Submit(t.Context(), twin, ask(ordersRead), Key{})

	require.Equal(t, access.PolicyRefused, access.AsError(err).Code)
	require.Equal(t, access.FactUnavailable, out.Request.Decision.Reasons[0].Code)
	require.Len(t, s.wrote(t).Grants, 1)
}

func TestDryRunStoresNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for item, want := range map[access.Item]access.Outcome{ordersRead: access.Permit, ordersAdmin: access.Review, vaultAdmin: access.Refuse} {
		d, err := s.b.DryRun(t.Context(), s.alice, ask(item))
		require.NoError(t, err)
		require.Equal(t, want, d.Outcome)
	}
	require.Equal(t, written{Requests: []string{}, Votes: []string{}, Grants: []string{}, Audit: []string{}}, s.wrote(t))
}

func TestStoredDecisionReplays(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ordersRead, ledgerAdmin)

	require.NoError(t, s.b.store.InTx(t.Context(), func(tx *store.Tx) error {
		row, err := tx.DecisionRow(t.Context(), req.DecisionID)
		require.NoError(t, err)
		var facts engine.Facts
		require.NoError(t, json.Unmarshal(row.Facts, &facts))
		ix, err := s.b.policyOf(t.Context(), tx, row.Decision.PolicyRevision)
		require.NoError(t, err)

		again := engine.Evaluate(ix, req.Ask, req.Hash, facts)

		again.ID = row.Decision.ID
		body, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(row.Body), string(body), "byte for byte")
		require.Equal(t, facts.Digest(), again.FactsDigest)
		require.Equal(t, req.Hash, access.HashRequest(req.ID, req.Request.Requester, req.Ask, req.ReasonSalt), "what was stored is what was hashed")
		return nil
	}))
}

// TestDigestsCannotBeGuessed: all that goes into the facts of a resource that
// does not exist is known to who asks for it.
func TestDigestsCannotBeGuessed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	out, err := s.b.Submit(t.Context(), s.alice, ask(nowhere), Key{})
	require.Error(t, err)
	guess := engine.Facts{Now: noon, Subject: s.alice.Subject, Accounts: map[string]string{}}

	events, err := s.b.Timeline(t.Context(), s.alice, out.Request.ID)

	require.NoError(t, err)
	require.Len(t, events, 1)
	require.NotContains(t, string(events[0].Entry), string(guess.Digest()))
}

func TestSubmitBeforeAnyPolicy(t *testing.T) {
	t.Parallel()
	s := &scene{db: pgtest.New(t), clock: &clock{now: noon}, everybody: map[string]access.Caller{}}
	s.b = New(Config{Store: s.db.Store(t, store.WithClock(s.clock.Now)), Issuer: issuer})

	_, err := s.b.Submit(t.Context(), s.person(t, "alice"), ask(ordersRead), Key{})

	require.Equal(t, access.NotReady, access.AsError(err).Code)
}
