package https

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/plugintest"
)

func TestCertificatesThatAreNotGoodEnough(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "ca")
	var reached atomic.Int64
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	with := func(a *authority, change func(*x509.Certificate)) func(*httptest.Server) {
		return func(s *httptest.Server) { s.TLS.Certificates = []tls.Certificate{*a.leaf(t, change)} }
	}
	version := func(v uint16) func(*httptest.Server) {
		return func(s *httptest.Server) { s.TLS.MinVersion, s.TLS.MaxVersion = v, v }
	}
	cases := []struct {
		why    string
		change func(*httptest.Server)
		trust  Trust
		text   string
	}{
		{"signed by an authority that is not trusted", with(other, nil), TrustOnly(ca.pool()), "not trusted; add its certificate authority"},
		{"self-signed", func(s *httptest.Server) { s.TLS.Certificates = nil }, TrustOnly(ca.pool()), "not trusted"},
		{"no trust at all", nil, nil, "not trusted"},
		{"a nil pool", nil, &swap{}, "not trusted"},
		{"expired", with(ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), TrustOnly(ca.pool()), "expired"},
		{"not valid yet", with(ca, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), TrustOnly(ca.pool()), "not valid yet"},
		{"for another name", with(ca, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.test"} }), TrustOnly(ca.pool()), "another name"},
		{"for no name", with(ca, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, nil }), TrustOnly(ca.pool()), "certificate"},
		{"for clients only", with(ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), TrustOnly(ca.pool()), "cannot be verified"},
		{"TLS 1.0", version(tls.VersionTLS10), TrustOnly(ca.pool()), "TLS 1.2"},
		{"TLS 1.1", version(tls.VersionTLS11), TrustOnly(ca.pool()), "TLS 1.2"},
		{"wants a client certificate", func(s *httptest.Server) {
			s.TLS.ClientAuth, s.TLS.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
		}, TrustOnly(ca.pool()), "no client certificate"},
	}
	for _, x := range cases {
		t.Run(x.why, func(t *testing.T) {
			s := ca.server(t, h, x.change)
			c := openWith(t, plugintest.NewHost(), s.URL, func(o *Options) { o.Trust = x.trust })
			_, err := c.Do(t.Context(), post("x", core.BytesBody([]byte("secret"))))
			fails(t, err, core.BadUpstream, x.text)
		})
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := ca.server(t, h, version(v))
		m, err := ca.dial(t, s.URL, nil).Do(t.Context(), get("x"))
		read(t, m, err)
	}
}

func TestSystemRootsDoNotTrustATestAuthority(t *testing.T) {
	trust, err := SystemRoots()
	if err != nil {
		t.Skip("this machine has no authorities")
	}
	s := newAuthority(t, "ca").server(t, http.HandlerFunc(echo), nil)
	_, err = openWith(t, plugintest.NewHost(), s.URL, func(o *Options) { o.Trust = trust }).Do(t.Context(), get("x"))
	fails(t, err, core.BadUpstream, "not trusted")
}

// A certificate that is swapped under load fails calls with a reason while it
// is bad, and calls recover without a restart.
func TestHammerCertificateSwap(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	good := ca.leaf(t, nil)
	expired := ca.leaf(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	foreign := other.leaf(t, nil)
	var now atomic.Pointer[tls.Certificate]
	now.Store(good)
	s := ca.server(t, http.HandlerFunc(echo), func(s *httptest.Server) {
		s.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{*now.Load()}, MinVersion: tls.VersionTLS12}, nil
		}
	})
	c := ca.dial(t, s.URL, nil)
	call := func() error {
		m, err := c.Do(t.Context(), post("x", core.BytesBody([]byte("b"))))
		if err == nil {
			_, err = io.Copy(io.Discard, m.Response.Body.Open())
		}
		return err
	}
	for _, step := range []struct {
		cert *tls.Certificate
		ok   bool
	}{{good, true}, {expired, false}, {good, true}, {foreign, false}, {good, true}} {
		now.Store(step.cert)
		s.CloseClientConnections()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					// A connection that was just closed may still be in the pool once.
					err := call()
					if err != nil && core.ErrorCode(err) != core.BadUpstream {
						t.Errorf("%v", err)
					}
				}
			})
		}
		wg.Wait()
		if err := call(); (err == nil) != step.ok {
			t.Errorf("good certificate %v: %v", step.ok, err)
		}
	}
}

func TestAnotherTrustTakesEffectWithoutARestart(t *testing.T) {
	for proto, change := range map[string]func(*httptest.Server){"HTTP/1.1": nil, "HTTP/2": overHTTP2} {
		t.Run(proto, func(t *testing.T) {
			ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
			release := make(chan struct{})
			s := ca.server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					w.WriteHeader(http.StatusOK)
					_ = http.NewResponseController(w).Flush()
					<-release
					_, _ = io.WriteString(w, "late")
				}
			}), change)
			trust := &swap{}
			trust.Store(other.pool())
			c := openWith(t, plugintest.NewHost(), s.URL, func(o *Options) { o.Trust = trust })
			_, err := c.Do(t.Context(), get("x"))
			fails(t, err, core.BadUpstream, "not trusted")

			trust.Store(ca.pool())
			m, err := c.Do(t.Context(), get("x"))
			read(t, m, err)
			slow, err := c.Do(t.Context(), get("slow"))
			if err != nil {
				t.Fatal(err)
			}

			// Idle connections of the old trust are not used; the exchange in
			// flight goes on to its end.
			trust.Store(other.pool())
			_, err = c.Do(t.Context(), get("x"))
			fails(t, err, core.BadUpstream, "not trusted")
			close(release)
			if got := read(t, slow, nil); got != "late" {
				t.Errorf("the exchange in flight got %q", got)
			}
			trust.Store(ca.pool())
			m, err = c.Do(t.Context(), get("x"))
			read(t, m, err)
		})
	}
}
