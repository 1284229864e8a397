// Package httpwasm runs the conformance kit of the http-wasm project,
// unmodified, against a gateway in front of the kit's backend.
package httpwasm

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"testing"

	"github.com/http-wasm/http-wasm-host-go/tck"
)

// caller makes every call of the kit as somebody.
type caller struct{ http.RoundTripper }

func (c caller) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+os.Getenv("PEER_TOKEN"))
	return c.RoundTripper.RoundTrip(r)
}

func TestKit(t *testing.T) {
	pem, err := os.ReadFile(os.Getenv("PEER_CA"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for name, http2 := range map[string]bool{"HTTP 1": false, "HTTP 2": true} {
		t.Run(name, func(t *testing.T) {
			protocols := new(http.Protocols)
			protocols.SetHTTP1(!http2)
			protocols.SetHTTP2(http2)
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: protocols}
			tck.Run(t, &http.Client{Transport: caller{transport}}, os.Getenv("PEER_URL"))
		})
	}
}
