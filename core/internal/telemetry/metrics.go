package telemetry

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/annex-gateway/annex/core"
)

// maxSystems bounds the systems that are counted by name. Visits to more are
// counted together, as those of system "other".
const maxSystems = 1000

// metrics is everything that is counted here.
type metrics struct {
	registry       *prometheus.Registry
	inFlight       atomic.Int64
	calls          [places][classes]prometheus.Counter
	durations      [places]prometheus.Observer
	visits         *prometheus.CounterVec
	visitDurations *prometheus.HistogramVec
	exportFailures prometheus.Counter
	dropped        prometheus.Counter

	known atomic.Pointer[map[string][]counters] // by system, so that labels are looked up once; never changed

	mu      sync.Mutex // held while labels are looked up or taken away
	systems map[string]bool
}

// counters are those of one kind of visit to one system.
type counters struct {
	stage, outcome string

	visits   prometheus.Counter
	duration prometheus.Observer
}

// classes of status: none, 1xx to 5xx.
const classes = 6

func newMetrics(version string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), systems: map[string]bool{}}
	m.known.Store(&map[string][]counters{})
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "annex_calls_in_flight", Help: "Calls that are being served."},
		func() float64 { return float64(m.inFlight.Load()) })
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "annex_calls_total", Help: "Calls that have ended, by place and class of status; none was cut off without an answer.",
	}, []string{"place", "status"})
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "annex_call_duration_seconds", Help: "Time from the request to the last byte of the answer.", Buckets: buckets,
	}, []string{"place"})
	for p := range places {
		durations.WithLabelValues(p.String())
		m.durations[p] = durations.WithLabelValues(p.String())
		for c, name := range [classes]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"} {
			m.calls[p][c] = calls.WithLabelValues(p.String(), name)
		}
	}
	m.visits = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "annex_visits_total", Help: "Visits of calls to systems; outcome is answered, passed, or how it failed.",
	}, []string{"system", "stage", "outcome"})
	m.visitDurations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "annex_visit_duration_seconds", Help: "Time of visits to systems, without streamed bodies.", Buckets: buckets,
	}, []string{"system", "stage"})
	m.exportFailures = prometheus.NewCounter(prometheus.CounterOpts{Name: "annex_trace_export_failures_total", Help: "Batches of spans that the collector did not take."})
	m.dropped = prometheus.NewCounter(prometheus.CounterOpts{Name: "annex_access_log_dropped_total", Help: "Lines of the access log that were dropped."})
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "annex_build_info", Help: "Always 1; the label is the version.", ConstLabels: prometheus.Labels{"version": version}})
	info.Set(1)
	m.registry.MustRegister(
		inFlight, calls, durations, m.visits, m.visitDurations, m.exportFailures, m.dropped, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func (m *metrics) call(p Place, status int, took time.Duration) {
	class := status / 100
	if class < 0 || class >= classes {
		class = 0
	}
	m.calls[p][class].Inc()
	m.durations[p].Observe(took.Seconds())
}

func (m *metrics) visit(e core.Event) {
	stage, outcome := e.Step, outcome(e)
	all := (*m.known.Load())[e.System]
	for i := range all {
		if c := &all[i]; c.stage == stage && c.outcome == outcome {
			c.count(e.Took)
			return
		}
	}
	m.counters(e.System, stage, outcome).count(e.Took)
}

func (c *counters) count(took time.Duration) {
	c.visits.Inc()
	c.duration.Observe(took.Seconds())
}

// counters looks up where visits are counted, and remembers it for systems
// that are counted by name.
func (m *metrics) counters(system, stage, outcome string) *counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := m.name(system)
	c := counters{stage, outcome, m.visits.WithLabelValues(name, stage, outcome), m.visitDurations.WithLabelValues(name, stage)}
	if name != other {
		known := maps.Clone(*m.known.Load())
		known[strings.Clone(system)] = append(slices.Clone(known[system]), c)
		m.known.Store(&known)
	}
	return &c
}

func outcome(e core.Event) string {
	switch {
	case e.Err != nil:
		return strings.ReplaceAll(string(core.ErrorCode(e.Err)), " ", "_")
	case e.Status != 0:
		return "answered"
	}
	return "passed"
}

// other is what systems are counted under that are too many.
const other = "other"

// name is what a system is counted under. The mutex is held.
func (m *metrics) name(system string) string {
	switch {
	case system == "":
		return "native"
	case m.systems[system]:
		return system
	case len(m.systems) >= maxSystems:
		return other
	}
	m.systems[strings.Clone(system)] = true
	return system
}

// Keep forgets what was counted of systems that are no longer known.
func (t *Telemetry) Keep(known func(system string) bool) {
	m := t.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.systems {
		if !known(id) {
			delete(m.systems, id)
			known := maps.Clone(*m.known.Load())
			delete(known, id)
			m.known.Store(&known)
			m.visits.DeletePartialMatch(prometheus.Labels{"system": id})
			m.visitDurations.DeletePartialMatch(prometheus.Labels{"system": id})
		}
	}
}
