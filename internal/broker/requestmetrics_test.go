package broker

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

func TestRequestMetrics(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	reg := prometheus.NewPedanticRegistry()
	s.b = New(Config{Store: s.b.store, Connectors: s.b.connectors, Issuer: issuer, Metrics: reg})

	s.submit(t, s.alice, ordersRead)
	_, err := s.b.Submit(t.Context(), s.mallory, ask(ordersRead), Key{})
	require.Error(t, err)
	req := s.submit(t, s.alice, ordersAdmin)
	_, err = s.vote(t, s.alice, req, access.Approve)
	require.Error(t, err)
	s.clock.pass(time.Minute)
	s.approve(t, req, s.olive)
	s.submit(t, s.alan, ordersAdmin)
	s.clock.pass(30 * time.Second)

	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP rampkeeper_policy_denials_total Callers told no, by the rule that said it.
# TYPE rampkeeper_policy_denials_total counter
rampkeeper_policy_denials_total{contract="",rule="self_approval"} 1
rampkeeper_policy_denials_total{contract="reads",rule="not_eligible"} 1
# HELP rampkeeper_requests_pending Requests that wait for people, by contract.
# TYPE rampkeeper_requests_pending gauge
rampkeeper_requests_pending{contract="changes"} 1
# HELP rampkeeper_requests_pending_oldest_seconds How long the oldest of them has waited.
# TYPE rampkeeper_requests_pending_oldest_seconds gauge
rampkeeper_requests_pending_oldest_seconds{contract="changes"} 30
`), "rampkeeper_policy_denials_total", "rampkeeper_requests_pending", "rampkeeper_requests_pending_oldest_seconds"))
	for labels, want := range map[[2]string]float64{
		{"", "refused"}: 1, {"changes", "approved"}: 1, {"reads", "auto_approved"}: 1, {"ledger", "denied"}: 0,
	} {
		require.InDelta(t, want, testutil.ToFloat64(s.b.metrics.decisions.WithLabelValues(labels[0], labels[1])), 0, "%v", labels)
	}
	require.Equal(t, 1+6*len(outcomes), testutil.CollectAndCount(s.b.metrics.decisions), "a series for each contract and outcome from the start")
}
