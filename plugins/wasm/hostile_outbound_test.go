package wasm

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// silent answers in ways that make callers wait.
func silent(t *testing.T) *httptest.Server {
	t.Helper()
	gone := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait := func(d time.Duration) bool {
			select {
			case <-time.After(d):
				return true
			case <-r.Context().Done():
			case <-gone:
			}
			return false
		}
		switch r.URL.Path {
		case "/drip":
			for wait(20 * time.Millisecond) {
				_, _ = io.WriteString(w, "x")
				w.(http.Flusher).Flush()
			}
		case "/endless":
			for piece := make([]byte, 64<<10); r.Context().Err() == nil; {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		case "/large":
			_, _ = io.CopyN(w, &endless{most: 9 << 20}, 9<<20)
		case "/liar":
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nshort")
				_ = conn.Close()
			}
		default:
			wait(time.Hour)
		}
	}))
	t.Cleanup(func() { close(gone); s.CloseClientConnections(); s.Close() })
	return s
}

func TestCallsToOthersThatDoNotAnswer(t *testing.T) {
	server := silent(t)
	for _, path := range []string{"/hang", "/drip", "/endless", "/liar"} {
		t.Run("proxy-wasm "+path, func(t *testing.T) {
			f := newFixture(t, Options{BreakAfter: 1 << 20, BodyBytes: 1 << 20})
			f.kind.opts.Guard = func(netip.AddrPort) error { return nil }
			f.kind.outbound.guard = f.kind.opts.Guard
			imports := proxyImports()
			pairs := encodePairs([]pair{{":method", "GET"}, {":path", path}, {":authority", "a"}})
			c := f.open(t, proxyModule("proxy_abi_version_0_2_1", imports, map[int]string{0: "there", 256: string(pairs)},
				testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: cat(env(imports, "proxy_http_call", 0, 5, 256, len(pairs), 0, 0, 0, 0, 100, 64), drop(), constant(1))},
				// Without a header the call has failed: the guest answers with 503, else with 200.
				testFunc{export: "proxy_on_http_call_response", sig: "iiiii", body: cat(
					env(imports, "proxy_set_effective_context", 2), drop(),
					get(2), []byte{0x04, 0x40}, env(imports, "proxy_send_local_response", 200, 0, 0, 0, 0, 0, 0, 0), drop(),
					[]byte{0x05}, env(imports, "proxy_send_local_response", 503, 0, 0, 0, 0, 0, 0, 0), drop(), []byte{0x0b})},
			), core.WASMSettings{DeadlineMS: 50, Clusters: map[string]string{"there": server.URL}})
			f.beside(t, func() {
				v, err := c.Begin(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				defer v.Done()
				m, err := v.Request(t.Context(), testMessage(nil))
				if err != nil || !m.Answered() || m.Response.Status != 503 {
					t.Errorf("got %+v, %v", m.Response, err)
				}
			})
			if s := c.Stats(); s.Failures != 0 {
				t.Errorf("others' silence is the guest's fault: %+v", s)
			}
		})
		t.Run("annex "+path, func(t *testing.T) {
			f := newFixture(t, Options{BreakAfter: 1 << 20, BodyBytes: 1 << 20})
			f.kind.opts.Guard = func(netip.AddrPort) error { return nil }
			f.kind.outbound.guard = f.kind.opts.Guard
			url := server.URL + path
			imports := append(allImports(), "annex fetch iiiiiiiii:i")
			var args []byte
			for _, n := range []int{0, 3, 16, len(url), 0, 0, 0, 0, 0} {
				args = append(args, constant(int64(n))...)
			}
			c := f.open(t, testModule{imports: imports, pages: 2, data: map[int]string{0: "GET", 16: url}, funcs: []testFunc{
				{export: "handle_request", sig: ":l", body: cat(args, callFunc(len(imports)-1), drop(), constant64(next))},
				{export: "handle_response", sig: "ii"},
			}}.bytes(), core.WASMSettings{DeadlineMS: 200, Clusters: map[string]string{"there": server.URL}})
			f.beside(t, func() {
				_, err := c.Do(t.Context(), testMessage(nil))
				if late := path == "/hang" || path == "/drip"; late != (err != nil) || late && core.ErrorCode(err) != core.Unavailable {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// TestManyLargeAnswersAreHeldWithinBounds has a guest ask as often as it may
// at once, and keep busy while the answers come.
func TestManyLargeAnswersAreHeldWithinBounds(t *testing.T) {
	server := silent(t)
	f := newFixture(t, Options{BreakAfter: 1 << 20})
	f.kind.opts.Guard = func(netip.AddrPort) error { return nil }
	f.kind.outbound.guard = f.kind.opts.Guard
	imports := proxyImports()
	pairs := encodePairs([]pair{{":method", "GET"}, {":path", "/large"}, {":authority", "a"}})
	ask := env(imports, "proxy_http_call", 0, 5, 256, len(pairs), 4096, 100_000, 0, 0, 5_000, 64)
	c := f.open(t, proxyModule("proxy_abi_version_0_2_1", imports, map[int]string{0: "there", 256: string(pairs)},
		testFunc{export: "proxy_on_http_call_response", sig: "iiiii"},
		testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: cat([]byte{0x02, 0x40, 0x03, 0x40}, ask, []byte{0x0d, 1, 0x0c, 0, 0x0b, 0x0b}, forever(), constant(0))},
	), core.WASMSettings{DeadlineMS: 1000, Clusters: map[string]string{"there": server.URL}, Concurrency: 1})
	held := most(func() {
		f.beside(t, func() {
			if err := wholeCall(c); err == nil {
				t.Error("no error")
			}
			for c.pool.outside.held.Load() > 0 {
				time.Sleep(time.Millisecond)
			}
		})
	})
	t.Logf("at most %d MiB", held>>20)
	if held > 200<<20 {
		t.Errorf("%d MiB are held", held>>20)
	}
}
