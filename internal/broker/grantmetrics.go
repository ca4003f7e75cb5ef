package broker

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rampkeeper/rampkeeper/internal/store"
)

var (
	grantsDesc = prometheus.NewDesc("rampkeeper_grants",
		"Live grants. Every replica shows the same.", []string{"state", "contract", "connector", "class"}, nil)
	overdueDesc = prometheus.NewDesc("rampkeeper_grants_overdue",
		"Grants whose end has passed and whose access may still exist. Every replica shows the same.", []string{"connector"}, nil)
	overdueOldestDesc = prometheus.NewDesc("rampkeeper_grants_overdue_oldest_seconds",
		"How long ago the longest overdue grant should have ended.", []string{"connector"}, nil)
)

// grantCollector reads the gauges of grants when they are asked for.
type grantCollector struct {
	store      *store.Store
	connectors []string // that are shown even when nothing is overdue
}

// Describe implements prometheus.Collector.
func (c grantCollector) Describe(out chan<- *prometheus.Desc) {
	out <- grantsDesc
	out <- overdueDesc
	out <- overdueOldestDesc
}

// Collect implements prometheus.Collector. A database that does not answer
// makes the scrape say so, rather than show an old number.
func (c grantCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	var (
		counts []store.GrantCount
		now    time.Time
	)
	err := c.store.InTx(ctx, func(tx *store.Tx) (err error) {
		now = tx.Now
		counts, err = tx.CountGrants(ctx)
		return err
	})
	if err != nil {
		out <- prometheus.NewInvalidMetric(grantsDesc, err)
		return
	}
	overdue, oldest := map[string]int{}, map[string]time.Time{}
	for _, name := range c.connectors {
		overdue[name] = 0
	}
	for _, n := range counts {
		out <- prometheus.MustNewConstMetric(grantsDesc, prometheus.GaugeValue, float64(n.Count), string(n.State), n.Contract, n.Connector, n.Class)
		overdue[n.Connector] += n.Overdue
		if t := oldest[n.Connector]; !n.OldestOverdue.IsZero() && (t.IsZero() || n.OldestOverdue.Before(t)) {
			oldest[n.Connector] = n.OldestOverdue
		}
	}
	for name, n := range overdue {
		age := 0.0
		if t := oldest[name]; !t.IsZero() {
			age = now.Sub(t).Seconds()
		}
		out <- prometheus.MustNewConstMetric(overdueDesc, prometheus.GaugeValue, float64(n), name)
		out <- prometheus.MustNewConstMetric(overdueOldestDesc, prometheus.GaugeValue, age, name)
	}
}
