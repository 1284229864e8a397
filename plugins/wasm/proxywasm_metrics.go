package wasm

import (
	"context"

	"github.com/annex-gateway/annex/core"
)

func (v *proxyVM) defineMetric(_ context.Context, p params) status {
	name, st := v.text(p, 1, maxMetricName)
	sorts := []core.MetricSort{core.Counter, core.Gauge, core.Histogram}
	switch {
	case st != statusOK:
		return st
	case !v.writable(p.u32(3)):
		return statusMemory
	case p.u32(0) >= uint32(len(sorts)):
		return statusBadArgument
	}
	id, ok := v.metrics().define(sorts[p.u32(0)], name)
	if !ok {
		return statusInternalFailure
	}
	return v.putU32(p.u32(3), id)
}

func (v *proxyVM) metrics() *guestMetrics { return v.guest.pool.metrics }

func (v *proxyVM) incrementMetric(_ context.Context, p params) status {
	return v.metrics().add(p.u32(0), int64(p[1]))
}

func (v *proxyVM) recordMetric(_ context.Context, p params) status {
	return v.metrics().record(p.u32(0), p[1])
}

func (v *proxyVM) getMetric(_ context.Context, p params) status {
	if _, ok := v.mem.Read(p.u32(1), 8); !ok {
		return statusMemory
	}
	return v.metrics().with(p.u32(0), func(m *core.Metric) status {
		return v.putU64(p.u32(1), uint64(int64(m.Value)))
	})
}
