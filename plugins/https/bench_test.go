package https

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// BenchmarkDo compares a call with what a plain, tuned transport needs for the
// same exchange: 1 KiB of JSON over TLS, 16 callers.
func BenchmarkDo(b *testing.B) {
	answer := bytes.Repeat([]byte("j"), 1024)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"application/json"}
		_, _ = w.Write(answer)
	})
	for _, proto := range []struct {
		name   string
		change func(*httptest.Server)
	}{{"http1", nil}, {"http2", overHTTP2}} {
		ca := newAuthority(b, "ca")
		s := ca.server(b, h, proto.change)
		b.Run(proto.name+"/conn", func(b *testing.B) {
			c := ca.dial(b, s.URL, nil)
			m := get("createObject", "Accept", "application/json", "User-Agent", "bench", "Authorization", "Bearer x", "Cookie", "a=b", "Accept-Encoding", "gzip")
			run(b, func(buf []byte) error {
				got, err := c.Do(b.Context(), m)
				if err != nil {
					return err
				}
				return drain(got.Response.Body.Open(), buf)
			})
		})
		b.Run(proto.name+"/transport", func(b *testing.B) {
			tr := &http.Transport{
				TLSClientConfig:   &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS12},
				ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1024, DisableCompression: true,
			}
			defer tr.CloseIdleConnections()
			run(b, func(buf []byte) error {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL+"/createObject", nil)
				if err != nil {
					return err
				}
				for _, f := range []string{"Accept", "User-Agent", "Cookie", "Accept-Encoding", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"} {
					req.Header.Set(f, "application/json")
				}
				resp, err := tr.RoundTrip(req)
				if err != nil {
					return err
				}
				return drain(resp.Body, buf)
			})
		})
	}
}

func run(b *testing.B, call func([]byte) error) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 32<<10)
		for pb.Next() {
			if err := call(buf); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func drain(r io.ReadCloser, buf []byte) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return err
}

// BenchmarkReverseProxy is the same exchange through the standard reverse
// proxy, tuned: what the whole road is compared with.
func BenchmarkReverseProxy(b *testing.B) {
	answer := bytes.Repeat([]byte("j"), 1024)
	ca := newAuthority(b, "ca")
	s := ca.server(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }), overHTTP2)
	target, err := url.Parse(s.URL)
	if err != nil {
		b.Fatal(err)
	}
	p := &httputil.ReverseProxy{
		BufferPool: &buffers{},
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1024, DisableCompression: true,
		},
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() },
	}
	run(b, func([]byte) error {
		req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "https://gateway.example/createObject", nil)
		p.ServeHTTP(&sink{header: http.Header{}}, req)
		return nil
	})
}

type buffers struct{ pool sync.Pool }

// Get gives a buffer.
func (p *buffers) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

// Put takes it back.
func (p *buffers) Put(b []byte) { p.pool.Put(&b) }

type sink struct{ header http.Header }

// Header is written to and thrown away.
func (s *sink) Header() http.Header { return s.header }

// Write throws away.
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader does nothing.
func (s *sink) WriteHeader(int) {}

// BenchmarkRequest is what Do adds in front of forwarding.
func BenchmarkRequest(b *testing.B) {
	root, err := parseRootURL("https://origin.example/base")
	if err != nil {
		b.Fatal(err)
	}
	c := &conn{root: root}
	m := get("createObject", "Accept", "application/json", "User-Agent", "bench", "Authorization", "Bearer x", "Cookie", "a=b", "Accept-Encoding", "gzip")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.header(b.Context(), m); err != nil {
			b.Fatal(err)
		}
		_ = c.root.target(m.Route.Tail)
	}
}
