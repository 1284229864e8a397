package wasm

import (
	"iter"
	"slices"
	"sync"

	"github.com/annex-gateway/annex/core"
)

const (
	maxMetrics    = 1000
	maxMetricName = 256
)

// guestMetrics are what the guests of one system count.
type guestMetrics struct {
	mu   sync.Mutex
	list []*core.Metric // by id - 1
}

// define gives the id of a metric, which is made where there is none of that
// name. The same name in another sort is refused.
func (g *guestMetrics) define(sort core.MetricSort, name string) (uint32, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.IndexFunc(g.list, func(m *core.Metric) bool { return m.Name == name })
	switch {
	case i >= 0:
		return uint32(i + 1), g.list[i].Sort == sort
	case len(g.list) >= maxMetrics || name == "" || len(name) > maxMetricName:
		return 0, false
	}
	g.list = append(g.list, &core.Metric{Name: name, Sort: sort})
	return uint32(len(g.list)), true
}

// with lets f use the metric of an id.
func (g *guestMetrics) with(id uint32, f func(m *core.Metric) status) status {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id == 0 || uint64(id) > uint64(len(g.list)) {
		return statusNotFound
	}
	return f(g.list[id-1])
}

func (g *guestMetrics) add(id uint32, delta int64) status {
	return g.with(id, func(m *core.Metric) status {
		if delta < 0 && m.Sort != core.Gauge || m.Sort == core.Histogram {
			return statusBadArgument
		}
		m.Value += float64(delta)
		return statusOK
	})
}

func (g *guestMetrics) record(id uint32, value uint64) status {
	return g.with(id, func(m *core.Metric) status {
		switch {
		case m.Sort == core.Histogram:
			m.Count++
			m.Value += float64(value)
		case m.Sort == core.Gauge:
			m.Value = float64(int64(value))
		case float64(value) < m.Value:
			return statusBadArgument // a counter never falls
		default:
			m.Value = float64(value)
		}
		return statusOK
	})
}

// all gives copies of the metrics.
func (g *guestMetrics) all(system string) []core.Metric {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]core.Metric, 0, len(g.list))
	for _, m := range g.list {
		c := *m
		c.System = system
		out = append(out, c)
	}
	return out
}

// metricsBook keeps the metrics of each system while any guest of it lives: a
// system that is replaced goes on counting.
type metricsBook struct {
	mu   sync.Mutex
	open map[string]*bookEntry // by triplet
}

type bookEntry struct {
	guestMetrics
	refs int
}

func (b *metricsBook) take(system string) *guestMetrics {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = map[string]*bookEntry{}
	}
	e := b.open[system]
	if e == nil {
		e = &bookEntry{}
		b.open[system] = e
	}
	e.refs++
	return &e.guestMetrics
}

func (b *metricsBook) leave(system string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.open[system]; e != nil {
		if e.refs--; e.refs == 0 {
			delete(b.open, system)
		}
	}
}

// Metrics yields what the guests of all systems count for themselves.
func (k *Kind) Metrics() iter.Seq[core.Metric] {
	return func(yield func(core.Metric) bool) {
		k.metrics.mu.Lock()
		var all []core.Metric
		for system, e := range k.metrics.open {
			all = append(all, e.all(system)...)
		}
		k.metrics.mu.Unlock()
		for _, m := range all {
			if !yield(m) {
				return
			}
		}
	}
}
