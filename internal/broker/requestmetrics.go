package broker

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
	"github.com/rampkeeper/rampkeeper/internal/store"
)

// closing is a request that may have left pending, with its decision.
type closing struct {
	req      access.Request
	decision access.Decision
}

// outcomes are all that rampkeeper_decisions_total knows.
var outcomes = []string{
	"auto_approved", string(access.Approved), string(access.Refused), string(access.Denied),
	string(access.Withdrawn), string(access.LapsedAsk), string(access.Invalidated),
}

// prepareContracts makes the series of the contracts in force, so that the
// first decision under one is an increase and not the start of a series.
func (m *metrics) prepareContracts(ix *contract.Index) {
	for _, c := range ix.Set().Contracts {
		for _, outcome := range outcomes {
			m.decisions.WithLabelValues(c.Metadata.Name, outcome).Add(0)
		}
	}
}

// countClosed counts the requests that left pending.
func (b *Broker) countClosed(all ...closing) {
	for _, c := range all {
		if c.req.State == "" || c.req.State == access.Pending {
			continue
		}
		b.metrics.decided(contractOf(c.decision), string(c.req.State), c.req.DecidedAt.Sub(c.req.CreatedAt))
	}
}

// countSubmitted counts a request that policy decided by itself.
func (b *Broker) countSubmitted(req access.Request, d access.Decision) {
	switch req.State {
	case access.Approved:
		b.metrics.decided(contractOf(d), "auto_approved", 0)
	case access.Refused:
		b.metrics.decided(contractOf(d), string(access.Refused), 0)
		for _, r := range d.Reasons {
			b.metrics.denied(string(r.Code), r.Contract)
		}
	default: // counted when it is decided
	}
}

// contractOf names the contract that governs, "" when none does. The label of
// a request under several contracts is that of its first item.
func contractOf(d access.Decision) string {
	for _, item := range d.Items {
		if item.Offer != nil {
			return item.Offer.Contract
		}
	}
	return ""
}

var (
	pendingDesc = prometheus.NewDesc("rampkeeper_requests_pending",
		"Requests that wait for people, by contract.", []string{"contract"}, nil)
	pendingOldestDesc = prometheus.NewDesc("rampkeeper_requests_pending_oldest_seconds",
		"How long the oldest of them has waited.", []string{"contract"}, nil)
)

// pendingCollector reads the gauges of requests when they are asked for. They
// are the same on every replica.
type pendingCollector struct{ store *store.Store }

const scrapeTimeout = 5 * time.Second

// Describe implements prometheus.Collector.
func (c pendingCollector) Describe(out chan<- *prometheus.Desc) {
	out <- pendingDesc
	out <- pendingOldestDesc
}

// Collect implements prometheus.Collector. A database that does not answer
// makes the scrape say so, rather than show an old number.
func (c pendingCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	err := c.store.InTx(ctx, func(tx *store.Tx) error {
		rows, err := tx.PendingCounts(ctx)
		if err != nil {
			return err
		}
		for _, r := range rows {
			out <- prometheus.MustNewConstMetric(pendingDesc, prometheus.GaugeValue, float64(r.Number), r.Contract)
			out <- prometheus.MustNewConstMetric(pendingOldestDesc, prometheus.GaugeValue, tx.Now.Sub(r.Oldest).Seconds(), r.Contract)
		}
		return nil
	})
	if err != nil {
		out <- prometheus.NewInvalidMetric(pendingDesc, err)
	}
}
