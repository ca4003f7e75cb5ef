package broker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// more is a second catalogue with what the catalogue has to show: an auto
// rule, a ticket, guardrails and a connector that is not there.
const more = `
apiVersion: rampkeeper/v1
kind: Resource
metadata: {name: "postgres/database:test/cards", description: Card data}
spec: {title: Cards, connector: target, labels: {data: pci}}
---
apiVersion: rampkeeper/v1
kind: Resource
metadata: {name: "postgres/database:test/far"}
spec: {title: Far away, connector: nowhere}
---
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: tests, description: For tests}
spec:
  subjects: {any: [{group: engineers}]}
  permits: [{roles: ["pg/*"], resources: [{type: postgres/database, path: "test/*"}]}]
  time: {duration: {min: 1m, default: 3h, max: 8h}}
  justification: {minLength: 5, ticket: {pattern: "T-[0-9]+"}}
  approvals:
    auto:
      - {name: for-owners, subjects: {any: [{group: owners}]}}
      - {name: short, roles: [pg/readonly], maxDuration: 30m}
      - {name: longer, roles: [pg/readonly], maxDuration: 1h}
    stages:
      - {name: owner, seats: [{from: {group: owners}}]}
      - {name: security, when: {roles: [pg/admin]}, seats: [{from: {group: secops}}]}
---
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: cards}
spec:
  match: {resources: [{type: "*", labels: {data: pci}}]}
  require: {maxDuration: 2h, ticket: true}
---
apiVersion: rampkeeper/v1
kind: Guardrail
metadata: {name: no-contractors}
spec:
  match: {resources: [{type: "*", labels: {data: pci}}], subjects: {any: [{group: contractors}]}}
  deny: {reason: Closed to contractors}
`

func catalogIDs(t *testing.T, s *scene, who access.Caller, f CatalogFilter) (ids []string) {
	t.Helper()
	for {
		page, err := s.b.Catalog(t.Context(), who, f)
		require.NoError(t, err)
		for _, e := range page.Items {
			ids = append(ids, e.Path)
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			return ids
		}
	}
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	s := newScene(t, more)
	eve := s.person(t, "eve", "engineers", "contractors")
	blank := s.alice
	blank.Groups, blank.GroupsKnown = nil, false

	for _, tt := range []struct {
		name string
		who  access.Caller
		f    CatalogFilter
		want []string
	}{
		{"Engineer", s.alice, CatalogFilter{}, []string{"prod/ledger", "prod/orders", "prod/queue", "test/cards", "test/far"}},
		{"InPages", s.alice, CatalogFilter{Limit: 2}, []string{"prod/ledger", "prod/orders", "prod/queue", "test/cards", "test/far"}},
		{"DeniedByGuardrail", eve, CatalogFilter{}, []string{"prod/ledger", "prod/orders", "prod/queue", "test/far"}},
		{"GroupsUnknown", blank, CatalogFilter{}, nil},
		{"Approver", s.olive, CatalogFilter{}, nil},
		{"Nobody", s.mallory, CatalogFilter{}, nil},
		{"Operator", s.oprah, CatalogFilter{}, nil},
		{"Auditor", s.audrey, CatalogFilter{}, []string{"prod/ledger", "prod/orders", "prod/queue", "prod/vault", "test/cards", "test/far"}},
		{"AuditorCannotAsk", s.audrey, CatalogFilter{Requestable: true}, nil},
		{"Requestable", s.alice, CatalogFilter{Requestable: true}, []string{"prod/ledger", "prod/orders", "prod/queue", "test/cards"}},
		{"Title", s.alice, CatalogFilter{Q: "LEDG"}, []string{"prod/ledger"}},
		{"Description", s.alice, CatalogFilter{Q: "card data"}, []string{"test/cards"}},
		{"Label", s.alice, CatalogFilter{Q: "data=pci"}, []string{"test/cards"}},
		{"Role", s.alice, CatalogFilter{Q: "administer"}, []string{"prod/ledger", "prod/orders", "prod/queue", "test/cards", "test/far"}},
		{"HiddenStaysHidden", s.alice, CatalogFilter{Q: "vault"}, nil},
		{"Type", s.alice, CatalogFilter{Type: "postgres/database", Q: "queue"}, []string{"prod/queue"}},
		{"OtherType", s.alice, CatalogFilter{Type: "postgres"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, catalogIDs(t, s, tt.who, tt.f))
		})
	}

	page, err := s.b.Catalog(t.Context(), s.alice, CatalogFilter{Limit: 1})
	require.NoError(t, err)
	for _, wrong := range []CatalogFilter{{Limit: 1, Cursor: page.Next, Q: "o"}, {Limit: 1, Cursor: page.Next + "x"}, {Limit: 201}, {Limit: -1}} {
		_, err := s.b.Catalog(t.Context(), s.alice, wrong)
		require.Equal(t, access.Invalid, access.AsError(err).Code)
	}
	_, err = s.b.Catalog(t.Context(), s.alan, CatalogFilter{Limit: 1, Cursor: page.Next})
	require.Equal(t, access.Invalid, access.AsError(err).Code)
}

func TestCatalogEntry(t *testing.T) {
	t.Parallel()
	s := newScene(t, more)

	got, err := s.b.CatalogEntry(t.Context(), s.alice, "postgres/database:test/cards")
	require.NoError(t, err)
	owner := StageView{Name: "owner", Seats: []SeatView{{From: "group owners", Count: 1}}}
	security := StageView{Name: "security", Seats: []SeatView{{From: "group secops", Count: 1}}}
	readonly := CatalogOffer{
		Role: "pg/readonly", RoleTitle: "Read", Contract: "tests", Description: "For tests",
		MinDuration: 60, DefaultDuration: 7200, MaxDuration: 7200, Stages: []StageView{owner},
		Auto: "longer", AutoMaxDuration: 3600, TicketRequired: true, TicketPattern: "T-[0-9]+", MinReason: 5,
	}
	admin := readonly
	admin.Role, admin.RoleTitle, admin.Auto, admin.AutoMaxDuration = "pg/admin", "Administer", "", 0
	admin.Stages = []StageView{owner, security}
	want := CatalogEntry{
		Resource: "postgres/database:test/cards", Type: "postgres/database", Path: "test/cards",
		Title: "Cards", Description: "Card data", Labels: map[string]string{"data": "pci"}, Connector: "target",
		Offers: []CatalogOffer{admin, readonly},
	}
	require.Equal(t, want, got)

	t.Log("an auto rule that always holds leaves no stages")
	ollie := s.person(t, "ollie", "engineers", "owners")
	got, err = s.b.CatalogEntry(t.Context(), ollie, "postgres/database:test/cards")
	require.NoError(t, err)
	for i := range want.Offers {
		o := &want.Offers[i]
		o.Auto, o.AutoMaxDuration, o.Stages = "for-owners", 7200, []StageView{}
	}
	require.Equal(t, want, got)

	t.Log("what stands in the way of any ask is said")
	got, err = s.b.CatalogEntry(t.Context(), s.alice, "postgres/database:test/far")
	require.NoError(t, err)
	require.Equal(t, "No account is known for you on nowhere.", got.Offers[0].WhyNot)

	_, absent := s.b.CatalogEntry(t.Context(), s.alice, "postgres/database:prod/nothing")
	_, unseen := s.b.CatalogEntry(t.Context(), s.alice, "postgres/database:prod/vault")
	require.Equal(t, access.AsError(absent), access.AsError(unseen), "hidden is as good as absent")
	require.Equal(t, access.NotFound, access.AsError(absent).Code)
	entry, err := s.b.CatalogEntry(t.Context(), s.audrey, "postgres/database:prod/vault")
	require.NoError(t, err)
	require.Empty(t, entry.Offers)
}

// TestCatalogOffersAreKept: what the catalogue offers is what an ask gets,
// and what it does not offer is refused.
func TestCatalogOffersAreKept(t *testing.T) {
	t.Parallel()
	s := newScene(t, more)
	for _, who := range []access.Caller{s.alice, s.mallory, s.person(t, "eve", "engineers", "contractors")} {
		all, err := s.b.Catalog(t.Context(), s.audrey, CatalogFilter{})
		require.NoError(t, err)
		offered := map[access.Item]CatalogOffer{}
		mine, err := s.b.Catalog(t.Context(), who, CatalogFilter{})
		require.NoError(t, err)
		for _, e := range mine.Items {
			for _, o := range e.Offers {
				if o.WhyNot == "" {
					offered[access.Item{Role: o.Role, Resource: e.Resource}] = o
				}
			}
		}
		for _, e := range all.Items {
			for _, role := range []string{"pg/readonly", "pg/admin"} {
				item := access.Item{Role: role, Resource: e.Resource}
				o, ok := offered[item]
				a := access.Ask{Items: []access.Item{item}, Duration: 60, Reason: "ticket 42 is on fire", Ticket: "T-1"}
				if ok {
					a.Duration = o.MaxDuration
				}
				d, err := s.b.DryRun(t.Context(), who, a)
				require.NoError(t, err)
				require.Equal(t, ok, d.Outcome != access.Refuse, "%s: %s, %v", who.Name, item, d.Reasons)
				if !ok {
					continue
				}
				var names []string
				for _, st := range d.Items[0].Offer.Stages {
					names = append(names, st.Name)
				}
				var want []string
				for _, st := range o.Stages {
					want = append(want, st.Name)
				}
				require.Equal(t, want, names)
				require.Equal(t, o.Contract, d.Items[0].Offer.Contract)
				require.Equal(t, o.MaxDuration, d.Items[0].Offer.MaxDuration)
				a.Duration++
				d, err = s.b.DryRun(t.Context(), who, a)
				require.NoError(t, err)
				require.Equal(t, access.Refuse, d.Outcome, "not a second longer")
			}
		}
	}
}
