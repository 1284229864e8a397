package https

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

func protocols() map[string]func(*httptest.Server) {
	return map[string]func(*httptest.Server){"over HTTP 1": nil, "over HTTP 2": overHTTP2}
}

func TestContentCodingsPassAsTheyAre(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(bytes.Repeat([]byte("bomb"), 1<<16))
	_ = w.Close()
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			var accepted atomic.Value
			s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				accepted.Store(strings.Join(r.Header["Accept-Encoding"], "|"))
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = w.Write(packed.Bytes())
			}), change)
			c := ca.dial(t, s.URL, nil)
			for _, coding := range []string{"gzip", "br;q=1, gzip", "identity"} {
				m, err := c.Do(t.Context(), get("x", "Accept-Encoding", coding))
				if got := read(t, m, err); got != packed.String() || m.Response.Header.Get("Content-Encoding") != "gzip" {
					t.Errorf("%d bytes, coding %q", len(got), m.Response.Header.Get("Content-Encoding"))
				}
				if accepted.Load() != coding {
					t.Errorf("the endpoint saw %q, want %q", accepted.Load(), coding)
				}
			}
		})
	}
}

// trailing is a body whose trailer is complete at its end.
type trailing struct {
	io.Reader
	trailer http.Header
}

// Read fills the trailer in at the end.
func (b *trailing) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		b.trailer["X-Sum"] = []string{"7"}
		b.trailer["Authorization"] = []string{"secret"}
	}
	return n, err
}

// Close does nothing.
func (b *trailing) Close() error { return nil }

func TestTrailersPassBothWays(t *testing.T) {
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Trailer", "X-Answer, X-Te")
				_, _ = io.Copy(w, r.Body)
				w.Header().Set("X-Answer", r.Trailer.Get("X-Sum")+"/"+r.Trailer.Get("Authorization"))
				w.Header().Set("X-Te", r.Header.Get("Te"))
				w.Header().Set(http.TrailerPrefix+"Set-Cookie", "bad")
			}), change)
			c := ca.dial(t, s.URL, nil)
			in := &trailing{strings.NewReader("abc"), http.Header{"X-Sum": nil, "Authorization": nil, "Content-Length": nil}}
			m := post("x", core.StreamBody(in, -1).WithTrailer(func() http.Header { return in.trailer }))
			m.Request.Header = m.Request.Header.With("Te", "deflate;q=0.5, trailers")
			m, err := c.Do(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if _, announced := m.Response.Body.Trailer()["X-Answer"]; !announced {
				t.Errorf("announced: %v", m.Response.Body.Trailer())
			}
			if got := read(t, m, nil); got != "abc" {
				t.Errorf("body %q", got)
			}
			tr := m.Response.Body.Trailer()
			if tr.Get("X-Answer") != "7/" || tr.Get("X-Te") != "trailers" || tr["Set-Cookie"] != nil {
				t.Errorf("trailer %v", tr)
			}
		})
	}
}

func TestAWebSocketBecomesATunnel(t *testing.T) {
	for proto, change := range protocols() {
		t.Run(proto, func(t *testing.T) {
			ca := newAuthority(t, "ca")
			s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" || strings.Contains(r.Header.Get("Cookie"), "vcloud_jwt") {
					t.Errorf("credentials in the handshake: %v", r.Header)
				}
				if r.Header.Get("Sec-Websocket-Key") == "" || r.Header.Get("Upgrade") != "websocket" || r.ProtoMajor != 1 {
					t.Errorf("handshake: %s %v", r.Proto, r.Header)
				}
				raw, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = raw.Close() }()
				_, _ = io.WriteString(raw, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: a\r\n\r\n")
				_, _ = io.Copy(raw, rw)
			}), change)
			c := ca.dial(t, s.URL, nil)
			ctx, cancel := context.WithCancel(t.Context())
			m, err := c.Do(ctx, handshake("vcloud_jwt=secret"))
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			r := m.Response
			if r.Status != 101 || r.Upgraded == nil || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" || r.Header.Get("Sec-Websocket-Accept") == "" {
				t.Fatalf("status %d, %v", r.Status, r.Header.Clone())
			}
			if inFlight(c) != 1 {
				t.Errorf("%d in flight, want the tunnel", inFlight(c))
			}
			if err := r.Upgraded.Close(); err != nil {
				t.Error(err)
			}
			if inFlight(c) != 0 {
				t.Errorf("%d in flight after Close", inFlight(c))
			}
		})
	}
}

func handshake(cookie string) core.Message {
	m := get("ws", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Version", "13",
		"Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Cookie", cookie, "Authorization", "Bearer secret")
	m.Request.Upgrade = "websocket"
	return m
}

func TestASilentTunnelEnds(t *testing.T) {
	ca := newAuthority(t, "ca")
	o := newRawOrigin(t, ca)
	stop := make(chan struct{})
	defer close(stop)
	o.serve(func(_ *http.Request, w io.Writer) bool {
		_, _ = io.WriteString(w, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
		<-stop
		return false
	})
	c := ca.dial(t, o.url, func(o *Options) { o.IdleTimeout = 50 * time.Millisecond })
	m, err := c.Do(t.Context(), handshake(""))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(m.Response.Upgraded)
	if string(b) != "hello" {
		t.Errorf("read %q", b)
	}
	fails(t, err, core.Timeout, "silent")
	_ = m.Response.Upgraded.Close()
	if inFlight(c) != 0 {
		t.Errorf("%d in flight", inFlight(c))
	}
}

func TestTooManyInFlightAreUnavailable(t *testing.T) {
	ca := newAuthority(t, "ca")
	s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}), nil)
	c := ca.dial(t, s.URL, func(o *Options) { o.MaxInFlight = 1 })
	m, err := c.Do(t.Context(), get("x"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(t.Context(), get("x"))
	fails(t, err, core.Unavailable, "1 calls are in flight")
	_ = m.Response.Body.Close()
}
