package https

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/plugintest"
)

// recorder keeps the last request that an origin got.
type recorder struct {
	mu   sync.Mutex
	last *http.Request
	body string
}

// ServeHTTP records and answers 200.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	b, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.last, r.body = req, string(b)
	r.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

func (r *recorder) seen() *http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func TestTailsAndQueriesArriveByteForByte(t *testing.T) {
	ca := newAuthority(t, "ca")
	cases := []struct{ root, tail, query, want string }{
		{"", "createObject", "", "/createObject"},
		{"", "get/123", "", "/get/123"},
		{"", "", "", "/"},
		{"", "", "a=1", "/?a=1"},
		{"/", "", "", "/"},
		{"/", "x", "", "/x"},
		{"/base", "", "", "/base"},
		{"/base", "", "q", "/base?q"},
		{"/base/", "", "", "/base/"},
		{"/base", "createObject", "", "/base/createObject"},
		{"/base/", "createObject", "", "/base/createObject"},
		{"/base", "/createObject", "", "/base/createObject"},
		{"/base/", "/createObject", "", "/base/createObject"},
		{"/base", "dir/", "", "/base/dir/"},
		{"/base", "/", "", "/base/"},
		{"/a%2Fb/%41", "x", "", "/a%2Fb/%41/x"},
		{"/base;v=1", "x;a=b", "", "/base;v=1/x;a=b"},
		{"/base", "%7Euser/%41%c3%a4", "", "/base/%7Euser/%41%c3%a4"},
		{"/base", "~user/!$&'()*+,;=:@", "", "/base/~user/!$&'()*+,;=:@"},
		{"/base", "a%20b+c", "", "/base/a%20b+c"},
		{"/base", "[1]^|`{}\"<>\\", "", "/base/[1]^|`{}\"<>\\"},
		{"/base", "x", "a=1;b=2&c=%zz", "/base/x?a=1;b=2&c=%zz"},
		{"/base", "x", "&a=b==c;d&&", "/base/x?&a=b==c;d&&"},
		{"/base", "x", "a=b?c=d/e", "/base/x?a=b?c=d/e"},
		{"/base", "x", "filter=vendor%3D%3Dacme%3Bname==clip", "/base/x?filter=vendor%3D%3Dacme%3Bname==clip"},
		{"/base", "urn:vcloud:x:1", "%2e%2E=%00", "/base/urn:vcloud:x:1?%2e%2E=%00"},
		{"/base", "x", strings.Repeat("a", 8000), "/base/x?" + strings.Repeat("a", 8000)},
	}
	for name, change := range map[string]func(*httptest.Server){"HTTP/1.1": nil, "HTTP/2": overHTTP2} {
		rec := &recorder{}
		s := ca.server(t, rec, change)
		for _, c := range cases {
			conn := ca.dial(t, s.URL+c.root, nil)
			m := get(c.tail)
			m.Request.RawQuery = c.query
			got, err := conn.Do(t.Context(), m)
			read(t, got, err)
			if seen := rec.seen().RequestURI; seen != c.want {
				t.Errorf("%s: root %q, tail %q, query %q: the endpoint saw %q, want %q", name, c.root, c.tail, c.query, seen, c.want)
			}
		}
	}
}

func TestTargetsThatCannotBeWrittenAreRefused(t *testing.T) {
	ca := newAuthority(t, "ca")
	rec := &recorder{}
	c := ca.dial(t, ca.server(t, rec, nil).URL, nil)
	for _, bad := range []struct{ tail, query string }{
		{"a b", ""},
		{"a\r\nX: y", ""},
		{"a\x00", ""},
		{"a?b", ""},
		{"a#b", ""},
		{"//evil.example/x", ""},
		{"a", "x y"},
		{"a", "x\r\ny"},
		{"a", "x#y"},
		{"a", "\x7f"},
	} {
		m := get(bad.tail)
		m.Request.RawQuery = bad.query
		_, err := c.Do(t.Context(), m)
		fails(t, err, core.Invalid, "")
	}
	for _, method := range []string{"", "CONNECT", "G ET", "GET\r\n", "GÉT"} {
		m := get("x")
		m.Request.Method = method
		_, err := c.Do(t.Context(), m)
		fails(t, err, core.NotAllowed, "method")
	}
	if rec.seen() != nil {
		t.Error("something was sent")
	}
}

func TestMethodsArePassedOn(t *testing.T) {
	ca := newAuthority(t, "ca")
	rec := &recorder{}
	c := ca.dial(t, ca.server(t, rec, nil).URL, nil)
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get"} {
		m := get("x")
		m.Request.Method = method
		got, err := c.Do(t.Context(), m)
		read(t, got, err)
		if rec.seen().Method != method {
			t.Errorf("the endpoint saw %q, want %q", rec.seen().Method, method)
		}
	}
}

func TestNothingOfTheCallersOwnOrForgedPasses(t *testing.T) {
	forbidden := []string{
		"Authorization", "authorization", "AUTHORIZATION", "X-Vcloud-Authorization", "x-vcloud-authorization", "x_vcloud_authorization", "X_Vcloud-Authorization",
		"X-Vmware-Vcloud-Access-Token", "X-VMWARE-VCLOUD-ACCESS-TOKEN", "x_vmware_vcloud_access_token", "Proxy-Authorization", "Proxy-Authenticate",
		"X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-User", "X-Forwarded",
		"Forwarded", "X-Real-Ip", "X-REAL-IP", "X-Annex-Identity", "x-annex-identity", "X_Annex_Identity", "X-Annex-Anything",
		"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", "Proxy", "Host", "Content-Length", "Any_Thing", "_",
	}
	ca := newAuthority(t, "ca")
	for proto, change := range map[string]func(*httptest.Server){"HTTP/1.1": nil, "HTTP/2": overHTTP2} {
		rec := &recorder{}
		c := ca.dial(t, ca.server(t, rec, change).URL, nil)
		for _, name := range forbidden {
			// Written into the map as it is, for a guest may not know of canonical names.
			m := get("x")
			m.Request.Header = core.HeaderOf(http.Header{name: {"forged", "forged"}, "Accept": {"a", "b"}, "X-Kept": {"kept"}})
			got, err := c.Do(t.Context(), m)
			read(t, got, err)
			r := rec.seen()
			for n, values := range r.Header {
				if slices.Contains(values, "forged") {
					t.Errorf("%s: %q passed as %q", proto, name, n)
				}
			}
			if r.Host == "forged" || len(r.TransferEncoding) > 0 || r.Close {
				t.Errorf("%s: %q took effect on the connection", proto, name)
			}
			if !slices.Equal(r.Header["Accept"], []string{"a", "b"}) || r.Header.Get("X-Kept") != "kept" {
				t.Errorf("%s: beside %q the others became %v", proto, name, r.Header)
			}
		}
	}
}

func TestFieldsNamedInConnectionAreDroppedButNotOurs(t *testing.T) {
	ca := newAuthority(t, "ca")
	rec := &recorder{}
	s := ca.server(t, rec, nil)
	signer := &signingHost{Host: plugintest.NewHost()}
	c := openWith(t, signer, s.URL, func(o *Options) { o.Trust = TrustOnly(ca.pool()) })
	got, err := c.Do(t.Context(), get("x",
		"Connection", "close, X-Mine , x-forwarded-for", "Connection", "X-Annex-Identity,X-Forwarded-Host",
		"X-Mine", "1", "X-Other", "2"))
	read(t, got, err)
	h := rec.seen().Header
	if h.Get("X-Mine") != "" || h.Get("X-Other") != "2" {
		t.Errorf("header %v", h)
	}
	if h.Get("X-Forwarded-For") != "192.0.2.7" || h.Get("X-Forwarded-Host") == "" || h.Get("X-Annex-Identity") == "" {
		t.Errorf("our own fields were dropped on the client's word: %v", h)
	}
}

func TestTheSessionCookieIsTakenOutAndOthersStay(t *testing.T) {
	ca := newAuthority(t, "ca")
	rec := &recorder{}
	c := ca.dial(t, ca.server(t, rec, nil).URL, nil)
	for in, want := range map[string]string{
		"a=1":                                   "a=1",
		"a=1;b=2":                               "a=1;b=2",
		"vcloud_jwt=secret":                     "",
		"vcloud_jwt=secret; a=1":                "a=1",
		"a=1; vcloud_jwt=secret":                "a=1",
		"a=1; vcloud_jwt=secret; b=2":           "a=1; b=2",
		"a=1;vcloud_jwt=secret;b=2":             "a=1; b=2",
		"vcloud_jwt=secret; vcloud_jwt=secret":  "",
		" \tvcloud_jwt =secret;a=\"x y\"":       "a=\"x y\"",
		"VCLOUD_JWT=secret; a=1":                "a=1",
		"\"vcloud_jwt\"=secret; a=1":            "a=1",
		"vcloud_jwt":                            "",
		"xvcloud_jwt=kept; vcloud_jwt2=kept":    "xvcloud_jwt=kept; vcloud_jwt2=kept",
		"a=vcloud_jwt; b=\"vcloud_jwt=kept\"":   "a=vcloud_jwt; b=\"vcloud_jwt=kept\"",
		"a=b=c; vcloud_jwt=secret=; d=e;;f=g; ": "a=b=c; d=e; f=g",
	} {
		got, err := c.Do(t.Context(), get("x", "Cookie", in))
		read(t, got, err)
		if out := strings.Join(rec.seen().Header["Cookie"], "|"); out != want {
			t.Errorf("%q became %q, want %q", in, out, want)
		}
	}
	got, err := c.Do(t.Context(), get("x", "Cookie", "a=1", "Cookie", "vcloud_jwt=secret", "Cookie", "b=2"))
	read(t, got, err)
	if out := rec.seen().Header["Cookie"]; !slices.Equal(out, []string{"a=1", "b=2"}) {
		t.Errorf("three fields became %q", out)
	}
}

func TestForwardingFieldsTellHowTheClientCame(t *testing.T) {
	ca := newAuthority(t, "ca")
	rec := &recorder{}
	s := ca.server(t, rec, nil)
	c := ca.dial(t, s.URL, nil)
	m := get("x", "Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Tracestate", "a=b", "User-Agent", "curl/8")
	m.Route.Prefix = "/ext-ui/tenant/test%20Org/custom/"
	got, err := c.Do(t.Context(), m)
	read(t, got, err)
	r := rec.seen()
	for name, want := range map[string]string{
		"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "gateway.example:8443",
		"X-Forwarded-Prefix": "/ext-ui/tenant/test%20Org/custom",
		"Traceparent":        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Tracestate": "a=b", "User-Agent": "curl/8",
	} {
		if v := r.Header.Get(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	if "https://"+r.Host != s.URL {
		t.Errorf("Host is %q, want that of %s", r.Host, s.URL)
	}
	m.Request.RemoteAddr = netip.MustParseAddrPort("[::ffff:198.51.100.1]:1")
	m.Request.Header = core.Header{}
	got, err = c.Do(t.Context(), m)
	read(t, got, err)
	h := rec.seen().Header
	if v := h.Get("X-Forwarded-For"); v != "198.51.100.1" {
		t.Errorf("X-Forwarded-For is %q", v)
	}
	for _, name := range []string{"User-Agent", "Accept-Encoding", "Accept", "X-Annex-Identity"} {
		if h[name] != nil {
			t.Errorf("%s: %q was made up", name, h[name])
		}
	}
}

// signingHost is a host that can say who calls.
type signingHost struct {
	*plugintest.Host
	err error
}

// SignIdentity says it in the clear.
func (s *signingHost) SignIdentity(_ context.Context, c core.Caller, audience, tenant string) (string, error) {
	return "signed:" + c.UserName + ":" + audience + ":" + tenant, s.err
}

func TestWhoCallsIsSignedForTheEndpoint(t *testing.T) {
	ca := newAuthority(t, "ca")
	rec := &recorder{}
	s := ca.server(t, rec, nil)
	host := &signingHost{Host: plugintest.NewHost()}
	trusted := func(o *Options) { o.Trust = TrustOnly(ca.pool()) }
	c := openWith(t, host, s.URL, trusted)
	m := get("x", "X-Annex-Identity", "forged")
	m.Route.Tenant = "testOrg"
	got, err := c.Do(t.Context(), m)
	read(t, got, err)
	want := []string{"signed:tester:urn:vcloud:extensionEndpoint:acme:clip:1.0.0:testOrg"}
	if v := rec.seen().Header["X-Annex-Identity"]; !slices.Equal(v, want) {
		t.Errorf("X-Annex-Identity is %q, want %q", v, want)
	}
	m.Caller = core.Caller{}
	got, err = c.Do(t.Context(), m)
	read(t, got, err)
	if v := rec.seen().Header["X-Annex-Identity"]; v != nil {
		t.Errorf("nobody calls, and the endpoint saw %q", v)
	}

	sys := endpoint(s.URL)
	sys.Settings = core.EncodeSettings(core.HTTPSSettings{RootURL: s.URL, NoIdentity: true})
	off, err := New(host, Options{Trust: TrustOnly(ca.pool()), Guard: local.Guard}).Open(t.Context(), sys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = off.Close() })
	got, err = off.Do(t.Context(), get("x", "X-Annex-Identity", "forged"))
	read(t, got, err)
	if v := rec.seen().Header["X-Annex-Identity"]; v != nil {
		t.Errorf("switched off, and the endpoint saw %q", v)
	}
}

func TestNothingIsSentWhenTheCallerCannotBeSigned(t *testing.T) {
	ca := newAuthority(t, "ca")
	rec := &recorder{}
	host := &signingHost{Host: plugintest.NewHost(), err: errors.New("secret detail")}
	c := openWith(t, host, ca.server(t, rec, nil).URL, func(o *Options) { o.Trust = TrustOnly(ca.pool()) })
	_, err := c.Do(t.Context(), get("x"))
	fails(t, err, core.Internal, "could not be signed")
	if rec.seen() != nil || strings.Contains(core.ErrorMessage(err), "secret") {
		t.Errorf("sent %v, said %q", rec.seen(), core.ErrorMessage(err))
	}
}

func TestMalformedFieldsAreRefused(t *testing.T) {
	ca := newAuthority(t, "ca")
	rec := &recorder{}
	c := ca.dial(t, ca.server(t, rec, nil).URL, nil)
	for name, value := range map[string]string{"X-A": "a\r\nX-Annex-Identity: b", "X-B": "\x00", "X C": "c", "": "x", "X-D:": "d", "X-E": "\x7f"} {
		m := get("x")
		m.Request.Header = core.HeaderOf(http.Header{name: {value}})
		_, err := c.Do(t.Context(), m)
		fails(t, err, core.Invalid, "header field")
	}
	if rec.seen() != nil {
		t.Error("something was sent")
	}
}

func TestOnlyWebSocketIsEverAskedForAsAnUpgrade(t *testing.T) {
	ca := newAuthority(t, "ca")
	for proto, change := range map[string]func(*httptest.Server){"HTTP/1.1": nil, "HTTP/2": overHTTP2} {
		rec := &recorder{}
		c := ca.dial(t, ca.server(t, rec, change).URL, nil)
		for _, up := range []string{"h2c", "H2C", "TLS/1.0", "h2c, websocket", "websocket2", "foo"} {
			m := get("x", "Connection", "Upgrade, HTTP2-Settings", "Upgrade", up, "Http2-Settings", "AAMAAABkAAQAAP__")
			m.Request.Upgrade = up
			got, err := c.Do(t.Context(), m)
			read(t, got, err)
			for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
				if v := rec.seen().Header[name]; v != nil {
					t.Errorf("%s: upgrade to %q: the endpoint saw %s: %q", proto, up, name, v)
				}
			}
		}
	}
}

func TestRequestBodiesKeepTheirLength(t *testing.T) {
	ca := newAuthority(t, "ca")
	for proto, change := range map[string]func(*httptest.Server){"HTTP/1.1": nil, "HTTP/2": overHTTP2} {
		rec := &recorder{}
		c := ca.dial(t, ca.server(t, rec, change).URL, nil)
		for _, x := range []struct {
			body *core.Body
			want int64
			text string
		}{
			{nil, 0, ""},
			{core.BytesBody(nil), 0, ""},
			{core.BytesBody([]byte("abc")), 3, "abc"},
			{core.StreamBody(io.NopCloser(strings.NewReader("abcd")), 4), 4, "abcd"},
			{core.StreamBody(io.NopCloser(strings.NewReader("abcde")), -1), -1, "abcde"},
			{core.StreamBody(io.NopCloser(strings.NewReader("")), -1), -1, ""},
		} {
			got, err := c.Do(t.Context(), post("x", x.body))
			read(t, got, err)
			if r := rec.seen(); r.ContentLength != x.want || rec.body != x.text {
				t.Errorf("%s: length %d and body %q, want %d and %q", proto, r.ContentLength, rec.body, x.want, x.text)
			}
		}
	}
}

func TestAPostWithAnIdempotencyKeyIsNotRepeatedByTheTransport(t *testing.T) {
	ca := newAuthority(t, "ca")
	o := newRawOrigin(t, ca)
	c := ca.dial(t, o.url, nil)
	var mu sync.Mutex
	posts := 0
	o.serve(func(req *http.Request, w io.Writer) bool {
		mu.Lock()
		defer mu.Unlock()
		if req.Method == "POST" {
			if req.Header.Get("Idempotency-Key") != "k" {
				t.Errorf("the key is gone: %v", req.Header)
			}
			posts++
			return false // cut after the request was read
		}
		_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return true
	})
	got, err := c.Do(t.Context(), get("warm"))
	read(t, got, err)
	m := post("x", nil)
	m.Request.Header = core.NewHeader("Idempotency-Key", "k")
	_, err = c.Do(t.Context(), m)
	fails(t, err, core.BadUpstream, "")
	mu.Lock()
	defer mu.Unlock()
	if posts != 1 {
		t.Errorf("sent %d times", posts)
	}
}
