package wasm

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// proxyGuest opens the guest of testdata/proxy.
func proxyGuest(t *testing.T, opts Options, set core.WASMSettings) (*fixture, *Conn) {
	t.Helper()
	opts.CacheDir = cacheDir(t)
	f := newFixture(t, opts)
	return f, f.open(t, goModule(t, "testdata/proxy"), set)
}

// carry takes a message past a guest and back, and ends the call.
func carry(t *testing.T, c *Conn, m core.Message, reply func(core.Message) core.Message) (passed, back core.Message, body string) {
	t.Helper()
	v, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Done()
	passed, err = v.Request(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if passed.Answered() {
		return passed, passed, bodyOf(t, passed.Response.Body)
	}
	if passed.Request.Body != nil { // the system behind reads it
		passed.Request.Body = core.BytesBody([]byte(bodyOf(t, passed.Request.Body))).WithTrailer(passed.Request.Body.Trailer)
	}
	replied := reply(passed)
	back, err = v.Response(t.Context(), replied)
	if err != nil {
		t.Fatal(err)
	}
	if back.Response.Body != replied.Response.Body { // as the road gives up what was replaced
		_ = replied.Response.Body.Close()
	}
	return passed, back, bodyOf(t, back.Response.Body)
}

func theirs(m core.Message) core.Message {
	return answered(m, 200, core.BytesBody([]byte("theirs")), "Content-Type", "text/plain", "Set-Cookie", "s=1")
}

// streamOf is a body that comes in pieces.
func streamOf(pieces ...string) *core.Body {
	r, w := io.Pipe()
	go func() {
		for _, p := range pieces {
			_, _ = io.WriteString(w, p)
		}
		_ = w.Close()
	}()
	return core.StreamBody(r, -1)
}

func TestWhatAProxyWASMGuestSees(t *testing.T) {
	_, c := proxyGuest(t, Options{}, core.WASMSettings{Config: []byte(`"plain text"`), VMConfig: []byte(`{"v":1}`), RootID: "root"})
	m := testMessage(nil, "X-Test", "dump", "X-Two", "a", "X-Two", "b", "Authorization", "Bearer x", "Cookie", "vcloud_jwt=x; c=d")
	m.Request.Scheme = "https"
	_, out, body := carry(t, c, m, nil)
	want := "8 1 true plain text {\"v\":1}\n:method=GET\n:path=/a%20b?x=1;y\n:scheme=https\n:authority=gateway:8443\ncookie=c=d\nx-test=dump\nx-two=a\nx-two=b\n"
	if body != want {
		t.Errorf("got %q\nwant %q", body, want)
	}
	if r := out.Response; r.Status != 200 || r.Header.Get("X-A") != "1" || r.Header.Len() != 1 {
		t.Errorf("got %d %v", r.Status, r.Header.Clone())
	}
}

func TestPropertiesOfACall(t *testing.T) {
	_, c := proxyGuest(t, Options{}, core.WASMSettings{RootID: "root"})
	m := testMessage(nil, "X-Test", "properties", "User-Agent", "tests", "X-Names",
		"source.address,source.port,destination.address,request.protocol,request.path,request.url_path,request.query,request.method,request.host,"+
			"request.id,x_request_id,request.headers.user-agent,request.headers.x-forwarded-for,request.headers.x-forwarded-proto,request.useragent,response.code,plugin_name,plugin_root_id,cluster_name,route_name,connection.mtls,my.own,nothing")
	m.Route.FilterID = "f1"
	_, _, body := carry(t, c, m, nil)
	want := `https by 192.0.2.7
source.address=0 "192.0.2.7:4321"
source.port=0 "\xe1\x10\x00\x00\x00\x00\x00\x00"
destination.address=1 ""
request.protocol=0 "HTTP/2"
request.path=0 "/a%20b?x=1;y"
request.url_path=0 "/a%20b"
request.query=0 "x=1;y"
request.method=0 "GET"
request.host=0 "gateway:8443"
request.id=0 "call-1"
x_request_id=0 "call-1"
request.headers.user-agent=0 "tests"
request.headers.x-forwarded-for=0 "192.0.2.7"
request.headers.x-forwarded-proto=0 "https"
request.useragent=0 "tests"
response.code=1 ""
plugin_name=0 "guest"
plugin_root_id=0 "root"
cluster_name=0 ""
route_name=0 "f1"
connection.mtls=0 "\x00"
my.own=0 "mine"
nothing=1 ""
`
	if body != want {
		t.Errorf("got %s", body)
	}
}

func TestWhatProxyWASMGuestsChange(t *testing.T) {
	header := []string{"X-Two", "a", "X-Old", "old", "X-Gone", "1", "Authorization", "Bearer x"}
	for _, tc := range []struct {
		name    string
		rewrite bool
		want    func(core.Request) bool
		refused uint64
	}{
		{"fields are changed, the credential is not", false, func(r core.Request) bool {
			return strings.Join(r.Header.Values("X-Two"), ",") == "a,b" && r.Header.Get("X-Old") == "new" && !r.Header.Has("X-Gone") &&
				r.Header.Get("Authorization") == "Bearer x" && r.Header.Get("X-Path") == "2 2" && r.Path == "/a b" && r.Method == "GET"
		}, 3},
		{"path and method take the capability rewrite", true, func(r core.Request) bool {
			return r.Header.Get("X-Path") == "0 0" && r.Path == "/other" && r.RawQuery == "q=1" && r.Method == "PUT"
		}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, c := proxyGuest(t, Options{}, core.WASMSettings{Rewrite: tc.rewrite})
			passed, _, _ := carry(t, c, testMessage(nil, append(header, "X-Test", "edit")...), theirs)
			if !tc.want(passed.Request) {
				t.Errorf("got %s %s %v", passed.Request.Method, passed.Request.Target(), passed.Request.Header.Clone())
			}
			if n := c.Stats().Refused; n != tc.refused {
				t.Errorf("%d changes were refused, want %d", n, tc.refused)
			}
		})
	}
	t.Run("all pairs are set at once", func(t *testing.T) {
		_, c := proxyGuest(t, Options{}, core.WASMSettings{})
		passed, _, _ := carry(t, c, testMessage(nil, append(header, "X-Test", "pairs")...), theirs)
		r := passed.Request
		if r.Header.Has("X-Gone") || r.Header.Get("X-New") != "1" || r.Header.Get("X-Old") != "old" || r.Header.Get("Authorization") != "Bearer x" || r.Method != "GET" {
			t.Errorf("got %v", r.Header.Clone())
		}
	})
}

func TestStatusesOfTheBorder(t *testing.T) {
	_, c := proxyGuest(t, Options{}, core.WASMSettings{})
	_, _, body := carry(t, c, testMessage(nil, "X-Test", "statuses"), nil)
	if want := "1 2 6 1 12 12 1 4 2 0 1 2 1 2 12 12 2 2 2 1 2 true\n"; body != want {
		t.Errorf("got  %swant %s", body, want)
	}
}

func TestBodiesOfProxyWASMGuests(t *testing.T) {
	_, c := proxyGuest(t, Options{}, core.WASMSettings{BodyBytes: 1000})
	sum := func() http.Header { return http.Header{"X-Sum": {"abc"}} }
	for _, tc := range []struct {
		name, test string
		body       func() *core.Body
		want       string
		trailer    string
	}{
		{"an untouched body passes", "", func() *core.Body { return core.BytesBody([]byte("hello")) }, "hello", ""},
		{"append", "append", func() *core.Body { return core.BytesBody([]byte("hello")) }, "hello+", ""},
		{"prepend", "prepend", func() *core.Body { return core.BytesBody([]byte("hello")) }, "-hello", ""},
		{"replace", "replace", func() *core.Body { return core.BytesBody([]byte("hello")) }, "HELLO", ""},
		{"replace a piece", "middle", func() *core.Body { return core.BytesBody([]byte("hello")) }, "h__lo", ""},
		{"sizes and pieces", "body-read", func() *core.Body { return core.BytesBody([]byte("hello")) }, "0 5ell|0", ""},
		{"a stream is shown piece by piece", "append", func() *core.Body { return streamOf("one", "two") }, "one+two++", ""},
		{"who says that it goes on, and then to wait, goes on", "go-on-and-pause", func() *core.Body { return streamOf("one", "two") }, "onetwo", ""},
		{"a stream that is held back grows until its end", "hold", func() *core.Body { return streamOf("one", "two") }, "[3:0 6:0 6:1 onetwo]", ""},
		{"a body at hand is shown once", "hold", func() *core.Body { return core.BytesBody([]byte("hello")) }, "[5:1 hello]", ""},
		{"trailers come behind the body", "", func() *core.Body { return core.BytesBody([]byte("hello")).WithTrailer(sum) }, "hello", "abc"},
		{"trailers of a stream", "append", func() *core.Body { return streamOf("one").WithTrailer(sum) }, "one+", "abc"},
		{"trailers are added where there are none", "add-trailer", func() *core.Body { return streamOf("one") }, "one", "added"},
	} {
		t.Run("request: "+tc.name, func(t *testing.T) {
			passed, _, _ := carry(t, c, testMessage(tc.body(), "X-Test", tc.test), theirs)
			if got := bodyOf(t, passed.Request.Body); got != tc.want || passed.Request.Body.Trailer().Get("X-Sum") != tc.trailer {
				t.Errorf("got %q %v", got, passed.Request.Body.Trailer())
			}
			if tc.trailer == "abc" && passed.Request.Body.Trailer().Get("X-Seen") != "1abc" {
				t.Errorf("got trailers %v", passed.Request.Body.Trailer())
			}
			if tc.test == "hold" && passed.Request.Header.Get("X-Held") != "yes" {
				t.Error("what the guest did to the header while it held the body is lost")
			}
		})
		t.Run("answer: "+tc.name, func(t *testing.T) {
			_, back, got := carry(t, c, testMessage(nil, "X-Answer", tc.test), func(m core.Message) core.Message {
				return answered(m, 200, tc.body(), "Content-Length", "5")
			})
			if got != tc.want || back.Response.Body.Trailer().Get("X-Sum") != tc.trailer || back.Response.Header.Has("Content-Length") {
				t.Errorf("got %q %v %v", got, back.Response.Body.Trailer(), back.Response.Header.Clone())
			}
		})
	}
	t.Run("a body beyond the limit that is held back is refused", func(t *testing.T) {
		v, _ := c.Begin(t.Context())
		defer v.Done()
		_, err := v.Request(t.Context(), testMessage(streamOf(strings.Repeat("x", 600), strings.Repeat("x", 600)), "X-Test", "hold"))
		if core.ErrorCode(err) != core.TooLarge {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a body beyond the limit that is not held back streams", func(t *testing.T) {
		passed, _, _ := carry(t, c, testMessage(streamOf(strings.Repeat("x", 600), strings.Repeat("x", 600)), "X-Test", "append"), theirs)
		if got := bodyOf(t, passed.Request.Body); len(got) != 1203 {
			t.Errorf("got %d bytes", len(got))
		}
	})
}

func TestAProxyWASMGuestAnswersItself(t *testing.T) {
	f, c := proxyGuest(t, Options{}, core.WASMSettings{})
	t.Run("its answer wins over what the callback says", func(t *testing.T) {
		_, out, body := carry(t, c, testMessage(nil, "X-Test", "answer-and-continue"), nil)
		if r := out.Response; r.Status != 201 || body != "first" || r.Header.Get("X-B") != "2" || r.Header.Len() != 1 {
			t.Errorf("got %d %v %q", r.Status, r.Header.Clone(), body)
		}
	})
	t.Run("it sees its own answer, as other hosts show it", func(t *testing.T) {
		_, out, body := carry(t, c, testMessage(nil, "X-Test", "answer-and-continue", "X-Answer", "reply"), nil)
		if r := out.Response; r.Status != 201 || body != "first" || r.Header.Get("X-Every") != "2010" || r.Header.Get("X-B") != "2" {
			t.Errorf("got %d %v %q", r.Status, r.Header.Clone(), body)
		}
	})
	t.Run("because of the body", func(t *testing.T) {
		_, out, body := carry(t, c, testMessage(streamOf("a bad", " body"), "X-Test", "body-answer"), nil)
		if out.Response == nil || out.Response.Status != 403 || body != "not with that body" {
			t.Errorf("got %v %q", out.Response, body)
		}
	})
	t.Run("in the middle of a body: who reads it is told", func(t *testing.T) {
		v, _ := c.Begin(t.Context())
		defer v.Done()
		passed, err := v.Request(t.Context(), testMessage(streamOf("fine", "a bad end"), "X-Test", "body-answer"))
		if err != nil || passed.Answered() {
			t.Fatal(err)
		}
		_, err = io.ReadAll(passed.Request.Body.Open())
		var a *core.Answered
		if !errors.As(err, &a) || a.Response.Status != 403 || bodyOf(t, a.Response.Body) != "not with that body" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("in place of the answer", func(t *testing.T) {
		_, back, body := carry(t, c, testMessage(nil, "X-Answer", "local"), theirs)
		if back.Response.Status != 503 || body != "mine" {
			t.Errorf("got %d %q", back.Response.Status, body)
		}
	})
	t.Run("the status is changed, and hidden fields stay", func(t *testing.T) {
		_, back, body := carry(t, c, testMessage(nil, "X-Answer", "status"), theirs)
		if r := back.Response; r.Status != 418 || body != "theirs" || r.Header.Get("X-Guest") != "true2000" || strings.Join(r.Header.Values("Set-Cookie"), "|") != "s=1" {
			t.Errorf("got %d %v", r.Status, r.Header.Clone())
		}
	})
	t.Run("a stream that it closes ends the call", func(t *testing.T) {
		_, out, _ := carry(t, c, testMessage(nil, "X-Test", "close"), nil)
		if out.Response.Status != 503 {
			t.Errorf("got %d", out.Response.Status)
		}
	})
	if log := f.host.log(); !strings.Contains(log, `text="log of answer-and-continue" request=call-1`) || !strings.Contains(log, "deleted, 1") {
		t.Errorf("the log has %s", log)
	}
}
