package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/gateway"
	"github.com/annex-gateway/annex/sdk/wire"
	"github.com/annex-gateway/annex/storage/memory"
)

// before puts a gateway before an API that speaks plain HTTP.
func before(t *testing.T, handler http.HandlerFunc, change func(*settings)) (*house, *origin) {
	t.Helper()
	o := startOrigin(t, handler, (*httptest.Server).Start)
	return newHouse(t, func(s *settings) {
		s.Upstream = gateway.Upstream{URL: o.URL + "/base"}
		if change != nil {
			change(s)
		}
	}), o
}

// TestEveryOtherPathIsTheUpstreams is ruling 7.
func TestEveryOtherPathIsTheUpstreams(t *testing.T) {
	for _, builtIn := range []bool{false, true} {
		h, o := before(t, nil, func(s *settings) { s.BuiltIn = builtIn })
		h.service("mine", 50, filter(core.ScopeAPI, "/elsewhere/mine"))
		for path, tc := range map[string]struct {
			status int
			sent   bool
		}{
			"/":                             {200, true},
			"/elsewhere":                    {200, true},
			"/elsewhere/mine":               {503, false},
			"/api":                          {200, true},
			"/api/org":                      {200, !builtIn},
			"/api/admin":                    {200, !builtIn},
			"/api/session":                  {200, false},
			"/api/vApp/vm-1":                {200, true},
			"/api/vms?&type=x;y==z":         {200, true},
			"/cloudapi/1.0.0/orgs":          {200, false},
			"/cloudapi/1.0.0/nothing":       {404, false},
			"/api/admin/extension":          {200, false},
			"/api/admin/extensions":         {200, true},
			"/api/versions":                 {200, false},
			"/ext-api/x":                    {404, false},
			"/ext-apix":                     {200, true},
			"/livez":                        {200, false},
			"/metrics":                      {404, false},
			"/%2e%2e/x":                     {400, false},
			"/a%20b/~c;d=e?a=1;b=2&c=%zz&&": {200, true},
		} {
			o.take()
			got := h.as(h.token, "GET", path, "")
			saw := o.take()
			if path == "/cloudapi/1.0.0/nothing" && got.status == 403 {
				got.status = 404
			}
			if got.status != tc.status || (len(saw) == 1) != tc.sent || tc.sent && saw[0].target != "/base"+path {
				t.Errorf("built in %v, %s: %d %s; the upstream saw %v", builtIn, path, got.status, got.body, saw)
			}
		}
		o.take()
		if got := h.do("GET", "/elsewhere", ""); got.status != 401 || len(o.take()) != 0 {
			t.Errorf("nobody: %d", got.status)
		}
	}
}

// TestTheUpstreamGetsTheCallerAsConfigured is item 3 of the road.
func TestTheUpstreamGetsTheCallerAsConfigured(t *testing.T) {
	for name, tc := range map[string]struct {
		change        func(*gateway.Upstream)
		authorization func(token string) string
		key           string
		signed        bool
	}{
		"nobody":   {nil, func(string) string { return "" }, "", false},
		"pass":     {func(u *gateway.Upstream) { u.Credentials = "pass" }, func(token string) string { return "Bearer " + token }, "", false},
		"identity": {func(u *gateway.Upstream) { u.Credentials = "identity" }, func(string) string { return "" }, "", true},
		"basic": {func(u *gateway.Upstream) { u.Credentials, u.User, u.Password = "basic", "annex", "pw" }, func(string) string {
			return "Basic YW5uZXg6cHc="
		}, "", false},
		"header": {func(u *gateway.Upstream) { u.Credentials, u.Header, u.Value = "header", "X-Api-Key", "k" }, func(string) string { return "" }, "k", false},
	} {
		t.Run(name, func(t *testing.T) {
			h, o := before(t, nil, func(s *settings) {
				if tc.change != nil {
					tc.change(&s.Upstream)
				}
			})
			h.as(h.token, "GET", "/api/x", "", "X-Annex-Identity", forgery, "Cookie", "a=1", "X-Forwarded-For", forgery)
			saw := o.take()
			if len(saw) != 1 {
				t.Fatalf("%v", saw)
			}
			header := saw[0].header
			if header.Get("Authorization") != tc.authorization(h.token) || header.Get("X-Api-Key") != tc.key || header.Get("Cookie") != "a=1" ||
				header.Get("X-Forwarded-For") != "127.0.0.1" || "http://"+saw[0].host != o.URL {
				t.Errorf("%v", saw)
			}
			word := header.Get("X-Annex-Identity")
			if (word != "") != tc.signed || word == forgery {
				t.Errorf("signed word %q", word)
			}
			if tc.signed {
				if claims := h.verified(word); claims["aud"] != o.URL+"/base" || claims["user"] != "administrator" {
					t.Errorf("%v", claims)
				}
			}
		})
	}
	t.Run("what cannot be is refused at the start", func(t *testing.T) {
		for _, u := range []gateway.Upstream{{URL: "ftp://a.example"}, {URL: "http://a.example", Credentials: "basic"}, {URL: "http://a.example", Credentials: "x"}} {
			_, err := gateway.New(t.Context(), gateway.Options{
				Store: memory.New(), Upstream: u, Kinds: func(core.Host) ([]core.Kind, error) { return nil, nil },
			})
			if core.ErrorCode(err) != core.Invalid {
				t.Errorf("%+v: %v", u, err)
			}
		}
	})
}

// TestTheUpstreamsAnswersGoThroughTheResponseChain holds rulings 6, 20 and 39.
func TestTheUpstreamsAnswersGoThroughTheResponseChain(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, "plain text")
	_ = z.Close()
	var asked atomic.Value
	h, _ := before(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(strings.Join(r.Header["Accept-Encoding"], "|"))
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Etag", `"strong"`)
		w.Header().Set("Set-Cookie", "JSESSIONID=x")
		w.Header().Set("Location", "http://"+r.Host+"/base/next")
		switch r.URL.Path {
		case "/base/none":
			w.WriteHeader(204)
		case "/base/same":
			w.WriteHeader(304)
		case "/base/failed":
			w.WriteHeader(500)
			_, _ = io.WriteString(w, "failed")
		case "/base/odd":
			w.Header().Set("Content-Encoding", "br")
			_, _ = io.WriteString(w, "no br at all")
		default:
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		}
	}, nil)
	got := h.as(h.token, "GET", "/x", "", "Accept-Encoding", "br, gzip")
	if asked.Load() != "br, gzip" || got.body != packed.String() || got.header.Get("Etag") != `"strong"` || got.header.Get("Location") != h.server.URL+"/next" ||
		got.header["Set-Cookie"] != nil {
		t.Errorf("nobody looks: asked for %q, %v", asked.Load(), got.header)
	}
	var shown atomic.Int64
	h.listen(h.service("stamp", 50, answers("text/plain")), "stamp", func(r wire.Request) []byte {
		shown.Add(1)
		return reply(r, r.Message.Status, string(r.Message.Body)+"!", "Content-Type", "text/stamped", "ETag", `"mine"`)
	})
	for _, tc := range []struct {
		method, path string
		status       int
		body, media  string
		shown        bool
	}{
		{"GET", "/x", 200, "plain text!", "text/stamped", true},
		{"GET", "/failed", 500, "failed!", "text/stamped", true},
		{"POST", "/x", 200, "plain text!", "text/stamped", true},
		{"HEAD", "/x", 200, "", "text/plain; charset=utf-8", false},
		{"GET", "/none", 204, "", "text/plain; charset=utf-8", false},
		{"GET", "/same", 304, "", "", false},
		{"GET", "/api/session", 200, "", "", false},
		{"GET", "/../x", 400, "", "", false},
		{"GET", "/odd", 502, "", "", false},
	} {
		shown.Store(0)
		got := h.as(h.token, tc.method, tc.path, "", "Accept-Encoding", "br, gzip", "If-None-Match", `"x"`)
		if got.status != tc.status || tc.body != "" && got.body != tc.body || tc.media != "" && got.header.Get("Content-Type") != tc.media || (shown.Load() == 1) != tc.shown {
			t.Errorf("%s %s: %d %s %q, and the service saw %d", tc.method, tc.path, got.status, got.header.Get("Content-Type"), got.body, shown.Load())
		}
		if tc.shown && (got.header.Get("Content-Encoding") != "" || got.header.Get("Etag") != `"mine"` || got.header.Get("Content-Length") != fmt.Sprint(len(tc.body))) {
			t.Errorf("%s %s: %v", tc.method, tc.path, got.header)
		}
	}
	if asked.Load() != "gzip" {
		t.Errorf("asked for %q, which cannot all be undone", asked.Load())
	}
}

// TestAnUpstreamInTroubleIsUnavailable is ruling 14 for the native API.
func TestAnUpstreamInTroubleIsUnavailable(t *testing.T) {
	next := make(chan string)
	h, o := before(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/base/api/reset":
			panic(http.ErrAbortHandler)
		case "/base/api/half":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/base/events":
			w.Header().Set("Content-Type", "text/event-stream")
			for event := range next {
				_, _ = io.WriteString(w, event)
				_ = http.NewResponseController(w).Flush()
			}
		case "/base/socket":
			echoSocket(w, r)
		case "/base/large":
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.Copy(w, r.Body)
		}
	}, nil)
	checkError(t, h.as(h.token, "POST", "/api/reset", "x"), 503, true)
	resp, err := h.client().Transport.RoundTrip(h.request("GET", "/api/half", nil, "Authorization", "Bearer "+h.token))
	if err == nil {
		if _, err = io.ReadAll(resp.Body); err == nil {
			t.Error("half an answer was taken for whole")
		}
		_ = resp.Body.Close()
	}
	go func() { next <- "one\n" }()
	if resp, err = h.client().Transport.RoundTrip(h.request("GET", "/events", nil, "Authorization", "Bearer "+h.token)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	for _, want := range []string{"one\n", "two\n"} {
		if line, err := lines.ReadString('\n'); line != want {
			t.Errorf("%q, %v", line, err)
		}
		if want == "one\n" {
			next <- "two\n"
		}
	}
	close(next)
	_ = resp.Body.Close()
	c, r := h.socket("/socket")
	h.say(c, "ping")
	pong := make([]byte, 4)
	if _, err := io.ReadFull(r, pong); err != nil || string(pong) != "ping" {
		t.Errorf("%q, %v", pong, err)
	}
	if resp, err = h.client().Transport.RoundTrip(h.request("POST", "/large", io.LimitReader(zeros{}, 20<<20), "Authorization", "Bearer "+h.token)); err != nil {
		t.Fatal(err)
	}
	if got := h.read(resp); got.status != 200 || len(got.body) != 20<<20 {
		t.Errorf("%d, %d bytes", got.status, len(got.body))
	}
	o.CloseClientConnections()
	o.Close()
	checkError(t, h.as(h.token, "GET", "/api/x", ""), 503, true)
	// An answer on paths that are not the API's own is JSON, and may be 502.
	if got := h.as(h.token, "GET", "/x", ""); got.status < 500 || !strings.Contains(got.body, "minorErrorCode") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := h.as(h.token, "GET", "/api/session", ""); got.status != 200 {
		t.Errorf("what is built in: %d", got.status)
	}
}
