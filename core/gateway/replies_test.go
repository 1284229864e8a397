package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

// scripted is a TLS server that answers every request with the same bytes and
// then closes.
type scripted struct {
	root  string
	says  atomic.Pointer[string]
	cert  *httptest.Server // whose certificate it borrows
	calls atomic.Int64
}

func newScripted(t *testing.T) *scripted {
	t.Helper()
	lender := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(lender.Close)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: lender.TLS.Certificates, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{root: "https://" + l.Addr().String(), cert: lender}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.answer(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return s
}

func (s *scripted) answer(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, req.Body)
	s.calls.Add(1)
	_, _ = io.WriteString(c, *s.says.Load())
}

// TestAbusiveAnswersOfEndpointsBecomeBadGateway is T34 for HTTPS: whatever an
// endpoint says, its client gets a well-formed answer.
func TestAbusiveAnswersOfEndpointsBecomeBadGateway(t *testing.T) {
	s := newScripted(t)
	h := newHouse(t, nil)
	h.trust(s.cert, "origin")
	h.endpoint("abuse", s.root, filter(core.ScopeExtAPI, "/abuse/.*"), filter(core.ScopeProvider, "/abuse/.*"))
	cases := map[string]string{
		"status 99":                  "HTTP/1.1 99 x\r\nContent-Length: 0\r\n\r\n",
		"status 1000":                "HTTP/1.1 1000 x\r\nContent-Length: 0\r\n\r\n",
		"status 600":                 "HTTP/1.1 600 x\r\nContent-Length: 0\r\n\r\n",
		"an unasked 101":             "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"a bare CR in a value":       "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
		"a NUL in a value":           "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
		"a space in a name":          "HTTP/1.1 200 OK\r\nX Y: x\r\nContent-Length: 0\r\n\r\n",
		"two lengths":                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
		"a negative length":          "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"a coding that nobody knows": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"a header beyond all":        "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n",
		"no HTTP":                    "SSH-2.0-OpenSSH\r\n\r\n",
		"nothing":                    "",
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			says := cases[name]
			s.says.Store(&says)
			checkError(t, h.as(h.token, "POST", "/ext-api/abuse/x", "b"), 502, false)
			checkError(t, h.do("GET", "/ext-ui/provider/abuse/x", "", "Cookie", "vcloud_jwt="+h.token), 502, false)
		})
	}
	for name, tc := range map[string]struct {
		says   string
		status int
		body   string
	}{
		"both length and chunks": {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"},
		"a body on 204":          {"HTTP/1.1 204 No Content\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 204, ""},
		"a body on 304":          {"HTTP/1.1 304 Not Modified\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 304, ""},
		"interim answers":        {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			s.says.Store(&tc.says)
			// Over HTTP/1, where a wrong length would spoil the connection.
			c := h.dial()
			r := bufio.NewReader(c)
			for range 3 {
				h.say(c, "GET /ext-api/abuse/x HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer %s\r\n\r\n", h.token)
				got := h.hear(r, "GET")
				if got.status != tc.status || got.body != tc.body || r.Buffered() > 0 {
					t.Fatalf("%d %q, and %d bytes more", got.status, got.body, r.Buffered())
				}
			}
		})
	}
	t.Run("a body that breaks off breaks the client's too", func(t *testing.T) {
		for _, says := range []string{
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n",
		} {
			s.says.Store(&says)
			resp, err := h.client().Transport.RoundTrip(h.request("GET", "/ext-api/abuse/x", nil, "Authorization", "Bearer "+h.token))
			if err != nil {
				continue // cut before its header was sent
			}
			if b, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%q was taken for whole", b)
			}
			_ = resp.Body.Close()
		}
	})
}

// TestAbusiveRepliesOfServicesBecomeUnavailable is T34 for MQTT, with the
// statuses of ruling 14.
func TestAbusiveRepliesOfServicesBecomeUnavailable(t *testing.T) {
	h := newHouse(t, nil)
	var says atomic.Pointer[string]
	speak := func(r wire.Request) []byte { return []byte(strings.ReplaceAll(*says.Load(), "$ID", r.ID)) }
	h.listen(h.service("abuse", 50, filter(core.ScopeAPI, "/api/abuse")), "abuse", speak)
	h.listen(h.service("late", 40, answers("text/late"), filter(core.ScopeAPI, "/api/none")), "late", speak)
	h.listen(h.service("first", 50, filter(core.ScopeAPI, "/api/late")), "first", func(r wire.Request) []byte {
		return reply(r, 200, "first", "Content-Type", "text/late")
	})
	message := func(response string) string {
		return `{"type":"API_RESPONSE","headers":{"requestId":"$ID"},"httpResponse":` + response + `}`
	}
	cases := map[string]string{
		"status 0":                     message(`{"statusCode":0}`),
		"no status":                    message(`{"body":""}`),
		"status 99":                    message(`{"statusCode":99}`),
		"status 100":                   message(`{"statusCode":100}`),
		"status 101":                   message(`{"statusCode":101,"headers":{"Upgrade":"websocket"}}`),
		"status 600":                   message(`{"statusCode":600}`),
		"status 1000":                  message(`{"statusCode":1000}`),
		"a negative status":            message(`{"statusCode":-200}`),
		"a status in words":            message(`{"statusCode":"OK"}`),
		"half a status":                message(`{"statusCode":200.5}`),
		"CR LF in a value":             message(`{"statusCode":200,"headers":{"X":"a\r\nSet-Cookie: b"}}`),
		"LF in a value":                message(`{"statusCode":200,"headers":{"X":"a\nb"}}`),
		"NUL in a value":               message(`{"statusCode":200,"headers":{"X":"a\u0000b"}}`),
		"CR LF in a name":              message(`{"statusCode":200,"headers":{"X\r\nY":"a"}}`),
		"a space in a name":            message(`{"statusCode":200,"headers":{"X Y":"a"}}`),
		"an empty name":                message(`{"statusCode":200,"headers":{"":"a"}}`),
		"an object as a value":         message(`{"statusCode":200,"headers":{"X":{"a":1}}}`),
		"a body that is no base64":     message(`{"statusCode":200,"body":"!!!"}`),
		"a body with half a character": message(`{"statusCode":200,"body":"YWI"}x`),
		"headers without end":          message(`{"statusCode":200,"headers":{` + manyHeaders(300) + `}}`),
		"a header beyond all":          message(`{"statusCode":200,"headers":{"X":"` + strings.Repeat("x", 300<<10) + `"}}`),
		"no response":                  `{"type":"API_RESPONSE","headers":{"requestId":"$ID"}}`,
		"two responses":                `{"headers":{"requestId":"$ID"},"httpResponse":{"statusCode":200},"httpResponse":{"statusCode":200}}`,
		"rubbish after it":             message(`{"statusCode":200}`) + "x",
		"a request to nowhere":         message(`{"request":true,"method":"GET","requestUri":"nowhere"}`),
		"a request with a bad method":  message(`{"request":true,"method":"G ET","requestUri":"/api/x"}`),
		"a request to a reserved path": message(`{"request":true,"method":"GET","requestUri":"/cloudapi/1.0.0/tokens"}`),
		"a request with dots":          message(`{"request":true,"method":"GET","requestUri":"/api/../cloudapi"}`),
		"a request that is a TRACE":    message(`{"request":true,"method":"TRACE","requestUri":"/api/session"}`),
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			text := cases[name]
			says.Store(&text)
			checkError(t, h.as(h.token, "GET", "/api/abuse", ""), 503, true)
			checkError(t, h.as(h.token, "GET", "/api/late", ""), 503, true)
		})
	}
	for name, tc := range map[string]struct {
		says   string
		status int
		body   string
	}{
		"length and coding of its own": {message(`{"statusCode":200,"headers":{"Content-Length":"99","Transfer-Encoding":"chunked","Connection":"X","X":"1"},"body":"b2s="}`), 200, "ok"},
		"a body on 204":                {message(`{"statusCode":204,"body":"b2s="}`), 204, ""},
		"a body on 304":                {message(`{"statusCode":304,"body":"b2s="}`), 304, ""},
		"keys that nobody knows":       {message(`{"statusCode":200,"x":[1,{"y":null}],"body":"b2s="}`), 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			says.Store(&tc.says)
			c := h.dial()
			r := bufio.NewReader(c)
			for range 3 {
				h.say(c, "GET /api/abuse HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer %s\r\n\r\n", h.token)
				got := h.hear(r, "GET")
				if got.status != tc.status || got.body != tc.body || got.header["X"] != nil || r.Buffered() > 0 {
					t.Fatalf("%d %q %v, and %d bytes more", got.status, got.body, got.header, r.Buffered())
				}
			}
		})
	}
}

func manyHeaders(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"X-%d":"a"`, i))
	}
	return strings.Join(all, ",")
}

// TestAnswersThatGrowWithoutEndAreCutShort: a response filter sees decoded
// bodies, and a small answer can decode to a large one.
func TestAnswersThatGrowWithoutEndAreCutShort(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.Copy(z, io.LimitReader(zeros{}, 64<<20))
	_ = z.Close()
	o := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/bomb")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	h.endpoint("bomb", o.URL, filter(core.ScopeExtAPI, "/bomb/.*"))
	if got := h.as(h.token, "GET", "/ext-api/bomb/x", "", "Accept-Encoding", "gzip"); got.status != 200 || len(got.body) != bomb.Len() {
		t.Errorf("nobody looks at it: %d, %d bytes", got.status, len(got.body))
	}
	h.listen(h.service("reader", 50, answers("text/bomb")), "reader", func(r wire.Request) []byte {
		t.Errorf("the service was shown %d bytes", base64.StdEncoding.DecodedLen(len(r.Message.Body)))
		return reply(r, 200, "")
	})
	checkError(t, h.as(h.token, "GET", "/ext-api/bomb/x", "", "Accept-Encoding", "gzip"), 502, false)
}
