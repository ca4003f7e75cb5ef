package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/connector"
)

func TestConnectors(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		s.target.SetExpiry(access.ExpiryNative, 2*time.Minute)
		s.run(t, s.b)
		pass(time.Minute)
		s.hold(t, s.alice, ordersRead, time.Hour)
		pass(poll)
		worked := s.target.Calls()[0].At

		for _, who := range []access.Caller{s.audrey, s.carol, s.oprah} {
			views, err := s.b.Connectors(t.Context(), who)

			require.NoError(t, err)
			require.WithinDuration(t, worked, views[1].LastSuccess, 0)
			views[1].LastSuccess = time.Time{}
			require.Equal(t, []ConnectorView{
				{Name: "other", Type: "fake", ExpiryClass: access.ExpiryReaper},
				{Name: "target", Type: "fake", ExpiryClass: access.ExpiryNative, Residual: 120},
			}, views)
		}
		_, err := s.b.Connectors(t.Context(), s.alice)
		require.True(t, access.IsCode(err, access.Forbidden))
		require.Contains(t, s.trail(t), "attempt.refused alice")
	})
}

func TestTestConnector(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	good := []connector.Check{{Name: "connect", OK: true, Detail: "in memory"}}
	for _, tt := range []struct { //nolint:paralleltest // they share the target, which goes down
		name, connector string
		who             access.Caller
		down            bool
		checks          []connector.Check
		code            access.Code
	}{
		{"Operator", "target", s.oprah, false, good, ""},
		{"ContractAdmin", "target", s.carol, false, good, ""},
		{"Down", "target", s.oprah, true, []connector.Check{{Name: "connect", Detail: "connection refused: the target is down"}}, ""},
		{"Auditor", "target", s.audrey, false, nil, access.Forbidden},
		{"Requester", "target", s.alice, false, nil, access.Forbidden},
		{"RequesterAndNoSuchConnector", "nothing", s.alice, false, nil, access.Forbidden},
		{"NoSuchConnector", "nothing", s.oprah, false, nil, access.NotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.target.SetDown(tt.down)

			checks, err := s.b.TestConnector(t.Context(), tt.who, tt.connector)

			require.Equal(t, tt.checks, checks)
			if tt.code == "" {
				require.NoError(t, err)
			} else {
				require.True(t, access.IsCode(err, tt.code), "%v", err)
			}
		})
	}
	require.Equal(t, []string{"attempt.refused audrey", "attempt.refused alice", "attempt.refused alice"}, s.trail(t))
	require.Empty(t, s.target.Calls(), "a preflight is no operation")
}
