package docs

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/gateway"
	"github.com/annex-gateway/annex/plugins/https"
	"github.com/annex-gateway/annex/plugins/mqtt"
	"github.com/annex-gateway/annex/plugins/wasm"
	"github.com/annex-gateway/annex/storage/memory"
)

// house is a whole gateway: every kind, the embedded broker, a store in memory,
// TLS. Beside it stands the server of an external endpoint.
type house struct {
	server   *httptest.Server
	endpoint *httptest.Server
	client   *http.Client
	// What the endpoint was sent, and what it is to answer.
	requests chan *http.Request
	answers  chan message
	admin    string // the administrator's session token
}

const adminPassword = "annex transcripts"

func openHouse(t *testing.T) *house {
	t.Helper()
	h := &house{requests: make(chan *http.Request), answers: make(chan message)}
	h.endpoint = httptest.NewTLSServer(http.HandlerFunc(h.serveEndpoint))
	t.Cleanup(h.endpoint.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(h.endpoint.Certificate())
	gw, err := gateway.New(t.Context(), gateway.Options{
		Store: memory.New(), AdminPassword: adminPassword,
		Kinds: func(host core.Host) ([]core.Kind, error) {
			modules, err := wasm.New(t.Context(), host, wasm.Options{})
			return []core.Kind{
				mqtt.New(host, mqtt.Options{}),
				https.New(host, https.Options{Trust: https.TrustOnly(trusted), Guard: https.DialPolicy{AllowLoopback: true}.Guard}),
				modules,
			}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.server = httptest.NewTLSServer(gw)
	t.Cleanup(func() {
		h.server.CloseClientConnections()
		if err := gw.Close(); err != nil {
			t.Error(err)
		}
		h.server.Close()
	})
	h.client = h.server.Client()
	h.client.Transport.(*http.Transport).DisableCompression = true
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.login(t)
	return h
}

func (h *house) login(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.server.URL+"/cloudapi/1.0.0/sessions/provider", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("administrator@System", adminPassword)
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if h.admin = resp.Header.Get("X-Vmware-Vcloud-Access-Token"); h.admin == "" {
		t.Fatal("the administrator cannot log in:", resp.Status)
	}
}

func (h *house) roots() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: h.client.Transport.(*http.Transport).TLSClientConfig.RootCAs}
}

func (h *house) address() string { return strings.TrimPrefix(h.server.URL, "https://") }

// serveEndpoint shows what it was sent, and answers what it is told to.
func (h *house) serveEndpoint(w http.ResponseWriter, r *http.Request) {
	var m message
	select {
	case h.requests <- r:
	case <-r.Context().Done():
		return
	}
	select {
	case m = <-h.answers:
	case <-r.Context().Done():
		return
	}
	for _, f := range m.header {
		w.Header().Add(f.name, f.value)
	}
	w.WriteHeader(m.status())
	_, _ = w.Write([]byte(m.body))
}
