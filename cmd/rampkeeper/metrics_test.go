package main

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/rampkeeper/rampkeeper/internal/authn"
	"github.com/rampkeeper/rampkeeper/internal/broker"
	"github.com/rampkeeper/rampkeeper/internal/connector"
	"github.com/rampkeeper/rampkeeper/internal/httpapi"
)

// collected keeps what is registered, also series that have no value yet.
type collected []prometheus.Collector

func (c *collected) MustRegister(all ...prometheus.Collector) { *c = append(*c, all...) }
func (c *collected) Register(one prometheus.Collector) error  { c.MustRegister(one); return nil }
func (c *collected) Unregister(prometheus.Collector) bool     { return false }

var description = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "([^"]+)", unit: "[^"]*", constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`)

// The table of docs/operations.md is what the server exposes.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	var all collected
	b := broker.New(broker.Config{Connectors: connector.NewRegistry(nil), Metrics: &all})
	_, err := httpapi.NewServer(httpapi.Config{Broker: b, Auth: &authn.Authenticator{}, Now: time.Now, Metrics: &all})
	require.NoError(t, err)
	all.MustRegister(buildInfo())

	var rows []string
	for _, c := range all {
		descs := make(chan *prometheus.Desc, 10)
		c.Describe(descs)
		close(descs)
		for d := range descs {
			m := description.FindStringSubmatch(d.String())
			require.NotNil(t, m, d.String())
			var labels []string
			for l := range strings.SplitSeq(m[3]+","+m[4], ",") {
				if name, _, _ := strings.Cut(l, "="); name != "" {
					labels = append(labels, "`"+name+"`")
				}
			}
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |", m[1], kind(c), strings.Join(labels, ", "), m[2]))
		}
	}
	slices.SortFunc(rows, cmp.Compare)

	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	var documented []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `rampkeeper_") || strings.HasPrefix(line, "| `http_server_") {
			documented = append(documented, strings.TrimSuffix(line, "\n"))
		}
	}
	require.Equal(t, strings.Join(rows, "\n"), strings.Join(documented, "\n"))
}

func kind(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	}
	return "gauge"
}
