// Package forward sends requests on to one HTTP server and gives back what it
// answers, streaming both ways.
//
// Path and query are written as they are given. Fields that belong to the
// connection or could pass for the gateway's own word are removed in both
// directions. Redirects, content codings and trailers pass untouched, and a
// WebSocket becomes a tunnel.
//
// The context of a call bounds it up to the header of the answer; from there
// on an idle limit holds, and closing the body ends the exchange. Nothing else
// waits without a bound.
package forward

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/core"
)

// Options are what can be set; the zero Options works.
type Options struct {
	// Name is how texts call the server; default "the server".
	Name string
	// Closed says why no more calls are made after Close; default "the gateway
	// is stopping, or its settings have changed,".
	Closed string
	// Authorities says where certificate authorities are added; default "those
	// that this gateway trusts".
	Authorities string
	// Trust gives the certificate authorities that the server is checked
	// against. Another pool than before takes effect with the next call: it
	// opens new connections, and the idle ones made under the old pool are
	// dropped. A nil pool trusts nobody. A nil Trust is that of this machine.
	Trust func() *x509.CertPool
	// Guard judges every address before it is dialled; nil allows all.
	Guard func(netip.AddrPort) error
	// Resolver looks the host up; nil is the machine's.
	Resolver *net.Resolver
	// HTTP1Only keeps HTTP/2 from being offered. Without TLS it is never
	// spoken.
	HTTP1Only bool
	// DialTimeout bounds connecting, and once more the TLS handshake;
	// default 10 s.
	DialTimeout time.Duration
	// AnswerTimeout bounds the wait for the answer's header after the request
	// was sent; default 60 s.
	AnswerTimeout time.Duration
	// IdleTimeout bounds a standstill of a body, and the silence in both
	// directions of a WebSocket; default 5 min.
	IdleTimeout time.Duration
	// CloseTimeout bounds how long Close lets calls in flight go on;
	// default 10 s.
	CloseTimeout time.Duration
	// MaxInFlight bounds the exchanges at a time, WebSockets included;
	// default 4096.
	MaxInFlight int
	// Log is where it logs; nil: nowhere.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Name = cmp.Or(o.Name, "the server")
	o.Closed = cmp.Or(o.Closed, "the gateway is stopping, or its settings have changed,")
	o.Authorities = cmp.Or(o.Authorities, "those that this gateway trusts")
	if o.Guard == nil {
		o.Guard = func(netip.AddrPort) error { return nil }
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.DialTimeout, 10*time.Second)
	setDefault(&o.AnswerTimeout, time.Minute)
	setDefault(&o.IdleTimeout, 5*time.Minute)
	setDefault(&o.CloseTimeout, 10*time.Second)
	setDefault(&o.MaxInFlight, 4096)
	return o
}

func setDefault[T int | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}

// Server is the server that requests are sent on to. It is safe for
// concurrent use.
type Server struct {
	tls    bool
	host   string // as in a Host field
	opts   Options
	nobody *x509.CertPool // trusts nobody
	health health

	mu      sync.Mutex
	gen     *generation // of the latest pool; nil before the first call
	live    map[*exchange]struct{}
	closed  bool
	drained chan struct{} // closed once the Server is, and nothing is live
}

// New makes a Server of a scheme, "http" or "https", and a host with an
// optional port. It does not dial.
func New(scheme, host string, opts Options) *Server {
	return &Server{
		tls: scheme == "https", host: host, opts: opts.withDefaults(), nobody: x509.NewCertPool(),
		live: map[*exchange]struct{}{}, drained: make(chan struct{}),
	}
}

// Do sends the request on and gives the answer. Its body, or the connection
// past an upgrade, outlives Do; closing it ends the exchange.
func (s *Server) Do(ctx context.Context, r Request) (core.Response, error) {
	if ctx.Err() != nil {
		return core.Response{}, s.contextError(ctx)
	}
	// The time limit and the cancellation of ctx hold up to the answer's
	// header; the body has its own life.
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	x, err := s.begin(cancel)
	if err != nil {
		cancel()
		return core.Response{}, err
	}
	answered := false
	defer func() {
		if !answered { // after an error, or a panic in the body
			x.end()
		}
	}()
	answer, err := x.do(ctx, whole, r)
	answered = err == nil
	return answer, err
}

// begin takes an exchange into account. It opens a new generation when the
// trust has another pool than before.
func (s *Server) begin(cancel context.CancelFunc) (*exchange, error) {
	pool := s.pool()
	s.mu.Lock()
	switch n := len(s.live); {
	case s.closed:
		s.mu.Unlock()
		return nil, core.Errorf(core.Unavailable, "%s is no longer called: %s a moment ago; try again", s.opts.Name, s.opts.Closed)
	case n >= s.opts.MaxInFlight:
		s.mu.Unlock()
		return nil, core.Errorf(core.Unavailable, "%s: %d calls are in flight already, try again later", s.opts.Name, n)
	}
	old, gen := s.generation(pool)
	x := newExchange(s, gen, cancel)
	gen.live++
	s.live[x] = struct{}{}
	unused := old != nil && old.live == 0
	s.mu.Unlock()
	retire(old, unused)
	return x, nil
}

func (s *Server) pool() *x509.CertPool {
	if !s.tls || s.opts.Trust == nil {
		return nil
	}
	if pool := s.opts.Trust(); pool != nil {
		return pool
	}
	return s.nobody
}

// generation gives the one for pool, and the one that it replaces. The mutex
// is held.
func (s *Server) generation(pool *x509.CertPool) (old, now *generation) {
	if s.gen == nil || s.gen.pool != pool {
		old, s.gen = s.gen, s.newGeneration(pool)
	}
	return old, s.gen
}

func retire(old *generation, unused bool) {
	switch {
	case unused:
		old.close()
	case old != nil:
		old.transport.CloseIdleConnections()
	}
}

// Close lets exchanges end for CloseTimeout and cuts the rest, streams and
// tunnels among them.
func (s *Server) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	if first && len(s.live) == 0 {
		close(s.drained)
	}
	s.mu.Unlock()
	if !first {
		return nil
	}
	s.health.stop()
	limit := time.NewTimer(s.opts.CloseTimeout)
	defer limit.Stop()
	select {
	case <-s.drained:
	case <-limit.C:
		s.cut()
	}
	if s.gen != nil {
		s.gen.close()
	}
	return nil
}

func (s *Server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Log.Warn("closed with exchanges in flight", "server", s.opts.Name, "cut", len(s.live), "after", s.opts.CloseTimeout)
	for x := range s.live {
		x.abort(core.Errorf(core.Unavailable, "%s: %s during the call", s.opts.Name, s.opts.Closed))
	}
}

// Name is how texts call the server.
func (s *Server) Name() string { return s.opts.Name }

// InFlight is how many exchanges have begun and not ended, WebSockets
// included.
func (s *Server) InFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live)
}

func (s *Server) contextError(ctx context.Context) *core.Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return core.WrapError(core.Timeout, ctx.Err(), "%s did not answer in the time that the call has", s.opts.Name)
	}
	return core.WrapError(core.Unavailable, ctx.Err(), "the call to %s was given up", s.opts.Name)
}

// exchange is one call, from the start of Do to the end of the answer's body
// or of the tunnel.
type exchange struct {
	server    *Server
	gen       *generation
	cancel    context.CancelFunc
	ended     atomic.Bool
	why       atomic.Pointer[core.Error] // set when we ended it before its time
	upload    *upload                    // nil without a streamed request body
	receiving silence
}

func newExchange(s *Server, g *generation, cancel context.CancelFunc) *exchange {
	x := &exchange{server: s, gen: g, cancel: cancel}
	x.receiving.limit = s.opts.IdleTimeout
	x.receiving.over = func() {
		x.abort(core.Errorf(core.Timeout, "%s has been silent for %s", s.opts.Name, s.opts.IdleTimeout))
	}
	return x
}

func (x *exchange) do(ctx, whole context.Context, r Request) (core.Response, error) {
	req, err := x.request(whole, r)
	if err != nil {
		return core.Response{}, err
	}
	stop := context.AfterFunc(ctx, func() { x.abort(x.server.contextError(ctx)) })
	resp, err := x.roundTrip(whole, req)
	inTime := stop()
	if err != nil {
		return core.Response{}, x.failure(err)
	}
	x.server.health.seen()
	if !inTime {
		_ = resp.Body.Close()
		return core.Response{}, x.server.contextError(ctx)
	}
	answer, err := x.answer(whole, req, resp)
	if err != nil {
		x.end() // first, so that Close need not wait for the server
		_ = resp.Body.Close()
		// A reply without a body is back among the idle connections already.
		x.gen.transport.CloseIdleConnections()
	}
	return answer, err
}

// roundTrip returns soon after whole ends. With a streamed body net/http alone
// would not: it waits for the client's next byte first.
func (x *exchange) roundTrip(whole context.Context, req *http.Request) (*http.Response, error) {
	if x.upload == nil {
		return x.gen.transport.RoundTrip(req)
	}
	type result struct {
		resp *http.Response
		err  error
	}
	x.upload.sending.start()
	defer x.upload.sending.stop()
	results := make(chan result)
	go func() {
		resp, err := x.gen.transport.RoundTrip(req)
		select {
		case results <- result{resp, err}:
		case <-whole.Done():
			if err == nil {
				_ = resp.Body.Close()
			}
		}
	}()
	select {
	case r := <-results:
		return r.resp, r.err
	case <-whole.Done():
		return nil, whole.Err()
	}
}

// end frees what the exchange holds. Only the first time counts.
func (x *exchange) end() {
	if !x.ended.CompareAndSwap(false, true) {
		return
	}
	x.cancel()
	x.upload.stop()
	x.receiving.stop()
	s := x.server
	s.mu.Lock()
	delete(s.live, x)
	x.gen.live--
	unused := x.gen.live == 0 && (s.closed || x.gen != s.gen)
	last := s.closed && len(s.live) == 0
	s.mu.Unlock()
	if unused {
		x.gen.close()
	}
	if last {
		close(s.drained)
	}
}

// abort ends the exchange before its time; whoever waits for it gets why.
func (x *exchange) abort(why *core.Error) {
	x.why.CompareAndSwap(nil, why)
	x.cancel()
}
