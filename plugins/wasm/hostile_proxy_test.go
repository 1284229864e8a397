package wasm

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// beside calls a guest that behaves well for as long as f runs: no call of it
// may fail.
func (f *fixture) beside(t *testing.T, work func()) {
	t.Helper()
	good := f.open(t, echoGuest(), core.WASMSettings{})
	var stop atomic.Bool
	done, calls := make(chan struct{}), 0
	go func() {
		defer close(done)
		for ; calls == 0 || !stop.Load(); calls++ {
			out, err := good.Do(context.Background(), testMessage(core.BytesBody([]byte("hello"))))
			if err != nil {
				t.Errorf("a guest that behaves well: %v", err)
				return
			}
			if b, err := out.Response.Body.Bytes(100); err != nil || string(b) != "hello" {
				t.Errorf("a guest that behaves well answers %q, %v", b, err)
				return
			}
		}
	}()
	within(t, work)
	stop.Store(true)
	within(t, func() { <-done })
}

// callbackSignatures are the callbacks of a call and of its plugin, with
// their types, in the order in which a call meets them.
func callbackSignatures() [][2]string {
	return [][2]string{
		{"proxy_on_context_create", "ii"},
		{"proxy_on_request_headers", "iii:i"},
		{"proxy_on_request_body", "iii:i"},
		{"proxy_on_request_trailers", "ii:i"},
		{"proxy_on_response_headers", "iii:i"},
		{"proxy_on_response_body", "iii:i"},
		{"proxy_on_response_trailers", "ii:i"},
		{"proxy_on_done", "i:i"},
		{"proxy_on_log", "i"},
		{"proxy_on_delete", "i"},
	}
}

func withTrailer(b *core.Body) *core.Body {
	return b.WithTrailer(func() http.Header { return http.Header{"T": {"1"}} })
}

// wholeCall takes a call with streaming bodies and trailers past a guest and
// reads what comes of it. It gives the first error that the caller would see.
func wholeCall(c *Conn) error { return boundCall(c, hangGuard) }

// boundCall is wholeCall by somebody who does not wait for long, as the road
// does not.
func boundCall(c *Conn, most time.Duration) error {
	v, err := c.Begin(context.Background())
	if err != nil {
		return err
	}
	defer v.Done()
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	m, err := v.Request(ctx, testMessage(withTrailer(streamOf("one", "two"))))
	if err != nil || m.Answered() {
		return err
	}
	read := func(b *core.Body) error {
		r := b.Open()
		defer r.Close()
		_, err := io.Copy(io.Discard, r)
		return err
	}
	if err = read(m.Request.Body); err != nil {
		return err
	}
	m, err = v.Response(ctx, answered(m, 200, withTrailer(streamOf("three", "four"))))
	if err != nil {
		return err
	}
	v.Done()
	return read(m.Response.Body)
}

func TestProxyWASMGuestsThatFailInAnyCallback(t *testing.T) {
	imports := proxyImports()
	for what, fault := range map[string][]byte{"trap": trapNow(), "loop": forever()} {
		for _, cb := range callbackSignatures() {
			t.Run(what+" in "+cb[0], func(t *testing.T) {
				f := newFixture(t, Options{BreakAfter: 1 << 20})
				// Contexts of calls have ids above that of the plugin.
				body := cat(get(0), constant(1), []byte{0x4b, 0x04, 0x40}, fault, []byte{0x0b})
				if strings.HasSuffix(cb[1], ":i") {
					body = append(body, constant(int64(flagAt(cb[0])))...)
				}
				c := f.open(t, proxyModule("proxy_abi_version_0_2_1", imports, nil, testFunc{export: cb[0], sig: cb[1], body: body}), core.WASMSettings{DeadlineMS: 50})
				f.beside(t, func() {
					for range 3 {
						if err := wholeCall(c); err != nil && core.ErrorCode(err) != core.Unavailable {
							t.Errorf("got %v", err)
						}
					}
				})
				s := c.Stats()
				if s.Failures != 3 || s.Guests != 0 || s.MemoryBytes != 0 || (what == "loop") != (s.Timeouts == 3) {
					t.Errorf("got %+v", s)
				}
			})
		}
	}
}

// flagAt is what a callback gives to let things go on.
func flagAt(callback string) int {
	if callback == "proxy_on_done" {
		return 1
	}
	return 0
}

func TestProxyWASMGuestsThatFailAtTheirStart(t *testing.T) {
	imports := proxyImports()
	for what, fault := range map[string][]byte{"a trap": trapNow(), "a loop": forever()} {
		for _, start := range []testFunc{
			{export: "_initialize"},
			{export: "_start"},
			{export: "proxy_on_context_create", sig: "ii"},
			{export: "proxy_on_vm_start", sig: "ii:i"},
			{export: "proxy_on_configure", sig: "ii:i"},
		} {
			t.Run(what+" in "+start.export, func(t *testing.T) {
				f := newFixture(t, Options{MaxStart: 100 * time.Millisecond})
				start.body = fault
				if strings.HasSuffix(start.sig, ":i") {
					start.body = cat(fault, constant(1))
				}
				f.beside(t, func() {
					err := f.kind.Check(t.Context(), f.system(proxyModule("proxy_abi_version_0_2_1", imports, nil, start), core.WASMSettings{}))
					if core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), "start") {
						t.Errorf("got %v", err)
					}
				})
			})
		}
	}
}

func TestProxyWASMAllocatorsThatLie(t *testing.T) {
	imports := proxyImports()
	ask := env(imports, "proxy_get_buffer_bytes", 7, 0, 100, 64, 68)
	for _, tc := range []struct {
		name  string
		alloc []byte
		want  string // of the start, which asks for the configuration
	}{
		{"a trap", cat(trapNow(), constant(0)), "does not start"},
		{"a loop", cat(forever(), constant(0)), "did not start within"},
		{"nowhere", constant(0), ""},
		{"outside of memory", constant(2 * pageSize), ""},
		{"across the end of memory", constant(2*pageSize - 2), ""},
		{"less than nothing", constant(-1), ""},
		{"itself again", cat(ask, drop(), constant(40_000)), ""},
		{"a local response", cat(env(imports, "proxy_send_local_response", 200, 0, 0, 0, 0, 0, 0, 0), drop(), constant(40_000)), ""},
		{"another context", cat(env(imports, "proxy_set_effective_context", 99), drop(), constant(40_000)), ""},
		{"more memory", cat(constant(1), []byte{0x40, 0}, drop(), constant(40_000)), ""},
		{"itself without an end", cat(get(0), callFunc(len(imports))), "start"}, // too deep or, on a slow machine, too late
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, Options{MaxStart: 200 * time.Millisecond})
			module := testModule{imports: imports, pages: 2, funcs: []testFunc{
				{export: "proxy_on_memory_allocate", sig: "i:i", body: tc.alloc},
				{export: "proxy_abi_version_0_2_1"},
				{export: "proxy_on_configure", sig: "ii:i", body: cat(ask, drop(), constant(1))},
			}}.bytes()
			f.beside(t, func() {
				err := f.kind.Check(t.Context(), f.system(module, core.WASMSettings{Config: []byte(`{"a":1}`)}))
				if tc.want == "" && err != nil || tc.want != "" && (core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), tc.want)) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
			})
		})
	}
}

// most is how much memory is held at most while f runs, beyond what was held
// before. What nobody holds any more is collected first.
func most(f func()) int64 {
	inUse := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse + m.StackInuse)
	}
	before := inUse()
	stop, top := make(chan struct{}), make(chan int64)
	go func() {
		n := int64(0)
		for {
			select {
			case <-stop:
				top <- n
				return
			case <-time.After(5 * time.Millisecond):
				n = max(n, inUse()-before)
			}
		}
	}()
	f()
	close(stop)
	return <-top
}

func TestFloodsFromProxyWASMGuests(t *testing.T) {
	imports := proxyImports()
	data := map[int]string{0: "x-a", 16: "queue", 32: "\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00a\x00b\x00"}
	do := func(name string, args ...int) []byte { return cat(env(imports, name, args...), drop()) }
	// A name that is another one each time: its first bytes count.
	count := cat(constant(16), constant(16), []byte{0x28, 2, 0}, constant(1), []byte{0x6a, 0x36, 2, 0})
	for name, flood := range map[string][]byte{
		"log lines":               do("proxy_log", 2, 0, 4000),
		"large header fields":     do("proxy_add_header_map_value", 0, 0, 3, 4096, 60_000),
		"many header fields":      cat(count, do("proxy_add_header_map_value", 0, 16, 5, 0, 3)),
		"header maps":             do("proxy_set_header_map_pairs", 0, 32, 16),
		"properties":              cat(count, do("proxy_set_property", 16, 5, 0, 10_000)),
		"shared data":             cat(count, do("proxy_set_shared_data", 16, 5, 0, 60_000, 0)),
		"small shared data":       cat(count, do("proxy_set_shared_data", 16, 5, 0, 0, 0)),
		"queues":                  cat(count, do("proxy_register_shared_queue", 16, 5, 64)),
		"queues of long names":    cat(count, do("proxy_register_shared_queue", 16, 100_000, 64)),
		"items of a queue":        cat(do("proxy_register_shared_queue", 16, 5, 64), loop(do("proxy_enqueue_shared_queue", 1, 0, 60_000))),
		"empty items":             cat(do("proxy_register_shared_queue", 16, 5, 64), loop(do("proxy_enqueue_shared_queue", 1, 0, 0))),
		"items taken out at once": cat(do("proxy_register_shared_queue", 16, 5, 64), loop(do("proxy_enqueue_shared_queue", 1, 0, 1), do("proxy_dequeue_shared_queue", 1, 64, 68))),
		"metrics":                 cat(count, do("proxy_define_metric", 0, 16, 5, 64)),
		"local responses":         do("proxy_send_local_response", 200, 0, 0, 0, 100_000, 0, 0, 0),
		"ticks":                   do("proxy_set_tick_period_milliseconds", 1),
		"calls to others":         do("proxy_http_call", 80, 5, 112, 57, 4096, 100_000, 0, 0, 10_000, 64),
		"buffers":                 do("proxy_set_buffer_bytes", 0, 0, 0, 0, 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{BreakAfter: 1 << 20})
			c := f.open(t, proxyModule("proxy_abi_version_0_2_1", imports, data,
				testFunc{export: "proxy_on_queue_ready", sig: "ii"}, testFunc{export: "proxy_on_tick", sig: "i"},
				testFunc{export: "proxy_on_request_headers", sig: "iii:i", body: cat(loop(flood), constant(0))}), core.WASMSettings{DeadlineMS: 200})
			most := most(func() {
				f.beside(t, func() {
					for range 2 {
						if err := wholeCall(c); core.ErrorCode(err) != core.Unavailable {
							t.Errorf("got %v", err)
						}
					}
				})
			})
			if most > 200<<20 { // much of it is garbage not collected yet
				t.Errorf("%d MiB more are in use", most>>20)
			}
		})
	}
}

// TestContextsThatAreNeverDone has a guest hold on to every call.
func TestContextsThatAreNeverDone(t *testing.T) {
	f := newFixture(t, Options{})
	c := f.open(t, proxyModule("proxy_abi_version_0_2_1", proxyImports(), nil,
		testFunc{export: "proxy_on_done", sig: "i:i", body: constant(0)}), core.WASMSettings{Concurrency: 1})
	within(t, func() {
		for i := range 3 * maxCarried {
			if err := wholeCall(c); err != nil {
				t.Errorf("call %d: %v", i, err)
				return
			}
		}
	})
	v := c.fleet.vms[0]
	if n := len(v.streams); n != maxLingering || v.calls.Load() != maxLingering || len(v.lingering) != maxLingering {
		t.Errorf("%d contexts are kept, %d calls, %d linger", n, v.calls.Load(), len(v.lingering))
	}
}
