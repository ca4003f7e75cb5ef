package broker

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/pgtest"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

func policy(documents ...string) []contract.File {
	return []contract.File{{Name: "policy.yaml", Data: []byte(strings.Join(append([]string{catalogue}, documents...), "\n---\n"))}}
}

// policyRows is every table that an apply writes.
func (s *scene) policyRows(t *testing.T) []string {
	t.Helper()
	return s.rows(t, `
		select 'in force', revision::text, '', '' from core.policy
		union all select 'revision', revision::text, split_part(author, '|', 2), note from core.policy_revision
		union all select 'member', revision::text, kind, name from core.policy_member where kind = 'Contract'
		union all select 'documents', count(*)::text, '', '' from core.policy_document
		union all select 'event', version::text, event_type, split_part(actor, '|', 2) from audit.event where stream = 'policy'
		order by 1, 2, 3, 4`)
}

func (s *scene) index(t *testing.T, b *Broker) *contract.Index {
	t.Helper()
	var ix *contract.Index
	require.NoError(t, b.store.InTx(t.Context(), func(tx *store.Tx) (err error) {
		ix, err = b.inPolicy(t.Context(), tx)
		return err
	}))
	return ix
}

func TestApplyPolicy(t *testing.T) {
	t.Parallel()
	s := newEmptyScene(t)
	one, two := int64(1), int64(2)

	t.Log("before the first apply nothing is permitted")
	require.Equal(t, int64(0), s.index(t, s.b).Revision)
	require.Nil(t, s.index(t, s.b).Contracts(ordersRead.Role, ordersRead.Resource))

	first, err := s.b.ApplyPolicy(t.Context(), s.carol, Apply{Files: policy(reads, changes), Note: "the first"})
	require.NoError(t, err)
	require.Equal(t, int64(1), first.Revision)
	require.True(t, first.Changed)
	require.Len(t, first.Diff.Added, 8)
	require.Empty(t, append(first.Diff.Modified, first.Diff.Removed...))
	require.Empty(t, first.Warnings)
	after := []string{
		"documents 8  ",
		"event 1 policy.applied carol",
		"in force 1  ",
		"member 1 Contract changes", "member 1 Contract reads",
		"revision 1 carol the first",
	}
	require.Equal(t, after, s.policyRows(t))

	t.Log("the same set again, in another order and with a stale If-Match, changes nothing")
	for _, match := range []*int64{nil, &one, &two} {
		again, err := s.b.ApplyPolicy(t.Context(), s.carol, Apply{Files: policy(changes, "# a comment\n"+reads), IfMatch: match, Note: "again"})
		require.NoError(t, err)
		require.Equal(t, Applied{Revision: 1, Digest: first.Digest, Diff: PolicyDiff{Revision: 1}}, again)
	}
	require.Equal(t, after, s.policyRows(t))

	t.Log("what is left out has to be pruned")
	shorter := replace(t, reads, "max: 1h", "max: 30m")
	_, err = s.b.ApplyPolicy(t.Context(), s.carol, Apply{Files: policy(shorter), IfMatch: &one})
	require.Equal(t, &access.Error{
		Code:    access.Invalid,
		Message: "The set leaves out 1 of the documents in force: Contract/changes. Add them, or apply with prune to remove them.",
	}, access.AsError(err))
	require.Equal(t, after, s.policyRows(t))

	t.Log("a set made from another revision is refused")
	_, err = s.b.ApplyPolicy(t.Context(), s.carol, Apply{Files: policy(shorter), IfMatch: &two, Prune: true})
	require.Equal(t, &access.Error{
		Code: access.PreconditionFailed, Current: "1",
		Message: "The set was made from policy revision 2, and revision 1 is in force now. Compare it with that one and apply again.",
	}, access.AsError(err))
	require.Equal(t, after, s.policyRows(t))

	second, err := s.b.ApplyPolicy(t.Context(), s.carol, Apply{Files: policy(shorter, ledger), IfMatch: &one, Prune: true})
	require.NoError(t, err)
	require.Equal(t, int64(2), second.Revision)
	require.Equal(t, []string{"Contract/ledger"}, refs(second.Diff.Added).Names)
	require.Equal(t, []string{"Contract/reads"}, refs(second.Diff.Modified).Names)
	require.Equal(t, []string{"Contract/changes"}, refs(second.Diff.Removed).Names)
	require.Equal(t, []string{
		"documents 10  ",
		"event 1 policy.applied carol", "event 2 policy.applied carol",
		"in force 2  ",
		"member 1 Contract changes", "member 1 Contract reads",
		"member 2 Contract ledger", "member 2 Contract reads",
		"revision 1 carol the first", "revision 2 carol ",
	}, s.policyRows(t))
	s.verifyAudit(t)

	t.Log("documents that come back are not stored twice")
	_, err = s.b.ApplyPolicy(t.Context(), s.carol, Apply{Files: policy(reads, changes), Prune: true})
	require.NoError(t, err)
	require.Contains(t, s.policyRows(t), "documents 10  ")
}

func TestApplyPolicyIsForContractAdmins(t *testing.T) {
	t.Parallel()
	s := newEmptyScene(t)

	for _, who := range []access.Caller{s.alice, s.audrey, s.oprah} {
		_, err := s.b.ApplyPolicy(t.Context(), who, Apply{Files: policy(reads)})
		require.Equal(t, access.Forbidden, access.AsError(err).Code)
	}
	require.Equal(t, []string{"documents 0  "}, s.policyRows(t))
	require.Equal(t, []string{"attempt.refused alice", "attempt.refused audrey", "attempt.refused oprah"}, s.trail(t))
}

func TestApplyPolicyWithErrors(t *testing.T) {
	t.Parallel()
	s := newEmptyScene(t)

	_, err := s.b.ApplyPolicy(t.Context(), s.carol, Apply{Files: policy(replace(t, reads, "max: 1h", "maxx: 1h"))})
	require.Equal(t, &access.Error{
		Code: access.ContractInvalid, Message: "The policy has 2 errors; nothing was changed.",
		Details: []access.Detail{
			{Detail: "max is missing (add max)", Pointer: "/spec/time/duration", File: "policy.yaml", Line: 40, Column: 10},
			{Detail: "unknown field maxx (did you mean max?)", Pointer: "/spec/time/duration/maxx", File: "policy.yaml", Line: 40, Column: 30},
		},
	}, access.AsError(err))
	_, err = s.b.ApplyPolicy(t.Context(), s.carol, Apply{Files: policy(reads), Note: "a\u202eb"})
	require.Equal(t, access.Invalid, access.AsError(err).Code)
	require.Equal(t, []string{"documents 0  "}, s.policyRows(t))
}

// TestApplyPolicyAtOnce: of several who apply at once onto the same revision
// one wins, also before there is any.
func TestApplyPolicyAtOnce(t *testing.T) {
	t.Parallel()
	s := newEmptyScene(t)
	for revision := range int64(2) {
		var all sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			all.Go(func() {
				one := replace(t, reads, "max: 1h", "max: "+[...]string{"21m", "22m", "23m", "24m", "25m"}[i+int(revision)])
				_, errs[i] = s.b.ApplyPolicy(context.WithoutCancel(t.Context()), s.carol, Apply{Files: policy(one), IfMatch: &revision})
			})
		}
		all.Wait()

		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			require.Equal(t, access.PreconditionFailed, access.AsError(err).Code, "%v", err)
		}
		require.LessOrEqual(t, won, 2) // a set that is in force already is no conflict
		require.GreaterOrEqual(t, won, 1)
		require.Contains(t, s.policyRows(t), "in force "+[...]string{"1", "2"}[revision]+"  ")
	}
	s.verifyAudit(t)
}

// TestReplicas: every broker decides by the revision that the database says,
// and an open decision keeps its revision in force.
func TestReplicas(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := New(Config{Store: s.db.Store(t, store.WithClock(s.clock.Now)), Connectors: s.b.connectors, Issuer: issuer})
	require.Equal(t, s.index(t, s.b).Set().Contracts, s.index(t, other).Set().Contracts)

	cached := s.index(t, other)
	require.Same(t, cached, s.index(t, other), "compiled once")
	s.apply(t, changes)
	require.Nil(t, s.index(t, other).Contracts(ordersRead.Role, ordersRead.Resource), "seen without being told")
	require.Equal(t, s.revision, s.index(t, other).Revision)

	impatient := New(Config{Store: s.db.Store(t), Connectors: s.b.connectors, Issuer: issuer})
	err := s.b.store.InTx(t.Context(), func(tx *store.Tx) error {
		if _, err := s.b.inPolicy(t.Context(), tx); err != nil {
			return err
		}
		_, err := impatient.ApplyPolicy(t.Context(), s.carol, Apply{Files: policy(reads), Prune: true})
		require.Equal(t, access.NotReady, access.AsError(err).Code, "it waits for the decision, and gives up: %v", err)
		return nil
	})
	require.NoError(t, err)
}

// TestOtherIssuer: the same text means other people when bare users belong to
// another issuer, so it is another revision; old revisions keep theirs.
func TestOtherIssuer(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	files := policy(reads, changes, ledger, pair, single, vaults)
	moved := New(Config{Store: s.db.Store(t), Connectors: s.b.connectors, Issuer: "https://new.example"})
	require.Equal(t, issuer, s.index(t, moved).Issuer)

	out, err := moved.ApplyPolicy(t.Context(), s.carol, Apply{Files: files})
	require.NoError(t, err)
	require.True(t, out.Changed)
	require.Equal(t, "https://new.example", s.index(t, s.b).Issuer)
}

func TestLintAndDiffPolicy(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	elsewhere := replace(t, catalogue, "connector: target, labels: {env: prod}}\n---", "connector: nowhere}\n---")

	n, problems := s.b.LintPolicy([]contract.File{{Name: "p.yaml", Data: []byte(elsewhere)}})
	require.Equal(t, 6, n)
	require.Equal(t, "p.yaml:12:1: warning: /spec/connector: this server has no connector nowhere, so nothing on postgres/database:prod/orders can be granted (add it to the server's configuration)", problems.Error())
	n, problems = s.b.LintPolicy([]contract.File{{Name: "p.yaml", Data: []byte("a: 1")}})
	require.Zero(t, n)
	require.NotEmpty(t, problems)

	diff, err := s.b.DiffPolicy(t.Context(), s.audrey, policy(reads))
	require.NoError(t, err)
	require.Equal(t, s.revision, diff.Revision)
	require.Len(t, diff.Removed, 5)
	require.Empty(t, append(diff.Added, diff.Modified...))
	_, err = s.b.DiffPolicy(t.Context(), s.alice, policy(reads))
	require.Equal(t, access.Forbidden, access.AsError(err).Code)
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.apply(t, reads)
	s.apply(t, changes)

	page, err := s.b.Revisions(t.Context(), s.audrey, 2, "")
	require.NoError(t, err)
	require.Len(t, page.Items, 2)
	require.Equal(t, int64(3), page.Items[0].Revision)
	require.Equal(t, "Carol", page.Items[0].AuthorName)
	require.Equal(t, noon, page.Items[0].AppliedAt)
	rest, err := s.b.Revisions(t.Context(), s.audrey, 2, page.Next)
	require.NoError(t, err)
	require.Len(t, rest.Items, 1)
	require.Equal(t, int64(1), rest.Items[0].Revision)
	require.Empty(t, rest.Next)
	_, err = s.b.Revisions(t.Context(), s.carol, 2, page.Next)
	require.Equal(t, access.Invalid, access.AsError(err).Code, "a cursor belongs to its caller")
	_, err = s.b.Revisions(t.Context(), s.alice, 0, "")
	require.Equal(t, access.Forbidden, access.AsError(err).Code)
}

// newEmptyScene is a scene before the first policy.
func newEmptyScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{db: pgtest.New(t), target: fake.New(), clock: &clock{now: noon}, everybody: map[string]access.Caller{}}
	s.b = New(Config{
		Store:      s.db.Store(t, store.WithClock(s.clock.Now)),
		Connectors: connector.NewRegistry(map[string]connector.Entry{"target": {Type: "fake", Connector: s.target}}),
		Issuer:     issuer,
	})
	s.admin = s.db.Admin(t)
	s.alice = s.person(t, "alice", "engineers")
	s.carol, s.audrey, s.oprah = s.person(t, "carol"), s.person(t, "audrey"), s.person(t, "oprah")
	s.carol.Roles = []access.AppRole{access.ContractAdmin}
	s.audrey.Roles = []access.AppRole{access.Auditor}
	s.oprah.Roles = []access.AppRole{access.Operator}
	return s
}
