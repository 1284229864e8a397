package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/annex-gateway/annex/core"
)

// The fields of W3C trace context, named canonically.
const (
	traceParent = "Traceparent"
	traceState  = "Tracestate"
)

// traceContext reads the trace context of a request and removes one that
// cannot be used, so that nobody behind the gateway has to doubt it.
func traceContext(h http.Header) trace.SpanContext {
	if len(h[traceParent]) == 0 && len(h[traceState]) == 0 {
		return trace.SpanContext{}
	}
	if len(h[traceParent]) == 1 {
		ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(h))
		if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
			if sc.TraceState().Len() == 0 {
				delete(h, traceState)
			}
			return sc
		}
	}
	delete(h, traceParent)
	delete(h, traceState)
	return trace.SpanContext{}
}

// tracer makes spans and has them exported.
type tracer struct {
	provider *sdktrace.TracerProvider
	spans    trace.Tracer
}

func newTracer(ctx context.Context, opts Options, failures prometheus.Counter) (*tracer, error) {
	u, err := url.Parse(opts.OTLPEndpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return nil, core.Errorf(core.Invalid, "the OTLP endpoint %q is not of the form \"http://host:4318\"", opts.OTLPEndpoint)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithTimeout(10*time.Second),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	if err != nil {
		return nil, core.WrapError(core.Invalid, err, "spans cannot be exported to %s", opts.OTLPEndpoint)
	}
	p := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&countingExporter{SpanExporter: exporter, failures: failures, log: opts.Log}),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(max(0, opts.SampleRatio)))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "annex"), attribute.String("service.version", opts.Version),
		)),
	)
	return &tracer{provider: p, spans: p.Tracer("annex")}, nil
}

func (t *tracer) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

func (t *tracer) begin(ctx context.Context, parent trace.SpanContext) (context.Context, trace.Span) {
	if parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	return t.spans.Start(ctx, "call", trace.WithSpanKind(trace.SpanKindServer))
}

func (t *tracer) end(c *Call, place Place) {
	if c.span.IsRecording() {
		c.span.SetName(clean(c.Method, 16) + " " + place.String())
		c.span.SetAttributes(
			attribute.String("http.request.method", clean(c.Method, 32)), attribute.String("url.path", clean(c.Path, maxPath)),
			attribute.Int("http.response.status_code", c.Status), attribute.String("annex.request_id", c.ID),
			attribute.String("client.address", c.Remote.String()),
		)
		if c.Status == 0 || c.Status >= http.StatusInternalServerError {
			c.span.SetStatus(codes.Error, "")
		}
	}
	c.span.End()
}

func (t *tracer) beginVisit(ctx context.Context, v core.Event, h core.Header) (context.Context, core.Header) {
	ctx, span := t.spans.Start(ctx, "visit", trace.WithSpanKind(trace.SpanKindClient))
	if span.IsRecording() {
		system := v.System
		if system == "" {
			system = "native"
		}
		span.SetAttributes(attribute.String("annex.system", system), attribute.String("annex.filter", v.Filter))
	}
	return ctx, h.Edit(func(h http.Header) {
		delete(h, traceState)
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
	})
}

func (t *tracer) endVisit(ctx context.Context, e core.Event) {
	span := trace.SpanFromContext(ctx)
	if span.IsRecording() {
		span.SetName("visit " + e.Step)
		span.SetAttributes(attribute.String("annex.outcome", outcome(e)))
		if e.Status != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", e.Status))
		}
		if e.Err != nil {
			span.SetStatus(codes.Error, clean(core.ErrorMessage(e.Err), maxPath))
		}
	}
	span.End()
}

// countingExporter keeps failures to export from going to a logger that is not
// ours, and from filling the one that is.
type countingExporter struct {
	sdktrace.SpanExporter
	failures prometheus.Counter
	log      *slog.Logger
	quiet    atomic.Bool // the failure has been logged
}

// ExportSpans exports, or counts.
func (e *countingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		e.quiet.Store(false)
		return nil
	}
	e.failures.Inc()
	if e.quiet.CompareAndSwap(false, true) {
		e.log.Warn("the trace collector does not take spans; they are dropped until it does", "err", err)
	}
	return nil
}
