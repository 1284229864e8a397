package gateway_test

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// origin is an HTTPS server that remembers what it was sent.
type origin struct {
	*httptest.Server
	mu      sync.Mutex
	seen    []seen
	handler http.HandlerFunc // nil: 200 with the body that came
}

// seen is a request as the origin saw it.
type seen struct {
	method, target, host, proto string
	header                      http.Header
	body                        string
}

func newOrigin(t *testing.T, handler http.HandlerFunc) *origin {
	t.Helper()
	return startOrigin(t, handler, func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() })
}

func startOrigin(t *testing.T, handler http.HandlerFunc, start func(*httptest.Server)) *origin {
	t.Helper()
	o := &origin{handler: handler}
	o.Server = httptest.NewUnstartedServer(o)
	o.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(o.Server)
	t.Cleanup(func() {
		o.CloseClientConnections()
		o.Close()
	})
	return o
}

// ServeHTTP remembers and answers.
func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := seen{method: r.Method, target: r.RequestURI, host: r.Host, proto: r.Proto, header: r.Header.Clone()}
	if o.handler == nil {
		b, _ := io.ReadAll(r.Body)
		s.body = string(b)
	}
	o.mu.Lock()
	o.seen = append(o.seen, s)
	o.mu.Unlock()
	if o.handler != nil {
		o.handler(w, r)
		return
	}
	_, _ = io.WriteString(w, s.body)
}

// take gives what was seen since it was last asked.
func (o *origin) take() []seen {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.seen
	o.seen = nil
	return s
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}
