package upstream

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/forward"
)

// seen is what an API saw of a request.
type seen struct {
	target, host string
	header       http.Header
}

// serve starts an API that remembers the last request.
func serve(t *testing.T, h http.HandlerFunc) (base string, last *seen) {
	t.Helper()
	last = &seen{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*last = seen{r.RequestURI, r.Host, r.Header.Clone()}
		if h != nil {
			h(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, last
}

func open(t *testing.T, base string, opts Options) *Upstream {
	t.Helper()
	u, err := New(base, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.Close() })
	return u
}

// call is a message of a known caller.
func call(target string, header ...string) core.Message {
	path, query, _ := strings.Cut(target, "?")
	return core.Message{
		ID: "id", Caller: core.Caller{UserID: "urn:vcloud:user:1", UserName: "ann", OrgID: "urn:vcloud:org:1", OrgName: "acme"},
		Request: core.Request{
			Method: "GET", Path: path, RawPath: path, RawQuery: query, Scheme: "https", Host: "gw.example:8443",
			RemoteAddr: netip.MustParseAddrPort("192.0.2.7:1"), Header: core.NewHeader(header...),
		},
	}
}

func do(t *testing.T, u *Upstream, m core.Message) core.Response {
	t.Helper()
	out, err := u.Do(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if !out.Answered() {
		t.Fatal("not answered")
	}
	_ = out.Response.Body.Close()
	return *out.Response
}

// credentials are what a caller sends, and a foreign word on who calls.
func credentials() []string {
	return []string{
		"Authorization", "Bearer caller", "X-Vcloud-Authorization", "caller", "X-Vmware-Vcloud-Access-Token", "caller",
		"Cookie", "a=1; vcloud_jwt=caller; b=2", "X-Annex-Identity", "forged", "X-Forwarded-For", "203.0.113.1", "X-Api-Key", "of-the-caller", "Accept", "text/plain",
	}
}

func TestWhoseCredentialsTheUpstreamGets(t *testing.T) {
	base, last := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Www-Authenticate", "Basic")
		w.Header().Set("Set-Cookie", "vcloud_jwt=theirs")
	})
	sign := func(_ context.Context, c core.Caller, audience, tenant string) (string, error) {
		return "signed:" + c.UserName + ":" + audience + ":" + tenant, nil
	}
	const names = "Authorization X-Vcloud-Authorization X-Vmware-Vcloud-Access-Token Cookie X-Annex-Identity X-Api-Key"
	for name, tc := range map[string]struct {
		credentials Credentials
		want        string // the values of names, with | between
	}{
		"nobody's":          {Credentials{}, "|||a=1; b=2||of-the-caller"},
		"nobody's, by name": {Credentials{Mode: None}, "|||a=1; b=2||of-the-caller"},
		"the caller's":      {Credentials{Mode: Pass}, "Bearer caller|caller|caller|a=1; vcloud_jwt=caller; b=2||of-the-caller"},
		"a signed word":     {Credentials{Mode: Identity, Sign: sign}, "|||a=1; b=2|signed:ann:" + base + ":|of-the-caller"},
		"one for another audience": {
			Credentials{Mode: Identity, Sign: sign, Audience: "inventory"}, "|||a=1; b=2|signed:ann:inventory:|of-the-caller",
		},
		"a user of its own": {Credentials{Mode: Basic, User: "annex", Password: "pä:ss"}, "Basic YW5uZXg6cMOkOnNz|||a=1; b=2||of-the-caller"},
		"a key":             {Credentials{Mode: Static, Header: "x-api-key", Value: "k"}, "|||a=1; b=2||k"},
		"a key as a bearer": {Credentials{Mode: Static, Header: "Authorization", Value: "Bearer k"}, "Bearer k|||a=1; b=2||of-the-caller"},
	} {
		t.Run(name, func(t *testing.T) {
			u := open(t, base+"/", Options{Credentials: tc.credentials})
			r := do(t, u, call("/api/x", credentials()...))
			var got []string
			for _, n := range strings.Fields(names) {
				got = append(got, strings.Join(last.header[http.CanonicalHeaderKey(n)], ","))
			}
			if is := strings.Join(got, "|"); is != tc.want {
				t.Errorf("it got %s\nwant %s", is, tc.want)
			}
			if last.header.Get("X-Forwarded-For") != "192.0.2.7" || last.header.Get("X-Forwarded-Proto") != "https" ||
				last.header.Get("X-Forwarded-Host") != "gw.example:8443" || last.header.Get("Accept") != "text/plain" || "http://"+last.host != base {
				t.Errorf("%+v", last)
			}
			if challenged := r.Header.Has("Www-Authenticate"); challenged != (tc.credentials.Mode == Pass) || r.Header.Has("Set-Cookie") {
				t.Errorf("answered %v", r.Header.Clone())
			}
		})
	}
	t.Run("nobody is vouched for whom nobody knows", func(t *testing.T) {
		u := open(t, base, Options{Credentials: Credentials{Mode: Identity, Sign: sign}})
		m := call("/api/x", credentials()...)
		m.Caller = core.Caller{}
		do(t, u, m)
		if last.header.Get("X-Annex-Identity") != "" {
			t.Errorf("%v", last.header)
		}
	})
	t.Run("nothing is sent when the word cannot be signed", func(t *testing.T) {
		*last = seen{}
		u := open(t, base, Options{Credentials: Credentials{Mode: Identity, Sign: func(context.Context, core.Caller, string, string) (string, error) {
			return "", core.Errorf(core.Unavailable, "no key")
		}}})
		_, err := u.Do(t.Context(), call("/api/x"))
		if core.ErrorCode(err) != core.Unavailable || last.target != "" {
			t.Errorf("%v, and it saw %+v", err, last)
		}
	})
}

func TestCredentialsThatCannotBeAreRefused(t *testing.T) {
	for name, c := range map[string]Credentials{
		"an unknown mode":           {Mode: "oauth"},
		"nobody who signs":          {Mode: Identity},
		"no user":                   {Mode: Basic, Password: "x"},
		"a user with a colon":       {Mode: Basic, User: "a:b"},
		"no header":                 {Mode: Static, Value: "x"},
		"a header with a space":     {Mode: Static, Header: "X Y", Value: "x"},
		"a header of the gateway's": {Mode: Static, Header: "X-Annex-Identity", Value: "x"},
		"a forwarding field":        {Mode: Static, Header: "x-forwarded-for", Value: "x"},
		"a field of the connection": {Mode: Static, Header: "Transfer-Encoding", Value: "x"},
		"no value":                  {Mode: Static, Header: "X-Api-Key"},
		"a value with a line end":   {Mode: Static, Header: "X-Api-Key", Value: "a\nb"},
	} {
		if _, err := New("http://a.example", Options{Credentials: c}); core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), "credentials") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestURLsThatCannotBeAreRefused(t *testing.T) {
	for _, base := range []string{
		"", "a.example", "//a.example", "ftp://a.example", "http:a.example", "http://", "http:///x", "http://u:p@a.example", "http://a.example?x", "http://a.example/#x",
		"http://a.example:0", "http://a.example:65536", "http://a.example:x", "http://b\u00fccher.example", "http://a b", "http://[::1", "http://[fe80::1%25eth0]",
		"http://a.example/x/../y", "http://a.example//x", "http://a.example/%2fx",
	} {
		if _, err := New(base, Options{}); core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), "upstream's URL") {
			t.Errorf("%q: %v", base, err)
		}
	}
}

func TestPathsAndQueriesArriveByteForByte(t *testing.T) {
	base, last := serve(t, nil)
	for _, tc := range []struct{ prefix, target, want string }{
		{"", "/", "/"},
		{"", "/api/x", "/api/x"},
		{"/", "/api/x/", "/api/x/"},
		{"/v1", "/api/x", "/v1/api/x"},
		{"/v1/", "/", "/v1/"},
		{"/v%31;p", "/a", "/v1;p/a"},
		{"", "/a%20b/%C3%A9/~;x=1:@!$&'()*+,=", "/a%20b/%C3%A9/~;x=1:@!$&'()*+,="},
		{"", "/x?a=1;b=2&c=%zz&&", "/x?a=1;b=2&c=%zz&&"},
		{"/v1", "/x?%2e%2E=%00?", "/v1/x?%2e%2E=%00?"},
	} {
		u := open(t, base+tc.prefix, Options{})
		do(t, u, call(tc.target))
		if last.target != tc.want {
			t.Errorf("%s below %q arrived as %s, want %s", tc.target, tc.prefix, last.target, tc.want)
		}
	}
}

func TestLocationsLeadBackToTheGateway(t *testing.T) {
	const gw = "https://gw.example:8443"
	for _, tc := range []struct{ base, in, want string }{
		{"http://a.example", "http://a.example/x?y#z", gw + "/x?y#z"},
		{"http://a.example", "http://A.EXAMPLE:80/x", gw + "/x"},
		{"http://a.example:81", "http://a.example/x", "http://a.example/x"},
		{"http://a.example", "//a.example/x", gw + "/x"},
		{"http://a.example", "https://a.example/x", "https://a.example/x"},
		{"http://a.example", "http://a.example", gw + "/"},
		{"http://a.example", "http://a.example?y", gw + "/?y"},
		{"http://a.example", "http://a.example.evil/x", "http://a.example.evil/x"},
		{"http://a.example", "http://u@a.example/x", "http://u@a.example/x"},
		{"http://a.example", "/x", "/x"},
		{"http://a.example", "x", "x"},
		{"http://a.example", "", ""},
		{"http://a.example", "http://[::1", "http://[::1"},
		{"http://a.example", "mailto:a@a.example", "mailto:a@a.example"},
		{"http://a.example/v1", "http://a.example/v1/x", gw + "/x"},
		{"http://a.example/v1", "http://a.example/v1", gw + "/"},
		{"http://a.example/v1", "http://a.example/v1?y", gw + "/?y"},
		{"http://a.example/v1", "http://a.example/v10/x", "http://a.example/v10/x"},
		{"http://a.example/v1", "http://a.example/other", "http://a.example/other"},
		{"http://a.example/v1", "/v1/x", gw + "/x"},
		{"http://a.example/v1", "/x", "/x"},
		{"http://a.example/v1", "x", "x"},
		{"https://[::1]:8443/v1/", "https://[::1]:8443/v1/a%2Fb", gw + "/a%2Fb"},
	} {
		u := open(t, tc.base, Options{})
		if got := u.location(tc.in, gw); got != tc.want {
			t.Errorf("%s of %s became %s, want %s", tc.in, tc.base, got, tc.want)
		}
	}
	base, _ := serve(t, nil)
	base2, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Location"] = []string{"http://" + r.Host + "/v1/next"}
		w.Header()["Content-Location"] = []string{"/v1/here"}
		w.Header()["Link"] = []string{"<http://" + r.Host + "/v1/kept>"}
		w.WriteHeader(302)
	})
	r := do(t, open(t, base2+"/v1", Options{}), call("/x"))
	if r.Header.Get("Location") != gw+"/next" || r.Header.Get("Content-Location") != gw+"/here" || r.Header.Get("Link") != "<"+base2+"/v1/kept>" {
		t.Errorf("%v", r.Header.Clone())
	}
	if r = do(t, open(t, base, Options{}), call("/x")); r.Header.Has("Location") {
		t.Errorf("%v", r.Header.Clone())
	}
}

func TestAnUpstreamThatFailsSaysSo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	_ = l.Close()
	u := open(t, nobody, Options{})
	_, err = u.Do(t.Context(), call("/x"))
	if core.ErrorCode(err) != core.BadUpstream || !strings.Contains(core.ErrorMessage(err), "the upstream API: nobody listens") || u.Ready() == nil {
		t.Errorf("%v, ready %v", err, u.Ready())
	}

	tlsServer := httptest.NewTLSServer(http.NotFoundHandler())
	defer tlsServer.Close()
	u = open(t, tlsServer.URL, Options{Server: forward.Options{Trust: x509.NewCertPool}})
	if _, err = u.Do(t.Context(), call("/x")); core.ErrorCode(err) != core.BadUpstream || !strings.Contains(core.ErrorMessage(err), "not trusted") {
		t.Error(err)
	}
	u = open(t, nobody, Options{Server: forward.Options{Guard: func(netip.AddrPort) error { return errors.New("no") }}})
	if _, err = u.Do(t.Context(), call("/x")); core.ErrorCode(err) != core.BadUpstream || !strings.Contains(core.ErrorMessage(err), "does not call") {
		t.Error(err)
	}

	hang, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	u = open(t, hang, Options{Server: forward.Options{AnswerTimeout: 50 * time.Millisecond}})
	if _, err = u.Do(t.Context(), call("/x")); core.ErrorCode(err) != core.Timeout {
		t.Error(err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if _, err = u.Do(t.Context(), call("/x")); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

func TestItIsAConnThatStreams(t *testing.T) {
	base, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	u := open(t, base, Options{})
	if !u.Streams() {
		t.Error("it bounds its own waits")
	}
	m := call("/x")
	m.Request.Method, m.Request.Body = "POST", core.BytesBody([]byte("abc"))
	for range 2 { // what is buffered can be sent again
		out, err := u.Do(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := out.Response.Body.Bytes(10); err != nil || !slices.Equal(b, []byte("abc")) {
			t.Errorf("%q, %v", b, err)
		}
		if out.ID != "id" || out.Caller.UserName != "ann" {
			t.Errorf("%+v", out)
		}
	}
}
