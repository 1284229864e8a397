package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/gateway"
	"github.com/annex-gateway/annex/sdk/wire"
)

// bounded is a house whose limits a test can reach: an MQTT service at
// /api/small and an endpoint at /ext-api/large.
func bounded(t *testing.T, limits gateway.Limits) *house {
	t.Helper()
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			fmt.Fprint(w, n)
		}
	})
	h := newHouse(t, func(s *settings) {
		s.Limits = limits
		s.mqtt.BodyLimit = 1000
	})
	h.trust(o.Server, "origin")
	h.endpoint("large", o.URL, filter(core.ScopeExtAPI, "/large/.*"))
	h.listen(h.service("small", 50, filter(core.ScopeAPI, "/api/small")), "small", func(r wire.Request) []byte {
		return reply(r, 200, fmt.Sprint(len(r.Message.Body)))
	})
	return h
}

// checkError holds that an error has its form, and the id that the log knows.
func checkError(t *testing.T, got answer, status int, xml bool) {
	t.Helper()
	id := got.header.Get("X-Vmware-Vcloud-Request-Id")
	form := strings.Contains(got.body, `"minorErrorCode":`)
	if xml {
		form = strings.Contains(got.body, "<Error ")
	}
	if got.status != status || !form || id == "" || !strings.Contains(got.body, id) {
		t.Errorf("%d %s, want %d with the id %q", got.status, got.body, status, id)
	}
}

// TestOversizeBodiesAreRefusedBeforeTheyAreTaken is F11.
func TestOversizeBodiesAreRefusedBeforeTheyAreTaken(t *testing.T) {
	h := bounded(t, gateway.Limits{AdminBody: 2000, Module: 3000})
	auth := "Host: gw.test\r\nAuthorization: Bearer " + h.token + "\r\n"
	for _, tc := range []struct {
		path  string
		limit int
		xml   bool
	}{
		{"/api/small", 1000, true},
		{"/cloudapi/1.0.0/tokens", 2000, false},
		{"/cloudapi/extensions/modules", 3000, false},
	} {
		t.Run(tc.path, func(t *testing.T) {
			for name, size := range map[string]int{"a byte more": tc.limit + 1, "two gigabytes": 2 << 30} {
				for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
					c := h.dial()
					h.say(c, "POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n%s\r\n", tc.path, auth, size, expect)
					if size < 1<<20 && expect == "" {
						h.say(c, "%s", strings.Repeat("x", size)) // else nothing of it is sent
					}
					got := h.hear(bufio.NewReader(c), "POST")
					if t.Run(name, func(t *testing.T) { checkError(t, got, 413, tc.xml) }); t.Failed() {
						return
					}
				}
			}
			c := h.dial()
			h.say(c, "POST %s HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n", tc.path, auth)
			go func() {
				for err := error(nil); err == nil; { // without end
					_, err = io.WriteString(c, "100\r\n"+strings.Repeat("x", 256)+"\r\n")
				}
			}()
			checkError(t, h.hear(bufio.NewReader(c), "POST"), 413, tc.xml)
		})
	}
	t.Run("what is as large as may be is taken", func(t *testing.T) {
		if got := h.as(h.token, "POST", "/api/small", strings.Repeat("x", 1000)); got.status != 200 || got.body != "1000" {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	t.Run("an endpoint streams without a limit", func(t *testing.T) {
		const size = 48 << 20
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		resp, err := h.client().Transport.RoundTrip(h.request("POST", "/ext-api/large/x", io.LimitReader(zeros{}, size), "Authorization", "Bearer "+h.token))
		if err != nil {
			t.Fatal(err)
		}
		if got := h.read(resp); got.status != 200 || got.body != fmt.Sprint(size) {
			t.Errorf("%d %s", got.status, got.body)
		}
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > size/2 {
			t.Errorf("the heap grew by %d bytes", grown)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestSlowBodiesEnd is T32 and F12: whoever stops within a body is told so.
func TestSlowBodiesEnd(t *testing.T) {
	h := bounded(t, gateway.Limits{BodyIdle: 100 * time.Millisecond, AdminTime: 300 * time.Millisecond, Visit: 300 * time.Millisecond})
	auth := "Host: gw.test\r\nAuthorization: Bearer " + h.token + "\r\n"
	for _, tc := range []struct {
		path string
		xml  bool
	}{
		{"/api/small", true}, {"/ext-api/large/x", false}, {"/cloudapi/1.0.0/tokens", false},
	} {
		for name, head := range map[string]string{"of a known length": "Content-Length: 100\r\n\r\nabc", "in chunks": "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"} {
			t.Run(tc.path+" "+name, func(t *testing.T) {
				c := h.dial()
				h.say(c, "POST %s HTTP/1.1\r\n%s%s", tc.path, auth, head)
				r := bufio.NewReader(c)
				got := h.hear(r, "POST")
				checkError(t, got, 400, tc.xml)
				if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
					t.Errorf("the connection goes on: %v", err)
				}
			})
		}
	}
	for _, tc := range []struct {
		path string
		xml  bool
	}{{"/api/small", true}, {"/cloudapi/1.0.0/tokens", false}} {
		t.Run(tc.path+" drop by drop", func(t *testing.T) {
			c := h.dial()
			h.say(c, "POST %s HTTP/1.1\r\n%sContent-Length: 900\r\n\r\n", tc.path, auth)
			go func() {
				for err := error(nil); err == nil; time.Sleep(20 * time.Millisecond) {
					_, err = io.WriteString(c, "x")
				}
			}()
			checkError(t, h.hear(bufio.NewReader(c), "POST"), 400, tc.xml)
		})
	}
	t.Run("but an upload to an endpoint may take its time", func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			for range 25 { // well over every limit
				_, _ = w.Write([]byte("x"))
				time.Sleep(20 * time.Millisecond)
			}
			_ = w.Close()
		}()
		resp, err := h.client().Transport.RoundTrip(h.request("POST", "/ext-api/large/x", r, "Authorization", "Bearer "+h.token))
		if err != nil {
			t.Fatal(err)
		}
		if got := h.read(resp); got.status != 200 || got.body != "25" {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
}

// TestBodiesThatBreakOffAreTheClientsFault holds that a client that goes, or
// sends what is no body, costs nothing and blames nobody else.
func TestBodiesThatBreakOffAreTheClientsFault(t *testing.T) {
	h := bounded(t, gateway.Limits{})
	auth := "Host: gw.test\r\nAuthorization: Bearer " + h.token + "\r\n"
	for _, path := range []string{"/api/small", "/ext-api/large/x", "/cloudapi/1.0.0/tokens"} {
		for name, body := range map[string]string{"no size": "xyz\r\n", "a negative size": "-1\r\n", "a chunk that is too long": "2\r\nabcd\r\n0\r\n\r\n", "an endless size": "fffffffffffffffff\r\n"} {
			t.Run(path+" with "+name, func(t *testing.T) {
				c := h.dial()
				h.say(c, "POST %s HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n%s", path, auth, body)
				checkError(t, h.hear(bufio.NewReader(c), "POST"), 400, path == "/api/small")
			})
		}
	}
	before := runtime.NumGoroutine()
	for range 20 {
		for _, path := range []string{"/api/small", "/ext-api/large/x", "/cloudapi/1.0.0/tokens"} {
			c := h.dial()
			h.say(c, "POST %s HTTP/1.1\r\n%sContent-Length: 100\r\n\r\nabc", path, auth)
			_ = c.Close()
		}
	}
	eventually(t, "goroutines back to the start", func() bool { return runtime.NumGoroutine() <= before+8 })
	if got := h.as(h.token, "POST", "/ext-api/large/x", "abc"); got.status != 200 {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
}

// TestAServerHasLimits holds the numbers that slow clients run into.
func TestAServerHasLimits(t *testing.T) {
	h := newHouse(t, nil)
	s := h.server.Config
	if s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > 10*time.Second || s.IdleTimeout <= 0 || s.MaxHeaderBytes > 64<<10 || s.HTTP2.MaxConcurrentStreams > 100 {
		t.Errorf("%+v", s)
	}
	for range 300 { // half a header each
		h.say(h.dial(), "GET /livez HTTP/1.1\r\nHost: gw.test\r\nX-Sl")
	}
	if got := h.as(h.token, "GET", "/api/session", ""); got.status != 200 {
		t.Errorf("with slow clients around: %d", got.status)
	}
}
