package forward

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// guard ends a hanging test; nothing is measured with it.
const guard = 20 * time.Second

// ways are how a server can be spoken to.
func ways() map[string]func(*httptest.Server) {
	return map[string]func(*httptest.Server){
		"plain":            (*httptest.Server).Start,
		"TLS over HTTP 1":  (*httptest.Server).StartTLS,
		"TLS over HTTP 2":  func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() },
		"TLS, HTTP 1 only": nil,
	}
}

func everyWay(t *testing.T, h http.HandlerFunc, test func(t *testing.T, open func(func(*Options)) *Server)) {
	t.Helper()
	for way, start := range ways() {
		t.Run(way, func(t *testing.T) {
			only := start == nil
			if only {
				start = func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }
			}
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				want := 1
				if strings.HasSuffix(way, "HTTP 2") && r.Header.Get("Upgrade") == "" {
					want = 2
				}
				if r.ProtoMajor != want {
					t.Errorf("spoken to in %s", r.Proto)
				}
				h(w, r)
			}))
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			start(s)
			t.Cleanup(s.Close)
			test(t, func(change func(*Options)) *Server {
				return dial(t, s, func(o *Options) {
					o.HTTP1Only = only
					if change != nil {
						change(o)
					}
				})
			})
		})
	}
}

// dial opens a Server that trusts s.
func dial(tb testing.TB, s *httptest.Server, change func(*Options)) *Server {
	tb.Helper()
	scheme, host, _ := strings.Cut(s.URL, "://")
	return open(tb, scheme, host, func(o *Options) {
		if c := s.Certificate(); c != nil {
			p := x509.NewCertPool()
			p.AddCert(c)
			o.Trust = func() *x509.CertPool { return p }
		}
		if change != nil {
			change(o)
		}
	})
}

func open(tb testing.TB, scheme, host string, change func(*Options)) *Server {
	tb.Helper()
	o := Options{Name: "the clip server"}
	if change != nil {
		change(&o)
	}
	s := New(scheme, host, o)
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// rawOrigin is a server whose every answered byte is scripted.
type rawOrigin struct {
	*Server
	host     string
	accepted atomic.Int64
	script   atomic.Pointer[func(*http.Request, net.Conn) bool]
}

func newRawOrigin(tb testing.TB, change func(*Options)) *rawOrigin {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	o := &rawOrigin{host: l.Addr().String()}
	o.Server = open(tb, "http", o.host, change)
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			o.accepted.Add(1)
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			wg.Go(func() { defer func() { _ = c.Close() }(); o.handle(c) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return o
}

// serve sets the script: it writes the answer and tells whether the
// connection stays.
func (o *rawOrigin) serve(f func(*http.Request, net.Conn) bool) { o.script.Store(&f) }

func (o *rawOrigin) say(answer string, stay bool) {
	o.serve(func(_ *http.Request, c net.Conn) bool {
		_, _ = io.WriteString(c, answer)
		return stay
	})
}

func (o *rawOrigin) handle(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.Header.Get("Expect") == "" && req.Header.Get("X-Stop-Reading") == "" {
			_, _ = io.Copy(io.Discard, req.Body)
		}
		if !(*o.script.Load())(req, c) {
			return
		}
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func get(path string, header ...string) Request {
	return Request{Method: http.MethodGet, Path: path, Header: core.NewHeader(header...).Clone()}
}

func post(path string, body *core.Body, header ...string) Request {
	r := get(path, header...)
	r.Method, r.Body = http.MethodPost, body
	return r
}

func stream(r io.Reader) *core.Body { return core.StreamBody(io.NopCloser(r), -1) }

// read gives the body of an answer.
func read(tb testing.TB, r core.Response, err error) string {
	tb.Helper()
	if err != nil {
		tb.Fatalf("Do: %v", err)
	}
	b := r.Body.Open()
	defer b.Close()
	got, err := io.ReadAll(b)
	if err != nil {
		tb.Fatalf("reading the answer: %v", err)
	}
	return string(got)
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
	if strings.Contains(msg, "127.0.0.1") {
		tb.Errorf("error text %q tells an address", msg)
	}
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for stop := time.Now().Add(guard); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(stop) {
			tb.Fatalf("%s: not after %s", what, guard)
		}
	}
}

func wait(tb testing.TB, what string, c <-chan struct{}) {
	tb.Helper()
	select {
	case <-c:
	case <-time.After(guard):
		tb.Fatalf("%s: not after %s", what, guard)
	}
}

// echo answers with the request's body as it comes. On /hang it reads the body
// and never answers: an HTTP/1 server that does not read is not told that the
// client went.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/hang" {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return
	}
	_ = http.NewResponseController(w).EnableFullDuplex()
	_, _ = io.Copy(w, r.Body)
}

// rawTLS gives a TLS server that does as f says with every connection.
func rawTLS(tb testing.TB, f func(net.Conn)) (host string, pool *x509.CertPool) {
	tb.Helper()
	lender := httptest.NewTLSServer(http.NotFoundHandler())
	defer lender.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: lender.TLS.Certificates, MinVersion: tls.VersionTLS12})
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer func() { _ = c.Close() }(); f(c) })
		}
	})
	tb.Cleanup(func() { _ = l.Close(); wg.Wait() })
	pool = x509.NewCertPool()
	pool.AddCert(lender.Certificate())
	return l.Addr().String(), pool
}
