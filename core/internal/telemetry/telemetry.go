// Package telemetry tells operators what the gateway does: it counts and times
// calls and visits, passes trace context on and exports spans, and writes the
// access log. Nothing of it makes a call wait.
package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/annex-gateway/annex/core"
)

// Options are what a Telemetry can be told. The zero Options counts, and
// neither traces nor logs.
type Options struct {
	Log *slog.Logger
	// AccessLog takes one line of JSON for each call; nil for none. It is
	// written to by one goroutine, and lines that it cannot take in time are
	// dropped and counted.
	AccessLog io.Writer
	// OTLPEndpoint is the URL of an OpenTelemetry collector that takes OTLP
	// over HTTP, such as "http://localhost:4318". Empty: calls are not traced.
	OTLPEndpoint string
	// SampleRatio is the part of the calls that is traced if the client has
	// not decided: 1 by default, and none when it is negative.
	SampleRatio float64
	// Version of the program, for spans and metrics.
	Version string
}

// Telemetry is where the gateway reports. It is safe for concurrent use.
type Telemetry struct {
	opts    Options
	metrics *metrics
	tracer  *tracer    // nil: off
	access  *accessLog // nil: off
}

// New starts a Telemetry. It fails with Invalid when the options cannot be
// used; a collector that does not answer is no failure.
func New(ctx context.Context, opts Options) (*Telemetry, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.SampleRatio == 0 {
		opts.SampleRatio = 1
	}
	t := &Telemetry{opts: opts, metrics: newMetrics(opts.Version)}
	if opts.OTLPEndpoint != "" {
		var err error
		if t.tracer, err = newTracer(ctx, opts, t.metrics.exportFailures); err != nil {
			return nil, err
		}
	}
	if opts.AccessLog != nil {
		t.access = newAccessLog(opts.AccessLog, t.metrics.dropped)
	}
	return t, nil
}

// Close writes out what is still to be written, within five seconds.
func (t *Telemetry) Close() error {
	var errs []error
	if t.access != nil {
		errs = append(errs, t.access.close())
	}
	if t.tracer != nil {
		errs = append(errs, t.tracer.close())
	}
	return errors.Join(errs...)
}

// closeTime bounds each part of Close.
const closeTime = 5 * time.Second

// Call is what is reported of one call. Whoever serves it fills it in as it
// becomes known, up to End.
type Call struct {
	ID, Method, Proto string
	Path              string // without the query, which may hold secrets
	Remote            netip.Addr
	User, Org         string // names; empty while nobody is known
	Status            int    // 0: the call was cut off without an answer
	Bytes             int64  // of the answer's body

	begun time.Time
	span  trace.Span
	trace string
}

// Begin starts the report of a call. Header is the request's: trace context in
// it that cannot be used is removed. The context is for the rest of the call.
func (t *Telemetry) Begin(ctx context.Context, c *Call, header http.Header) context.Context {
	c.begun = time.Now()
	t.metrics.inFlight.Add(1)
	parent := traceContext(header)
	if parent.IsValid() {
		c.trace = parent.TraceID().String()
	}
	if t.tracer != nil {
		ctx, c.span = t.tracer.begin(ctx, parent)
		c.trace = c.span.SpanContext().TraceID().String()
	}
	return ctx
}

// End finishes the report.
func (t *Telemetry) End(c *Call) {
	took := time.Since(c.begun)
	place := PlaceOf(c.Path)
	t.metrics.inFlight.Add(-1)
	t.metrics.call(place, c.Status, took)
	if c.span != nil {
		t.tracer.end(c, place)
	}
	if t.access != nil {
		t.access.add(line{
			Time: c.begun, ID: c.ID, Trace: c.trace, Remote: c.Remote, Method: c.Method, Path: c.Path, Proto: c.Proto,
			Place: place.String(), Status: c.Status, Bytes: c.Bytes, Took: took, User: c.User, Org: c.Org,
		})
	}
}

// BeginVisit starts the report of a visit: it gives the header of the request
// the trace context under which the visit is known.
func (t *Telemetry) BeginVisit(ctx context.Context, v core.Event, h core.Header) (context.Context, core.Header) {
	if t.tracer == nil {
		return ctx, h
	}
	return t.tracer.beginVisit(ctx, v, h)
}

// EndVisit finishes it. The context is what BeginVisit gave.
func (t *Telemetry) EndVisit(ctx context.Context, e core.Event) {
	t.metrics.visit(e)
	if t.tracer != nil {
		t.tracer.endVisit(ctx, e)
	}
}

// Metrics serves what was counted, in the form that Prometheus reads.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.metrics.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(t.opts.Log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: 4, Timeout: 30 * time.Second,
	})
}

// Register adds what others count.
func (t *Telemetry) Register(c prometheus.Collector) error { return t.metrics.registry.Register(c) }
