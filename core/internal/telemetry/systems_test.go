package telemetry

import (
	"iter"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annex-gateway/annex/core"
)

type source []core.Metric

func (s source) Metrics() iter.Seq[core.Metric] { return slices.Values(s) }

func TestMetricsOfSystemsKeepTheirNames(t *testing.T) {
	r := prometheus.NewRegistry()
	r.MustRegister(SystemMetrics(source{
		{System: "a/b/1.0.0", Name: "waf.tx=200", Sort: core.Counter, Value: 3},
		{System: "a/b/1.0.0", Name: "waf_tx_200", Sort: core.Counter, Value: 4},
		{System: "a/b/1.0.0", Name: "level\xff", Sort: core.Gauge, Value: -1},
		{System: "a/b/1.0.0", Name: "time", Sort: core.Histogram, Value: 11, Count: 2},
	}))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range families {
		got[f.GetName()] = len(f.GetMetric())
	}
	if got["annex_extension_counter_total"] != 2 || got["annex_extension_gauge"] != 1 || got["annex_extension_values"] != 1 {
		t.Errorf("got %v", got)
	}
}
