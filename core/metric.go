package core

import "iter"

// MetricSort is what a metric is.
type MetricSort string

// The sorts of metrics.
const (
	Counter   MetricSort = "counter"   // only grows
	Gauge     MetricSort = "gauge"     // stands as it does now
	Histogram MetricSort = "histogram" // how many values there were, and their sum
)

// Metric is something that a system counts by itself.
type Metric struct {
	System string // the triplet
	Name   string // the system's own word; any text
	Sort   MetricSort
	Value  float64 // of a histogram the sum
	Count  uint64  // of a histogram
}

// MetricSource is offered by a Kind whose systems count for themselves.
type MetricSource interface {
	Metrics() iter.Seq[Metric]
}
