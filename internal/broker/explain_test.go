package broker

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/engine"
)

func explain(t *testing.T, s *scene, who access.Caller, of string, a access.Ask) (access.Decision, error) {
	t.Helper()
	in := ExplainInput{Ask: a}
	if of != "" {
		id := access.NewPrincipalID(issuer, of)
		in.Subject = &id
	}
	return s.b.Explain(t.Context(), who, in)
}

func TestExplainStoresNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)

	d, err := explain(t, s, s.alice, "", access.Ask{Items: []access.Item{ordersAdmin}, Reason: "why not"})

	require.NoError(t, err)
	require.Equal(t, access.Review, d.Outcome)
	require.Equal(t, access.Seconds(3600), d.Items[0].Offer.Duration, "an hour, for those who do not say")
	require.Equal(t, s.revision, d.PolicyRevision)
	require.Equal(t, []access.Track{{Contract: "changes", Items: []int{0}, DeniesNeeded: 1, Stages: []access.Stage{
		{Name: "owner", Seats: []access.Seat{{From: "group owners", Count: 1, Who: []access.Who{{Group: "owners"}}}}},
	}}}, d.Approvals)
	require.Equal(t, written{Requests: []string{}, Votes: []string{}, Grants: []string{}, Audit: []string{}}, s.wrote(t))
	require.Empty(t, s.rows(t, `select id from core.decision`))
}

func TestExplainIsWhatSubmitDecides(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, item := range []access.Item{ordersRead, ordersAdmin, ledgerAdmin, queueRead, vaultAdmin, nowhere} {
		before, err := explain(t, s, s.audrey, "alice", ask(item))
		require.NoError(t, err)

		out, _ := s.b.Submit(t.Context(), s.alice, ask(item), Key{})

		stored, err := s.b.Decision(t.Context(), s.audrey, out.Request.DecisionID)
		require.NoError(t, err)
		require.Equal(t, out.Request.DecisionID, stored.ID)
		require.Equal(t, out.Request.Hash, stored.RequestHash)
		stored.ID, stored.RequestHash = before.ID, before.RequestHash
		// The subjects differ in what the provider said beside the groups.
		stored.FactsDigest = before.FactsDigest
		require.Equal(t, before, stored)
	}
}

// A resource that alice may not know of reads as one that does not exist.
func TestExplainTellsNoSecrets(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	text := func(who access.Caller, of string, item access.Item) string {
		d, err := explain(t, s, who, of, ask(item))
		require.NoError(t, err)
		b, err := json.Marshal(d)
		require.NoError(t, err)
		return strings.ReplaceAll(string(b), item.Resource, "it")
	}

	require.Equal(t, text(s.alice, "", nowhere), text(s.alice, "", vaultAdmin))
	require.Equal(t, text(s.oprah, "", nowhere), text(s.oprah, "", vaultAdmin), "operators have no say in policy")
	require.NotEqual(t, text(s.audrey, "alice", nowhere), text(s.audrey, "alice", vaultAdmin))
	require.Contains(t, text(s.carol, "alice", vaultAdmin), "group treasurers")
}

func TestExplainAboutOthers(t *testing.T) {
	t.Parallel()
	s := newScene(t)

	_, err := explain(t, s, s.alice, "alan", ask(ordersRead))
	require.True(t, access.IsCode(err, access.Forbidden), err)
	_, err = explain(t, s, s.oprah, "alan", ask(ordersRead))
	require.True(t, access.IsCode(err, access.Forbidden), err)
	_, err = explain(t, s, s.audrey, "nobody", ask(ordersRead))
	require.Equal(t, errNoSubject, access.AsError(err))
	_, err = explain(t, s, s.alice, "alice", ask(ordersRead))
	require.NoError(t, err, "naming oneself is not naming somebody else")
	_, err = explain(t, s, s.alice, "", access.Ask{Items: []access.Item{{Role: "pg/*", Resource: "x"}}})
	require.True(t, access.IsCode(err, access.Invalid), err)

	require.Equal(t, []string{"attempt.refused alice", "attempt.refused oprah"}, s.trail(t))
}

func TestExplainAnExtension(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.submit(t, s.alice, ordersRead).Grants[0]
	_, err := s.b.startGrant(t.Context(), grant.ID)
	require.NoError(t, err)
	longer := access.Ask{Items: []access.Item{ordersRead}, Extends: grant.ID}

	d, err := explain(t, s, s.alice, "", longer)
	require.NoError(t, err)
	require.Equal(t, access.Permit, d.Outcome)
	require.Equal(t, access.Seconds(1800), d.Items[0].Offer.Duration, "what the contract's hour leaves")
	longer.Duration = 1801
	d, err = explain(t, s, s.alice, "", longer)
	require.NoError(t, err)
	require.Equal(t, "Ask for at most 30m more.", d.Reasons[0].Fix)
	_, err = explain(t, s, s.alan, "", longer)
	require.True(t, access.IsCode(err, access.NotFound), "it is not alan's")
	longer.Extends = access.GrantID{1}
	_, err = explain(t, s, s.alan, "", longer)
	require.True(t, access.IsCode(err, access.NotFound), err)
}

func TestDecisionIsSeenByThoseItConcerns(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	req := s.submit(t, s.alice, ordersAdmin)
	whole, err := s.b.Decision(t.Context(), s.audrey, req.DecisionID)
	require.NoError(t, err)

	for _, who := range []access.Caller{s.alice, s.olive, s.oprah} {
		d, err := s.b.Decision(t.Context(), who, req.DecisionID)
		require.NoError(t, err, who.Name)
		require.Equal(t, engine.Redact(whole), d, who.Name)
		require.Equal(t, whole.Approvals, d.Approvals, who.Name)
		view, err := s.b.Request(t.Context(), who, req.ID)
		require.NoError(t, err, who.Name)
		require.Equal(t, d, view.Decision, "%s: the request shows the same", who.Name)
	}
	d, err := s.b.Decision(t.Context(), s.carol, req.DecisionID)
	require.NoError(t, err)
	require.Equal(t, whole, d)
	view, err := s.b.Request(t.Context(), s.carol, req.ID)
	require.NoError(t, err)
	require.Equal(t, whole, view.Decision)
	for _, who := range []access.Caller{s.alan, s.mallory, s.sue} {
		_, err := s.b.Decision(t.Context(), who, req.DecisionID)
		require.Equal(t, errNoDecision, access.AsError(err), who.Name)
	}
	_, err = s.b.Decision(t.Context(), s.alice, access.DecisionID{1})
	require.Equal(t, errNoDecision, access.AsError(err))
}
