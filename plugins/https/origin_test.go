package https

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/plugintest"
)

// authority is a certificate authority made for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(tb testing.TB, name string) *authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &authority{cert, key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// leaf is a server certificate for 127.0.0.1 and the names.
func (a *authority) leaf(tb testing.TB, change func(*x509.Certificate)) *tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "origin"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"origin.test", "localhost"},
	}
	if change != nil {
		change(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// server starts a TLS server with a certificate of a and gives its root URL.
func (a *authority) server(tb testing.TB, h http.Handler, change func(*httptest.Server)) *httptest.Server {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*a.leaf(tb, nil)}, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if change != nil {
		change(s)
	}
	s.StartTLS()
	tb.Cleanup(s.Close)
	return s
}

func overHTTP2(s *httptest.Server) { s.EnableHTTP2 = true }

// swap is a Trust that can be changed.
type swap struct{ atomic.Pointer[x509.CertPool] }

// Pool returns what was stored last.
func (s *swap) Pool() *x509.CertPool { return s.Load() }

var local = DialPolicy{AllowLoopback: true}

func endpoint(root string) core.System {
	return core.System{
		ID:   core.SystemID(core.KindHTTPS, "acme", "clip", "1.0.0"),
		Kind: core.KindHTTPS, Vendor: "acme", Name: "clip", Version: "1.0.0",
		Enabled: true, Priority: core.DefaultPriority,
		Settings: core.EncodeSettings(core.HTTPSSettings{RootURL: root}),
	}
}

// dial opens a Conn to root with trust in a.
func (a *authority) dial(tb testing.TB, root string, change func(*Options)) core.Conn {
	tb.Helper()
	return openWith(tb, plugintest.NewHost(), root, func(o *Options) {
		o.Trust = TrustOnly(a.pool())
		if change != nil {
			change(o)
		}
	})
}

func openWith(tb testing.TB, host core.Host, root string, change func(*Options)) core.Conn {
	tb.Helper()
	o := Options{Guard: local.Guard}
	if change != nil {
		change(&o)
	}
	c, err := New(host, o).Open(tb.Context(), endpoint(root))
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// get is a call without a body.
func get(tail string, header ...string) core.Message {
	m := plugintest.Post("/ext-api/custom/"+tail, "/ext-api/custom/", tail, nil)
	m.Request.Method = http.MethodGet
	m.Request.Header = core.NewHeader(header...)
	return m
}

func post(tail string, body *core.Body) core.Message {
	return plugintest.Post("/ext-api/custom/"+tail, "/ext-api/custom/", tail, body)
}

// read gives the body of an answer.
func read(tb testing.TB, m core.Message, err error) string {
	tb.Helper()
	if err != nil {
		tb.Fatalf("Do: %v", err)
	}
	if !m.Answered() {
		tb.Fatal("not answered")
	}
	r := m.Response.Body.Open()
	b, err := io.ReadAll(r)
	if err != nil {
		tb.Fatalf("reading the answer: %v", err)
	}
	if err := r.Close(); err != nil {
		tb.Fatalf("closing the answer: %v", err)
	}
	return string(b)
}

// fails checks the code and a part of the text of an error, and that the text
// tells no address.
func fails(tb testing.TB, err error, code core.Code, text string) {
	tb.Helper()
	if core.ErrorCode(err) != code || err == nil {
		tb.Fatalf("error %v (code %s), want code %s", err, core.ErrorCode(err), code)
	}
	msg := core.ErrorMessage(err)
	if !strings.Contains(msg, text) {
		tb.Errorf("error text %q, want %q in it", msg, text)
	}
	if strings.Contains(msg, "127.0.0.1") || strings.Contains(msg, "169.254") {
		tb.Errorf("error text %q tells an address", msg)
	}
}

func inFlight(c core.Conn) int { return c.(*conn).server.InFlight() }

func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return netip.MustParseAddrPort(l.Addr().String()).String()
}

// echo answers with the request's body as it comes, and never on /hang.
func echo(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/hang") {
		<-r.Context().Done()
		return
	}
	_ = http.NewResponseController(w).EnableFullDuplex()
	_, _ = io.Copy(w, r.Body)
}
