package wasm

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/annex-gateway/annex/core"
)

const (
	dialTimeout = 5 * time.Second
	// maxOutbound is the longest that one call of a guest to others may take.
	maxOutbound = 30 * time.Second
	// maxClusterName is how long a guest's name for a place may be.
	maxClusterName = 1 << 10
	// maxPending is how many of them one guest may have under way.
	maxPending = 100
)

// outbound makes the calls of guests to others: only where the registration
// says, and only to addresses that the operator's guard allows.
type outbound struct {
	guard func(netip.AddrPort) error
	trust func() *x509.CertPool

	mu        sync.Mutex
	pool      *x509.CertPool
	transport *http.Transport
}

func newOutbound(host core.Host, opts Options) *outbound {
	o := &outbound{guard: opts.Guard, trust: opts.Trust}
	if o.trust == nil {
		o.trust = func() *x509.CertPool { return nil }
	}
	if t, ok := host.(core.Truster); ok {
		own := o.trust
		o.trust = func() *x509.CertPool { return t.TrustPool(own()) }
	}
	return o
}

// client is for the certificates that are trusted now.
func (o *outbound) client() *http.Client {
	o.mu.Lock()
	defer o.mu.Unlock()
	if pool := o.trust(); o.transport == nil || pool != o.pool {
		if o.transport != nil {
			o.transport.CloseIdleConnections()
		}
		if o.pool = pool; pool == nil {
			pool = x509.NewCertPool()
		}
		dialer := &net.Dialer{Timeout: dialTimeout, Control: o.control}
		o.transport = &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout,
			TLSClientConfig:    &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
			DisableCompression: true, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 256 << 10,
		}
	}
	return &http.Client{
		Transport:     o.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// control judges the address that is about to be dialled, after the name was
// looked up.
func (o *outbound) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return o.guard(ap)
}

func (o *outbound) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.transport != nil {
		o.transport.CloseIdleConnections()
	}
}

// clusters are the places that a registration lets its guests call, by name.
type clusters map[string]*url.URL

// parseClusters reads the places of a registration. It looks nothing up.
func (k *Kind) parseClusters(in map[string]string) (clusters, error) {
	if len(in) > 0 && k.opts.Guard == nil {
		return nil, core.Errorf(core.Invalid, "clusters: this gateway lets no WASM extension call others")
	}
	out := clusters{}
	for name, s := range in {
		if name == "" || len(name) > 256 {
			return nil, core.Errorf(core.Invalid, "clusters: %q is no name: 1 to 256 bytes are needed", name)
		}
		u, err := parseOrigin(s)
		if err != nil {
			return nil, core.WrapError(core.Invalid, err, "clusters: %q must be a URL of scheme, host and port alone, such as https://host:port", name)
		}
		if err := k.checkLiteral(u); err != nil {
			return nil, core.WrapError(core.Invalid, err, "clusters: this gateway does not call the address of %q; the operator can allow private and loopback addresses", name)
		}
		out[name] = u
	}
	return out, nil
}

var errOrigin = errors.New("more or less than scheme, host and port")

func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, err
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errOrigin
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return nil, errOrigin
	}
	return u, nil
}

// checkLiteral tells at registration what the guard would say on every call.
func (k *Kind) checkLiteral(u *url.URL) error {
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return nil //nolint:nilerr // a name is judged when it is dialled
	}
	port := uint16(443)
	if u.Scheme == "http" {
		port = 80
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		port = uint16(n)
	}
	return k.opts.Guard(netip.AddrPortFrom(addr, port))
}

// find gives the place that a guest names. Some plugins name a place by its
// host and port, or as service discovery writes it: the last part counts then.
func (c clusters) find(name string) *url.URL {
	if u := c[name]; u != nil {
		return u
	}
	last := name[strings.LastIndexByte(name, '|')+1:]
	return c[last]
}

// callRequest is a call of a guest to others.
type callRequest struct {
	method, target string
	at             *url.URL
	host           string // of the Host field; empty for that of the place
	header         http.Header
	body           []byte
	timeout        time.Duration
	held           *allowance // of the system; nil where each guest has one call at a time
}

// callResult is what came back. Without a header the call has failed.
type callResult struct {
	status  int
	header  []pair
	trailer []pair
	body    []byte
	counted int // bytes of the allowance, to be given back
}

// outgoing are fields that belong to the connection or speak for the gateway.
func outgoing(name string) bool { return !framing(name) && !strings.HasPrefix(name, "X-Annex-") }

// do makes a call. It ends with ctx and with its own time.
func (o *outbound) do(ctx context.Context, c callRequest, limit int64) (*callResult, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.method, c.at.Scheme+"://"+c.at.Host+c.target, bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	for name, values := range c.header {
		if outgoing(name) {
			req.Header[name] = values
		}
	}
	req.Host = c.host
	resp, err := o.client().Do(req)
	if err != nil {
		return nil, err
	}
	src := &counted{ReadCloser: resp.Body, of: c.held}
	if c.held == nil {
		src.of = &allowance{most: limit + 1}
	}
	body, err := core.StreamBody(src, resp.ContentLength).Bytes(limit)
	if err != nil {
		_ = resp.Body.Close()
		src.of.give(src.read)
		return nil, err
	}
	return &callResult{status: resp.StatusCode, header: sortedPairs(resp.Header), trailer: sortedPairs(resp.Trailer), body: body, counted: src.read}, nil
}

func sortedPairs(h http.Header) []pair {
	var out []pair
	for _, n := range core.HeaderOf(h).Names() {
		for _, v := range h[n] {
			out = append(out, pair{strings.ToLower(n), v})
		}
	}
	return slices.Clip(out)
}

// allows reports whether a URL lies at one of the places.
func (c clusters) allows(u *url.URL) bool {
	for _, at := range c {
		if at.Scheme == u.Scheme && strings.EqualFold(at.Host, u.Host) {
			return true
		}
	}
	return false
}
