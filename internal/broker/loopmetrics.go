package broker

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// loopMetrics is what the loops measure.
type loopMetrics struct {
	grantsIssued   *prometheus.CounterVec   // contract, class
	grantRequested *prometheus.HistogramVec // contract, class
	grantsEnded    *prometheus.CounterVec   // contract, cause, used
	overstay       *prometheus.HistogramVec // connector, cause
	revokes        *prometheus.CounterVec   // connector, outcome
	provision      *prometheus.HistogramVec // connector, outcome
	reaperSuccess  prometheus.Gauge
	reaperPass     prometheus.Histogram
}

func newLoopMetrics(reg prometheus.Registerer, db *store.Store, connectors []string) *loopMetrics {
	m := &loopMetrics{
		grantsIssued: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rampkeeper_grants_issued_total",
			Help: "Grants that were started, whether or not their access could be made.",
		}, []string{"contract", "class"}),
		grantRequested: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rampkeeper_grant_requested_seconds",
			Help:    "How long the access of started grants was to last.",
			Buckets: []float64{60, 900, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 86400, 7 * 86400, 30 * 86400},
		}, []string{"contract", "class"}),
		grantsEnded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rampkeeper_grants_ended_total",
			Help: "Grants whose access was verified gone, by why they ended and whether their credentials were ever taken.",
		}, []string{"contract", "cause", "used"}),
		overstay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rampkeeper_overstay_seconds",
			Help:    "From the end of a grant being due to its access being verified gone.",
			Buckets: []float64{0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600, 86400},
		}, []string{"connector", "cause"}),
		revokes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rampkeeper_revoke_attempts_total",
			Help: "Removals that were tried, successful or not.",
		}, []string{"connector", "outcome"}),
		provision: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rampkeeper_provision_seconds",
			Help:    "From the start of a grant to its access being read back, or being given up.",
			Buckets: []float64{0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600},
		}, []string{"connector", "outcome"}),
		reaperSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rampkeeper_reaper_last_success_timestamp_seconds",
			Help: "When the reaper last looked at everything that was due, by the database's clock.",
		}),
		reaperPass: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "rampkeeper_reaper_pass_seconds",
			Help:    "How long a look at everything that was due took, successful or not. Targets are called outside it.",
			Buckets: []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30},
		}),
	}
	// The first failure is then an increase, and not the start of a series.
	for _, c := range connectors {
		m.revokes.WithLabelValues(c, "ok").Add(0)
		m.revokes.WithLabelValues(c, "error").Add(0)
	}
	if reg != nil {
		reg.MustRegister(m.grantsIssued, m.grantRequested, m.grantsEnded, m.overstay, m.revokes, m.provision,
			m.reaperSuccess, m.reaperPass, grantCollector{db, connectors})
	}
	return m
}

func classOf(d access.Decision) string {
	if d.Outcome == access.Permit {
		return "auto"
	}
	return "jit"
}

func (m *loopMetrics) issued(g access.Grant, class string) {
	m.grantsIssued.WithLabelValues(g.Contract, class).Inc()
	m.grantRequested.WithLabelValues(g.Contract, class).Observe(g.Duration.Duration().Seconds())
}

// moved measures a step of a grant after its commit. A grant that stayed where
// it was is no step.
func (m *loopMetrics) moved(before, after access.Grant) {
	if before.State == after.State {
		return
	}
	switch after.State {
	case access.Active:
		m.provision.WithLabelValues(after.Connector, "active").Observe(after.ActivatedAt.Sub(after.StartedAt).Seconds())
	case access.Revoking, access.Ended:
		if before.State == access.Provisioning {
			m.provision.WithLabelValues(after.Connector, string(after.EndReason)).Observe(after.RevokingAt.Sub(after.StartedAt).Seconds())
		}
	default:
	}
	if after.State != access.Ended {
		return
	}
	due := after.RevokingAt
	if after.ExpiresAt.Before(due) {
		due = after.ExpiresAt
	}
	used := "false"
	if !after.CredentialsIssuedAt.IsZero() {
		used = "true"
	}
	m.overstay.WithLabelValues(after.Connector, string(after.EndReason)).Observe(after.EndedAt.Sub(due).Seconds())
	m.grantsEnded.WithLabelValues(after.Contract, string(after.EndReason), used).Inc()
}

func (m *loopMetrics) operation(j job, r result) {
	if j.op.Kind != access.OpRemove {
		return
	}
	outcome := "ok"
	if r.err != nil {
		outcome = "error"
	}
	m.revokes.WithLabelValues(j.entitlement.Connector, outcome).Inc()
}

// reaping measures one pass of the reaper; the function ends it.
func (m *loopMetrics) reaping() (done func()) {
	timer := prometheus.NewTimer(m.reaperPass)
	return func() { timer.ObserveDuration() }
}
