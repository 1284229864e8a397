package forward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/annex-gateway/annex/core"
)

const (
	keepAlive      = 15 * time.Second
	idleConnection = 90 * time.Second
	maxReplyHeader = 64 << 10
	maxIdle        = 256
	streamWindow   = 1 << 20 // what an HTTP/2 stream may bring before it is read
)

// generation is a transport together with the pool its connections were
// checked against. It knows its connections, for a transport on its own does
// not close those that are just about to become idle.
type generation struct {
	pool      *x509.CertPool
	transport *http.Transport
	dialer    *net.Dialer
	live      int // exchanges; guarded by the mutex of the server

	mu     sync.Mutex
	conns  map[*tracked]struct{}
	closed bool
}

func (s *Server) newGeneration(pool *x509.CertPool) *generation {
	o := &s.opts
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(!o.HTTP1Only)
	g := &generation{pool: pool, dialer: o.dialer(), conns: map[*tracked]struct{}{}}
	g.transport = &http.Transport{
		DialContext:            g.dial,
		TLSClientConfig:        tlsConfig(pool),
		TLSHandshakeTimeout:    o.DialTimeout,
		ResponseHeaderTimeout:  o.AnswerTimeout,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        idleConnection,
		MaxIdleConnsPerHost:    min(maxIdle, o.MaxInFlight),
		MaxResponseHeaderBytes: maxReplyHeader,
		DisableCompression:     true,
		Protocols:              protocols,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: streamWindow,
			SendPingTimeout:           keepAlive,
			PingTimeout:               keepAlive,
		},
	}
	return g
}

// tlsConfig trusts pool, or this machine's authorities when it is nil.
func tlsConfig(pool *x509.CertPool) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
}

func (g *generation) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := g.dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	t := &tracked{Conn: c, of: g}
	g.mu.Lock()
	closed := g.closed
	if !closed {
		g.conns[t] = struct{}{}
	}
	g.mu.Unlock()
	if closed {
		_ = c.Close()
		return nil, core.Errorf(core.Unavailable, "the connection came too late to be used")
	}
	return t, nil
}

// close ends every connection. There are no exchanges any more, or none that
// may go on.
func (g *generation) close() {
	g.transport.CloseIdleConnections()
	g.mu.Lock()
	g.closed = true
	conns := g.conns
	g.conns = nil
	g.mu.Unlock()
	for c := range conns {
		_ = c.Conn.Close()
	}
}

// tracked is a connection that its generation knows.
type tracked struct {
	net.Conn
	of *generation
}

// Close closes the connection and lets the generation forget it.
func (t *tracked) Close() error {
	t.of.mu.Lock()
	delete(t.of.conns, t)
	t.of.mu.Unlock()
	return t.Conn.Close()
}

// refusedAddress is what the guard said of the address that was about to be
// dialled.
type refusedAddress struct{ err error }

// Error is for the log.
func (r *refusedAddress) Error() string { return "dial refused: " + r.err.Error() }

// Unwrap returns what the guard said.
func (r *refusedAddress) Unwrap() error { return r.err }

// control runs after the name was looked up and before a packet leaves, so
// that no second look-up can bring in another address.
func (o *Options) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusedAddress{err}
	}
	if err := o.Guard(ap); err != nil {
		return &refusedAddress{err}
	}
	return nil
}

func (o *Options) dialer() *net.Dialer {
	return &net.Dialer{
		Timeout:  o.DialTimeout,
		Resolver: o.Resolver,
		Control:  o.control,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: keepAlive, Interval: keepAlive, Count: 3,
		},
	}
}
