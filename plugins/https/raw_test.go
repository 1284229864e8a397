package https

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// rawOrigin is a TLS server whose every answered byte is scripted.
type rawOrigin struct {
	url      string
	accepted atomic.Int64
	script   atomic.Pointer[func(*http.Request, io.Writer) bool]
}

func newRawOrigin(tb testing.TB, ca *authority) *rawOrigin {
	tb.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*ca.leaf(tb, nil)}, MinVersion: tls.VersionTLS12})
	if err != nil {
		tb.Fatal(err)
	}
	o := &rawOrigin{url: "https://" + l.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			o.accepted.Add(1)
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() { defer func() { _ = c.Close() }(); o.handle(c) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return o
}

// serve sets the script: it writes the answer and tells whether the
// connection stays.
func (o *rawOrigin) serve(f func(*http.Request, io.Writer) bool) { o.script.Store(&f) }

func (o *rawOrigin) say(answer string, stay bool) {
	o.serve(func(_ *http.Request, w io.Writer) bool {
		_, _ = io.WriteString(w, answer)
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
		if req.Header.Get("Expect") == "" {
			_, _ = io.Copy(io.Discard, req.Body)
		}
		if !(*o.script.Load())(req, c) {
			return
		}
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestMalformedRepliesAreBadUpstreamAndTheirConnectionIsNotUsedAgain(t *testing.T) {
	ca := newAuthority(t, "ca")
	big := strings.Repeat("x", 70<<10)
	cases := map[string]string{
		"status 99":                     "HTTP/1.1 99 x\r\nContent-Length: 0\r\n\r\n",
		"status 099":                    "HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n",
		"status 000":                    "HTTP/1.1 000 x\r\nContent-Length: 0\r\n\r\n",
		"status 600":                    "HTTP/1.1 600 x\r\nContent-Length: 0\r\n\r\n",
		"status 999 with a body":        "HTTP/1.1 999 x\r\nContent-Length: 2\r\n\r\nab",
		"status 1000":                   "HTTP/1.1 1000 x\r\nContent-Length: 0\r\n\r\n",
		"status -200":                   "HTTP/1.1 -200 x\r\nContent-Length: 0\r\n\r\n",
		"status 2x0":                    "HTTP/1.1 2x0 x\r\nContent-Length: 0\r\n\r\n",
		"no status":                     "HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"an unasked 101":                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"a bare 101":                    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"101 with a length":             "HTTP/1.1 101 x\r\nContent-Length: 2\r\n\r\nab",
		"not HTTP":                      "hello\r\n\r\n",
		"SSH":                           "SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/0.9":                      "<html>hello</html>",
		"HTTP/9.9x":                     "HTTP/x.y 200 OK\r\n\r\n",
		"nothing":                       "",
		"half a status line":            "HTTP/1.1 20",
		"half a header":                 "HTTP/1.1 200 OK\r\nContent-",
		"a space before the colon":      "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
		"no colon":                      "HTTP/1.1 200 OK\r\nContent-Length 2\r\n\r\nok",
		"an empty name":                 "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok",
		"a space in a name":             "HTTP/1.1 200 OK\r\nX Y: x\r\nContent-Length: 2\r\n\r\nok",
		"a NUL in a value":              "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
		"a bare CR in a value":          "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
		"a vertical tab in a value":     "HTTP/1.1 200 OK\r\nX: a\x0bb\r\nContent-Length: 2\r\n\r\nok",
		"DEL in a value":                "HTTP/1.1 200 OK\r\nX: a\x7fb\r\nContent-Length: 2\r\n\r\nok",
		"a folded first line":           "HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 2\r\n\r\nok",
		"two lengths":                   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
		"a list of lengths":             "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
		"a negative length":             "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
		"a signed length":               "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
		"a hexadecimal length":          "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
		"a length that is too large":    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
		"an unknown transfer coding":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
		"two transfer codings":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"chunked twice":                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a header that is too large":    "HTTP/1.1 200 OK\r\nX: " + big + "\r\nContent-Length: 2\r\n\r\nok",
		"too many interim replies":      strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: <"+big[:4096]+">\r\n\r\n", 40) + ok,
		"a forbidden trailer announced": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n",
	}
	o := newRawOrigin(t, ca)
	for _, why := range slices.Sorted(maps.Keys(cases)) {
		t.Run(why, func(t *testing.T) {
			c := ca.dial(t, o.url, nil)
			o.say(cases[why], len(cases[why]) > 40)
			before := o.accepted.Load()
			_, err := c.Do(t.Context(), post("x", core.BytesBody([]byte("b"))))
			fails(t, err, core.BadUpstream, "external endpoint acme/clip/1.0.0")
			o.say(ok, true)
			m, err := c.Do(t.Context(), get("x"))
			if got := read(t, m, err); got != "ok" {
				t.Errorf("the next answer is %q", got)
			}
			if n := o.accepted.Load() - before; n != 2 {
				t.Errorf("%d connections, want a fresh one after the error", n)
			}
			if n := inFlight(c); n != 0 {
				t.Errorf("%d exchanges are still in flight", n)
			}
		})
	}
}

func TestBodiesThatBreakOffFailWhileTheyAreRead(t *testing.T) {
	ca := newAuthority(t, "ca")
	o := newRawOrigin(t, ca)
	for why, answer := range map[string]string{
		"a short body":           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
		"an unfinished chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
		"a missing last chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
		"a bad chunk size":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
		"a negative chunk size":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n0\r\n\r\n",
		"an enormous chunk size": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nab\r\n0\r\n\r\n",
		"a chunk too long":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n",
	} {
		t.Run(why, func(t *testing.T) {
			c := ca.dial(t, o.url, nil)
			o.say(answer, false)
			m, err := c.Do(t.Context(), get("x"))
			if err != nil {
				t.Fatal(err)
			}
			b := m.Response.Body.Open()
			_, err = io.ReadAll(b)
			fails(t, err, core.BadUpstream, "acme/clip/1.0.0")
			_ = b.Close()
			if n := inFlight(c); n != 0 {
				t.Errorf("%d exchanges are still in flight", n)
			}
		})
	}
}

func TestOddButLawfulRepliesPass(t *testing.T) {
	ca := newAuthority(t, "ca")
	o := newRawOrigin(t, ca)
	for _, x := range []struct {
		why, method, answer string
		status              int
		body                string
	}{
		{"interim replies", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok, 200, "ok"},
		{"both length and chunks", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"},
		{"the same length twice", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
		{"no length", "GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end"},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nold", 200, "old"},
		{"no reason", "GET", "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n", 599, ""},
		{"204 with a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", 204, ""},
		{"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nETag: \"a\"\r\n\r\n", 304, ""},
		{"HEAD with a length", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", 200, ""},
		{"chunk extensions", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n", 200, "ok"},
	} {
		t.Run(x.why, func(t *testing.T) {
			c := ca.dial(t, o.url, nil)
			o.say(x.answer, false)
			m := get("x")
			m.Request.Method = x.method
			m, err := c.Do(t.Context(), m)
			if got := read(t, m, err); got != x.body || m.Response.Status != x.status {
				t.Errorf("status %d and %q, want %d and %q", m.Response.Status, got, x.status, x.body)
			}
			if m.Response.Header.Has("Transfer-Encoding") || (x.why == "both length and chunks" && m.Response.Header.Has("Content-Length")) {
				t.Errorf("header %v", m.Response.Header.Names())
			}
			if x.method == "HEAD" && m.Response.Header.Get("Content-Length") != "1234" {
				t.Errorf("the length of HEAD is %q", m.Response.Header.Get("Content-Length"))
			}
		})
	}
}

func TestNothingThatSpeaksForTheGatewayComesBack(t *testing.T) {
	ca := newAuthority(t, "ca")
	o := newRawOrigin(t, ca)
	c := ca.dial(t, o.url, nil)
	o.say("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n"+
		"Authorization: bad\r\nauthorization: bad\r\nX-VCLOUD-AUTHORIZATION: bad\r\nx_vcloud_authorization: bad\r\nX-Vmware-Vcloud-Access-Token: bad\r\n"+
		"Set-Cookie: bad\r\nset-cookie: bad\r\nSet_Cookie: bad\r\nSet-Cookie2: bad\r\nX-Annex-Identity: bad\r\nProxy-Authenticate: bad\r\nUpgrade: h2c\r\n"+
		"Vary: Accept\r\nVary: Cookie\r\nLocation: https://elsewhere.example/\r\nX-Kept: 1\r\nX-Kept: 2\r\nETag: \"e\"\r\n"+
		"Trailer: X-Sum, Set-Cookie, X_Vcloud_Authorization\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nSet-Cookie: bad\r\nX_vcloud_authorization: bad\r\nAuthorization: bad\r\n\r\n", true)
	m, err := c.Do(t.Context(), get("x"))
	if got := read(t, m, err); got != "ok" {
		t.Errorf("body %q", got)
	}
	h := m.Response.Header
	if got := h.Names(); !slices.Equal(got, []string{"Etag", "Location", "Vary", "X-Kept"}) {
		t.Errorf("fields %v", got)
	}
	if !slices.Equal(h.Values("Vary"), []string{"Accept", "Cookie"}) || !slices.Equal(h.Values("X-Kept"), []string{"1", "2"}) {
		t.Errorf("Vary %q, X-Kept %q", h.Values("Vary"), h.Values("X-Kept"))
	}
	if tr := m.Response.Body.Trailer(); len(tr) != 1 || tr.Get("X-Sum") != "7" {
		t.Errorf("trailer %v", tr)
	}
}

func TestConnectionFailuresSayWhatIsWrong(t *testing.T) {
	ca := newAuthority(t, "ca")
	t.Run("nobody listens", func(t *testing.T) {
		_, err := ca.dial(t, "https://"+freePort(t), nil).Do(t.Context(), get("x"))
		fails(t, err, core.BadUpstream, "nobody listens")
	})
	t.Run("plain HTTP", func(t *testing.T) {
		l := listen(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1024))
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		})
		_, err := ca.dial(t, "https://"+l, nil).Do(t.Context(), get("x"))
		fails(t, err, core.BadUpstream, "does not speak TLS")
	})
	t.Run("a reset in the handshake", func(t *testing.T) {
		l := listen(t, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) })
		_, err := ca.dial(t, "https://"+l, nil).Do(t.Context(), get("x"))
		fails(t, err, core.BadUpstream, "broke off")
	})
	t.Run("a handshake that never ends", func(t *testing.T) {
		stop := make(chan struct{})
		l := listen(t, func(net.Conn) { <-stop })
		defer close(stop)
		_, err := ca.dial(t, "https://"+l, func(o *Options) { o.DialTimeout = 50 * time.Millisecond }).Do(t.Context(), get("x"))
		fails(t, err, core.Timeout, "in time")
	})
	t.Run("a reset instead of an answer", func(t *testing.T) {
		o := newRawOrigin(t, ca)
		o.say("", false)
		_, err := ca.dial(t, o.url, nil).Do(t.Context(), post("x", core.BytesBody([]byte("b"))))
		fails(t, err, core.BadUpstream, "broke off")
	})
	t.Run("an answer that never comes", func(t *testing.T) {
		o := newRawOrigin(t, ca)
		stop := make(chan struct{})
		o.serve(func(*http.Request, io.Writer) bool { <-stop; return false })
		defer close(stop)
		c := ca.dial(t, o.url, func(o *Options) { o.AnswerTimeout = 50 * time.Millisecond })
		_, err := c.Do(t.Context(), get("x"))
		fails(t, err, core.Timeout, "in time")
	})
	t.Run("a body that stops", func(t *testing.T) {
		o := newRawOrigin(t, ca)
		stop := make(chan struct{})
		o.serve(func(_ *http.Request, w io.Writer) bool {
			_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
			<-stop
			return false
		})
		defer close(stop)
		c := ca.dial(t, o.url, func(o *Options) { o.IdleTimeout = 50 * time.Millisecond })
		m, err := c.Do(t.Context(), get("x"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(m.Response.Body.Open())
		fails(t, err, core.Timeout, "silent for 50ms")
	})
}

// listen serves raw TCP connections, each closed when f returns.
func listen(tb testing.TB, f func(net.Conn)) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer func() { _ = c.Close() }(); f(c) }()
		}
	}()
	return l.Addr().String()
}

func TestABrokenClientIsNotBlamedOnTheEndpoint(t *testing.T) {
	ca := newAuthority(t, "ca")
	c := ca.dial(t, ca.server(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }), nil).URL, nil)
	for _, x := range []struct {
		err  error
		code core.Code
		text string
	}{
		{io.ErrUnexpectedEOF, core.Invalid, "request body"},
		{&http.MaxBytesError{Limit: 5}, core.TooLarge, "5 bytes"},
		{core.Errorf(core.TooLarge, "over the cap"), core.TooLarge, "over the cap"},
		{core.ErrBodyTaken, core.Internal, "request body"},
		{fmt.Errorf("read tcp 127.0.0.1:1: i/o timeout"), core.Invalid, "request body"},
	} {
		body := core.StreamBody(io.NopCloser(io.MultiReader(strings.NewReader("abc"), broken{x.err})), -1)
		_, err := c.Do(t.Context(), post("x", body))
		fails(t, err, x.code, x.text)
	}
}

type broken struct{ err error }

// Read fails.
func (b broken) Read([]byte) (int, error) { return 0, b.err }
