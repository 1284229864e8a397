package gateway

import (
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/telemetry"
	"github.com/annex-gateway/annex/storage"
)

// Options say what a gateway is made of. Store and Kinds are needed; the zero
// value of everything else works.
type Options struct {
	// Store keeps what is registered. The gateway does not close it. One that
	// is a [core.Prober] too counts for readiness.
	Store storage.Store
	// Kinds makes the ways of reaching external systems.
	Kinds func(core.Host) ([]core.Kind, error)
	// Upstream is the API that is being extended; without a URL the small one
	// that is built in.
	Upstream Upstream
	// BuiltIn keeps all of the built-in API in front of an upstream.
	BuiltIn bool
	Log     *slog.Logger
	Now     func() time.Time
	// AdminPassword is the first password of administrator@System. When it is
	// empty, and there is no administrator yet, one is generated.
	AdminPassword string

	// PublicURL is how clients reach the gateway, such as
	// "https://api.example.com". Empty: as their requests say.
	PublicURL string
	// TrustedProxies are the networks of proxies in front of the gateway.
	// Theirs are the only X-Forwarded-For, -Proto and -Host, or Forwarded,
	// fields that count.
	TrustedProxies []netip.Prefix
	// CORS lets pages of other origins call the gateway.
	CORS CORS
	// Limits bounds what clients send, and how slowly.
	Limits Limits

	// Issuer names the gateway in the tokens that it signs; "annex" by
	// default. Tokens of another issuer are refused.
	Issuer string
	// SessionTTL is how long a login lasts; 24 hours by default.
	SessionTTL time.Duration
	// KeyPeriod is how long a signing key signs; 30 days by default, and for
	// ever when it is negative.
	KeyPeriod time.Duration
	// IdentityClient gives the client that asks identity providers for their
	// keys: those whose server certificates roots has signed, nil for the
	// machine's. By default connections are made directly, and to no link-local,
	// multicast or unspecified address.
	IdentityClient func(roots *x509.CertPool) *http.Client

	// AccessLog takes one line of JSON for each call; nil for none.
	AccessLog io.Writer
	// OTLPEndpoint is the URL of an OpenTelemetry collector that takes OTLP
	// over HTTP, such as "http://localhost:4318". Empty: no tracing.
	OTLPEndpoint string
	// TraceRatio is the part of the calls that is traced if the client has not
	// decided: 1 by default, and none when it is negative.
	TraceRatio float64
	// Version of the program, for metrics and spans.
	Version string
	// Trace, when set, is told about every visit and decision on the road.
	Trace func(ctx context.Context, e core.Event)
}

// CORS says which pages of other origins may call the gateway from a browser.
// The zero CORS allows none.
type CORS struct {
	// Origins are of the form "https://ui.example.com", or "*" for all.
	Origins []string
	// Credentials allows calls with cookies. It needs origins by name.
	Credentials bool
	// MaxAge is how long browsers may keep what they were told; 10 minutes by
	// default.
	MaxAge time.Duration
}

// Limits bounds what clients may ask of the gateway's own part. A zero limit
// means the default.
type Limits struct {
	// AdminBody is how large the body of an administrative call may be; 1 MiB.
	AdminBody int64
	// Module is how large an uploaded WASM module may be; 64 MiB.
	Module int64
	// BodyIdle is how long a client may pause within a body that is being
	// read; 30 seconds.
	BodyIdle time.Duration
	// AdminTime is how long the body of an administrative call may take, in
	// all; one minute. A module may take ten times that.
	AdminTime time.Duration
	// WriteIdle is how long a client may take nothing of an answer that is
	// there for it; 30 seconds.
	WriteIdle time.Duration
	// Visit bounds one visit to a system that does not stream; 60 seconds.
	Visit time.Duration
}

func (l *Limits) fill() {
	for _, d := range []struct {
		limit *time.Duration
		is    time.Duration
	}{{&l.BodyIdle, 30 * time.Second}, {&l.AdminTime, time.Minute}, {&l.WriteIdle, 30 * time.Second}} {
		if *d.limit <= 0 {
			*d.limit = d.is
		}
	}
}

func (o *Options) fill() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = telemetry.Harmless(o.Log)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CORS.MaxAge <= 0 {
		o.CORS.MaxAge = 10 * time.Minute
	}
	o.Limits.fill()
}

func (o *Options) telemetry() telemetry.Options {
	return telemetry.Options{
		Log: o.Log, AccessLog: o.AccessLog, OTLPEndpoint: o.OTLPEndpoint, SampleRatio: o.TraceRatio, Version: o.Version,
	}
}

// publicURL reads PublicURL; nil when there is none.
func publicURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no URL is what it says
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return nil, core.Errorf(core.Invalid, "the public URL %q is not of the form \"https://host:port\"", s)
	}
	return u, nil
}

// NewServer makes an http.Server for the handler with the limits of an
// exposed gateway: header bytes and time, idle connections, HTTP/2 streams.
// Bodies have no limit here; who reads them sets one.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// "OPTIONS *" is refused like every target that is no path.
		DisableGeneralOptionsHandler: true,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 100, SendPingTimeout: time.Minute, PingTimeout: 15 * time.Second, WriteByteTimeout: 30 * time.Second,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
