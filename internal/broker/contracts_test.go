package broker

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

func TestContracts(t *testing.T) {
	t.Parallel()
	s := newScene(t, draft, owned)
	names := func(who access.Caller) (out []string) {
		cursor := ""
		for {
			page, err := s.b.Contracts(t.Context(), who, ContractFilter{Limit: 2, Cursor: cursor})
			require.NoError(t, err)
			require.Equal(t, s.revision, page.Revision)
			for _, c := range page.Items {
				require.Equal(t, readsPolicy(who), c.Full)
				require.Equal(t, readsPolicy(who), c.Source != "" && c.Body != nil)
				out = append(out, c.Name)
			}
			if cursor = page.Next; cursor == "" {
				return out
			}
		}
	}
	require.Equal(t, []string{"changes", "draft", "ledger", "owned", "pair", "reads", "single", "vaults"}, names(s.audrey))
	require.Equal(t, names(s.audrey), names(s.carol))
	require.Equal(t, []string{"changes", "ledger", "pair", "reads", "single"}, names(s.alice), "those she may use")
	require.Equal(t, []string{"changes", "ledger", "owned", "pair"}, names(s.olive), "those that name her")
	require.Equal(t, []string{"ledger"}, names(s.sue))
	require.Empty(t, names(s.mallory))

	got, err := s.b.Contract(t.Context(), s.alice, "ledger")
	require.NoError(t, err)
	require.Equal(t, ContractView{
		Name: "ledger", State: "active", Revision: s.revision, Digest: got.Digest,
		Permits:     []contract.Permit{{Roles: []string{"pg/admin"}, Resources: []contract.Selector{{Type: "postgres/database", Path: "prod/ledger"}}}},
		MinDuration: 60, DefaultDuration: 3600, MaxDuration: 7200,
		Stages: []StageView{
			{Name: "owners", Seats: []SeatView{{From: "group owners", Count: 2}}},
			{Name: "security", Seats: []SeatView{{From: "group secops", Count: 1}}},
		},
	}, got)
	full, err := s.b.Contract(t.Context(), s.carol, "ledger")
	require.NoError(t, err)
	require.Equal(t, strings.TrimLeft(ledger, "\n"), full.Source)

	_, absent := s.b.Contract(t.Context(), s.alice, "nothing")
	_, unseen := s.b.Contract(t.Context(), s.alice, "vaults")
	require.Equal(t, access.AsError(absent), access.AsError(unseen), "hidden is as good as absent")
	require.Equal(t, access.NotFound, access.AsError(absent).Code)
}

const (
	draft = `
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: draft}
spec:
  state: draft
  subjects: {any: [{group: engineers}]}
  permits: [{roles: [pg/readonly], resources: [{type: postgres/database, path: prod/vault}]}]
  time: {duration: {max: 1h}}
`
	// owned belongs to the owners, who may not use it.
	owned = `
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: owned, owners: [{group: owners}]}
spec:
  subjects: {any: [{group: treasurers}]}
  permits: [{roles: [pg/readonly], resources: [{type: postgres/database, path: prod/vault}]}]
  time: {duration: {max: 1h}}
`
)
