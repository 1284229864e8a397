package gateway_test

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

// TestARequestWithTwoLengthsIsTheLastOfItsConnection is T19: whoever stands in
// front may have seen another end of the first request than we do. What
// follows it is not taken for a request.
func TestARequestWithTwoLengthsIsTheLastOfItsConnection(t *testing.T) {
	h := newHouse(t, nil)
	id := h.service("clock", 50, filter(core.ScopeAPI, "/api/clock.*"))
	h.listen(id, "clock", func(r wire.Request) []byte { return reply(r, 200, string(r.Message.Body)) })
	auth := "Host: gw.test\r\nAuthorization: Bearer " + h.token + "\r\n"
	second := "GET /api/clock2 HTTP/1.1\r\n" + auth + "\r\n"
	for name, first := range map[string]string{
		"length, then chunks":        "POST /api/clock HTTP/1.1\r\n" + auth + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"chunks, then length":        "POST /api/clock HTTP/1.1\r\n" + auth + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"other cases":                "POST /api/clock HTTP/1.1\r\n" + auth + "content-LENGTH: 6\r\ntransfer-ENCODING: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"a length of nothing":        "POST /api/clock HTTP/1.1\r\n" + auth + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"one that the admin API has": "POST /cloudapi/1.0.0/tokens HTTP/1.1\r\n" + auth + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"one that cannot be read":    "POST /api//clock HTTP/1.1\r\n" + auth + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"a GET":                      "GET /api/clock HTTP/1.1\r\n" + auth + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := h.dial()
			h.say(c, "%s%s", first, second)
			all, _ := io.ReadAll(c)
			if n := strings.Count(string(all), "HTTP/1.1 "); n != 1 || !strings.Contains(string(all), "Connection: close") {
				t.Errorf("%d answers:\n%s", n, all)
			}
		})
	}
	t.Run("others keep theirs", func(t *testing.T) {
		c := h.dial()
		r := bufio.NewReader(c)
		for range 3 {
			h.say(c, "POST /api/clock HTTP/1.1\r\n%sContent-Length: 3\r\n\r\nabc", auth)
			if got := h.hear(r, "POST"); got.status != 200 || got.body != "abc" {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
	})
}

// TestMalformedRequestsAreRefused holds what the server below us does: another
// release must not undo it.
func TestMalformedRequestsAreRefused(t *testing.T) {
	h := newHouse(t, nil)
	for name, tc := range map[string]struct {
		request string
		status  string
	}{
		"an unknown transfer coding":    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501"},
		"two transfer codings":          {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "501"},
		"identity and chunked":          {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n", "501"},
		"a vertical tab in the coding":  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", "400"},
		"a space before the colon":      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", "400"},
		"lengths that differ":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"},
		"a list of lengths":             {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", "400"},
		"a signed length":               {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", "400"},
		"a hexadecimal length":          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na", "400"},
		"a length beyond all":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", "400"},
		"no host":                       {"GET / HTTP/1.1\r\n\r\n", "400"},
		"two hosts":                     {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
		"a malformed host":              {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
		"a NUL in a value":              {"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", "400"},
		"a bare CR in a value":          {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "400"},
		"another version":               {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", "400"},
		"a version in small letters":    {"GET / http/1.1\r\nHost: a\r\n\r\n", "400"},
		"an expectation that we lack":   {"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", "417"},
		"a header that is too large":    {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", "431"},
		"an absolute form with a user":  {"GET http://u@a/livez HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		"another scheme":                {"GET ftp://a/livez HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		"a fragment":                    {"GET /livez#x HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		"bytes beyond ASCII":            {"GET /liv\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		"the asterisk":                  {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		"TRACE":                         {"TRACE /livez HTTP/1.1\r\nHost: a\r\n\r\n", "405"},
		"TRACE on the road":             {"TRACE /api/x HTTP/1.1\r\nHost: a\r\n\r\n", "405"},
		"CONNECT":                       {"CONNECT gw.test:443 HTTP/1.1\r\nHost: gw.test:443\r\n\r\n", "405"},
		"CONNECT of a path":             {"CONNECT /livez HTTP/1.1\r\nHost: a\r\n\r\n", "405"},
		"a path that is too long":       {"GET /" + strings.Repeat("p", 9<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", "414"},
		"a query that is too long":      {"GET /api/x?" + strings.Repeat("q", 9<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", "414"},
		"a trace that small letters do": {"trace /livez HTTP/1.1\r\nHost: a\r\n\r\n", "405"},
	} {
		t.Run(name, func(t *testing.T) {
			c := h.dial()
			h.say(c, "%s", tc.request)
			line, err := bufio.NewReader(c).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+tc.status+" ") {
				t.Errorf("%q, %v, want %s", line, err, tc.status)
			}
		})
	}
}

// TestOnlyWebSocketIsAskedForAsAnUpgrade is T20.
func TestOnlyWebSocketIsAskedForAsAnUpgrade(t *testing.T) {
	o := newOrigin(t, nil)
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	h.endpoint("up", o.URL, filter(core.ScopeExtAPI, "/up/.*"))
	for _, up := range []string{"h2c", "H2C", "h2c, websocket", "websocket, h2c", "TLS/1.3", "websocket2", "foo"} {
		c := h.dial()
		h.say(c, "GET /ext-api/up/x HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer %s\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", h.token, up)
		got := h.hear(bufio.NewReader(c), "GET")
		saw := o.take()
		if got.status != 200 || len(saw) != 1 {
			t.Fatalf("%s: %d, %v", up, got.status, saw)
		}
		for _, name := range []string{"Upgrade", "Http2-Settings", "Connection"} {
			if v := saw[0].header[name]; v != nil {
				t.Errorf("%s: the endpoint saw %s: %q", up, name, v)
			}
		}
	}
	t.Run("and nothing changes over to HTTP/2 in the clear", func(t *testing.T) {
		p := newHouse(t, func(s *settings) { s.plain = true })
		c := p.dial()
		p.say(c, "GET /livez HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
		if got := p.hear(bufio.NewReader(c), "GET"); got.status != 200 {
			t.Errorf("%d", got.status)
		}
		c = p.dial()
		p.say(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		if line, _ := bufio.NewReader(c).ReadString('\n'); strings.HasPrefix(line, "HTTP/1.1 2") || strings.HasPrefix(line, "\x00") {
			t.Errorf("answered %q", line)
		}
	})
}

// TestQueriesArriveByteForByte is T21.
func TestQueriesArriveByteForByte(t *testing.T) {
	o := newOrigin(t, nil)
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	h.endpoint("q", o.URL, filter(core.ScopeExtAPI, "/q/.*"))
	heard := make(chan wire.Request, 1)
	h.listen(h.service("q", 50, filter(core.ScopeAPI, "/api/q")), "q", func(r wire.Request) []byte { heard <- r; return reply(r, 200, "") })
	for _, query := range []string{
		"a=1;b=2&c=%zz", "&type=x&filter=org==https%3A%2F%2F;name==y", "&&", "=", "a=b=c", "a+b=c%20d", "%00=%2e%2E", "a?b?c/../d", "a[]=1&a[]=2",
		"<>\"{}|\\^`", "%", strings.Repeat("q", 8<<10),
	} {
		if got := h.as(h.token, "GET", "/ext-api/q/x?"+query, ""); got.status != 200 {
			t.Errorf("%.40q: %d %s", query, got.status, got.body)
		} else if saw := o.take(); len(saw) != 1 || saw[0].target != "/x?"+query {
			t.Errorf("%.40q: the endpoint saw %v", query, saw)
		}
		if got := h.as(h.token, "GET", "/api/q?"+query, ""); got.status != 200 {
			t.Errorf("%.40q: %d %s", query, got.status, got.body)
		} else if r := receive(t, "the request", heard); r.Message.Query != query {
			t.Errorf("%.40q: the service saw %q", query, r.Message.Query)
		}
	}
	for _, query := range []string{"a b", "a#b", "\x7f", "\xff", "a\tb"} {
		c := h.dial()
		h.say(c, "GET /ext-api/q/x?%s HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer %s\r\n\r\n", query, h.token)
		if got := h.hear(bufio.NewReader(c), "GET"); got.status != 400 || len(o.take()) != 0 {
			t.Errorf("%q: %d", query, got.status)
		}
	}
}
