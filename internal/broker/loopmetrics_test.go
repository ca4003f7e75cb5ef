package broker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/connector/fake"
)

// gather gives every series whose name starts so: name, labels and value, or
// count and sum of a histogram.
func gather(t *testing.T, reg *prometheus.Registry, prefix string) []string {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	var lines []string
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), prefix) {
			continue
		}
		for _, m := range f.GetMetric() {
			words := []string{strings.TrimPrefix(f.GetName(), "rampkeeper_")}
			for _, l := range m.GetLabel() {
				words = append(words, l.GetName()+"="+l.GetValue())
			}
			switch {
			case m.GetCounter() != nil:
				words = append(words, fmt.Sprint(m.GetCounter().GetValue()))
			case m.GetGauge() != nil:
				words = append(words, fmt.Sprint(m.GetGauge().GetValue()))
			case m.GetHistogram() != nil:
				words = append(words, fmt.Sprintf("%d in %gs", m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()))
			}
			lines = append(lines, strings.Join(words, " "))
		}
	}
	slices.Sort(lines)
	return lines
}

// What the loops measure over the life of two grants: one that ends seven
// seconds late, one whose target is down.
func TestLoopMetrics(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		reg := prometheus.NewPedanticRegistry()
		b := s.broker(func(c *Config) { c.Metrics = reg })
		g := s.hold(t, s.alice, ordersRead, 10*time.Minute)
		s.hold(t, s.alan, otherRead, 10*time.Minute)
		s.run(t, b) // both start with its first look
		pass(poll)
		require.Equal(t, []string{
			"grants class=auto connector=other contract=elsewhere state=active 1",
			"grants class=auto connector=target contract=reads state=active 1",
			"grants_issued_total class=auto contract=elsewhere 1",
			"grants_issued_total class=auto contract=reads 1",
			"grants_overdue connector=other 0",
			"grants_overdue connector=target 0",
			"grants_overdue_oldest_seconds connector=other 0",
			"grants_overdue_oldest_seconds connector=target 0",
		}, gather(t, reg, "rampkeeper_grants"))
		_, err := b.Credentials(t.Context(), s.alice, g.ID)
		require.NoError(t, err)

		s.target.Plan(fake.Fail, fake.Fail, fake.Fail)
		s.other.SetDown(true)
		pass(time.Until(s.grant(t, g.ID).ExpiresAt) + 100*time.Second)
		require.Equal(t, []string{
			"grants class=auto connector=other contract=elsewhere state=revoking 1",
			"grants_ended_total cause=expired contract=reads used=true 1",
			"grants_issued_total class=auto contract=elsewhere 1",
			"grants_issued_total class=auto contract=reads 1",
			"grants_overdue connector=other 1",
			"grants_overdue connector=target 0",
			"grants_overdue_oldest_seconds connector=other 100",
			"grants_overdue_oldest_seconds connector=target 0",
		}, gather(t, reg, "rampkeeper_grants"))
		require.Equal(t, []string{"overstay_seconds cause=expired connector=target 1 in 7s"}, gather(t, reg, "rampkeeper_overstay"))
		require.Equal(t, []string{
			"revoke_attempts_total connector=other outcome=error 7",
			"revoke_attempts_total connector=other outcome=ok 0",
			"revoke_attempts_total connector=target outcome=error 3",
			"revoke_attempts_total connector=target outcome=ok 1",
		}, gather(t, reg, "rampkeeper_revoke"))
		require.Equal(t, []string{
			"provision_seconds connector=other outcome=active 1 in 0s",
			"provision_seconds connector=target outcome=active 1 in 0s",
		}, gather(t, reg, "rampkeeper_provision"))
		var looked float64
		_, err = fmt.Sscanf(gather(t, reg, "rampkeeper_reaper_last_success")[0], "reaper_last_success_timestamp_seconds %g", &looked)
		require.NoError(t, err)
		require.InDelta(t, float64(time.Now().Unix()), looked, poll.Seconds())
	})
}
