package broker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rampkeeper/rampkeeper/internal/store"
)

// metrics is what the broker measures about itself. Labels are bounded:
// contracts, outcomes and error codes, never people, resources or ids.
type metrics struct {
	decisions      *prometheus.CounterVec   // contract, outcome
	timeToDecision *prometheus.HistogramVec // contract, outcome
	denials        *prometheus.CounterVec   // rule, contract
	*loopMetrics
}

func newMetrics(reg prometheus.Registerer, db *store.Store, connectors []string) *metrics {
	m := &metrics{
		loopMetrics: newLoopMetrics(reg, db, connectors),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rampkeeper_decisions_total",
			Help: "Requests decided, by the contract that governed and how they came out.",
		}, []string{"contract", "outcome"}),
		timeToDecision: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rampkeeper_time_to_decision_seconds",
			Help:    "From submitting a request to its decision.",
			Buckets: []float64{5, 15, 60, 300, 900, 3600, 4 * 3600, 8 * 3600, 86400, 3 * 86400, 7 * 86400},
		}, []string{"contract", "outcome"}),
		denials: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rampkeeper_policy_denials_total",
			Help: "Callers told no, by the rule that said it.",
		}, []string{"rule", "contract"}),
	}
	if reg != nil {
		reg.MustRegister(m.decisions, m.timeToDecision, m.denials, pendingCollector{db})
	}
	return m
}

// decided counts a request that left pending, or never was.
func (m *metrics) decided(contract, outcome string, after time.Duration) {
	m.decisions.WithLabelValues(contract, outcome).Inc()
	m.timeToDecision.WithLabelValues(contract, outcome).Observe(after.Seconds())
}

// denied counts a caller who was told no.
func (m *metrics) denied(rule, contract string) {
	m.denials.WithLabelValues(rule, contract).Inc()
}
