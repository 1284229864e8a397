package telemetry

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annex-gateway/annex/core"
)

// systemMetrics collects what systems count for themselves. Their own words
// are labels: whatever a system calls its metrics, they do not meet others'.
type systemMetrics struct{ from core.MetricSource }

// SystemMetrics is a collector of what the systems of a kind count:
// annex_extension_counter_total, annex_extension_gauge and
// annex_extension_values.
func SystemMetrics(s core.MetricSource) prometheus.Collector { return systemMetrics{s} }

// Describe says nothing: which metrics there are changes.
func (s systemMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect reads the metrics.
func (s systemMetrics) Collect(out chan<- prometheus.Metric) {
	labels := []string{"system", "name"}
	counter := prometheus.NewDesc("annex_extension_counter_total", "What extensions count.", labels, nil)
	gauge := prometheus.NewDesc("annex_extension_gauge", "What extensions measure as it stands.", labels, nil)
	values := prometheus.NewDesc("annex_extension_values", "Values that extensions record.", labels, nil)
	for m := range s.from.Metrics() {
		name := strings.ToValidUTF8(m.Name, "\uFFFD")
		switch m.Sort {
		case core.Counter:
			out <- prometheus.MustNewConstMetric(counter, prometheus.CounterValue, m.Value, m.System, name)
		case core.Gauge:
			out <- prometheus.MustNewConstMetric(gauge, prometheus.GaugeValue, m.Value, m.System, name)
		case core.Histogram:
			out <- prometheus.MustNewConstHistogram(values, m.Count, m.Value, nil, m.System, name)
		}
	}
}
