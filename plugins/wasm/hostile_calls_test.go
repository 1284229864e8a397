package wasm

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/wasm/inspect"
)

// offered are all functions that guests of a border can import, as the tests
// write imports down. They are asked of the runtime, so none is forgotten.
func (f *fixture) offered(border string) []string {
	var out []string
	add := func(module string, functions map[string]inspect.Signature) {
		for _, name := range slices.Sorted(maps.Keys(functions)) {
			out = append(out, fmt.Sprintf("%s %s %s", module, name, letters(functions[name])))
		}
	}
	offers := f.kind.modules.runtime.offers
	for _, module := range slices.Sorted(maps.Keys(offers)) {
		switch {
		case module == "wasi_unstable": // the same functions
		case border == "proxy-wasm" && (module == "http_handler" || module == annexModule):
		case border == "http-wasm" && module == annexModule:
		default:
			add(module, offers[module])
		}
	}
	if border == "proxy-wasm" {
		out = append(out, proxyImports()...)
	}
	return out
}

func letters(s inspect.Signature) string {
	write := func(types []byte) string {
		return strings.NewReplacer(string([]byte{i32}), "i", string([]byte{i64}), "l").Replace(string(types))
	}
	return write(s.Params) + ":" + write(s.Results)
}

// caller is a guest of a border that exports f0, f1, …: each hands its
// parameters to one function of the host.
func caller(border string, imports []string, pages int) []byte {
	m := testModule{imports: imports, pages: pages, data: map[int]string{0: "x-a", 64: "value", 128: "\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00a\x00b\x00"}}
	if border == "proxy-wasm" {
		m.funcs = []testFunc{{export: "proxy_on_memory_allocate", sig: "i:i", body: constant(4096)}, {export: "proxy_abi_version_0_2_1"}}
	} else {
		m.funcs = []testFunc{{export: "handle_request", sig: ":l", body: constant64(next)}, {export: "handle_response", sig: "ii"}}
	}
	for i, imported := range imports {
		sig := strings.Fields(imported)[2]
		params, _, _ := strings.Cut(sig, ":")
		var body []byte
		for p := range params {
			body = append(body, get(p)...)
		}
		m.funcs = append(m.funcs, testFunc{export: fmt.Sprintf("f%d", i), sig: sig, body: append(body, callFunc(i)...)})
	}
	return m.bytes()
}

// hostCalls has one guest after another call functions of the host amid a
// call: a guest that traps is thrown away.
type hostCaller struct {
	conn    *Conn
	imports []string
}

func (f *fixture) hostCaller(t *testing.T, border string, pages int) *hostCaller {
	t.Helper()
	imports := f.offered(border)
	set := core.WASMSettings{Rewrite: true, Concurrency: 1, Border: border, MemoryBytes: int64(pages) * pageSize}
	return &hostCaller{f.open(t, caller(border, imports, pages), set), imports}
}

func (h *hostCaller) call(i int, args []uint64) error {
	ctx := context.Background()
	m := testMessage(core.BytesBody([]byte("hello")), "A", "b", "Cookie", "vcloud_jwt=1; c=d")
	reply := core.Response{Status: 200, Header: core.NewHeader("C", "d"), Body: core.BytesBody([]byte("there"))}
	work := func(g *guest) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := g.mod.ExportedFunction(fmt.Sprintf("f%d", i)).Call(ctx, args...)
			return err
		}
	}
	if h.conn.fleet != nil {
		s := h.conn.beginStream(ctx)
		if err := s.bind(ctx, m); err != nil {
			return err
		}
		defer s.Done()
		s.x = newExchange(s.vm.guest, m)
		s.x.respond(&reply)
		s.hooks[0] = &bodyHook{s: s, limit: 1000, buffer: []byte("hello"), shown: true, closed: make(chan struct{})}
		return s.vm.onTurn(ctx, s, func(ctx context.Context) error {
			s.id = s.vm.nextID()
			s.vm.streams[s.id] = s
			defer s.vm.timer.every(0)
			return work(s.vm.guest)(ctx)
		})
	}
	g, err := h.conn.pool.acquire(ctx)
	if err != nil {
		return err
	}
	defer h.conn.pool.release(ctx, g)
	hh := g.session.(*handler)
	return g.run(ctx, &budget{left: h.conn.pool.set.deadline}, func(ctx context.Context) error {
		hh.x, hh.features = newExchange(g, m), allFeatures
		defer func() { hh.x = nil }()
		if len(args) > 0 && args[0]&1 > 0 {
			hh.x.respond(&reply)
		}
		return work(g)(ctx)
	})
}

// panicked reports whether a guest ended by a fault of the host's own.
func panicked(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "runtime error") || strings.Contains(err.Error(), "panic beside"))
}

func borders() []string { return []string{"http-wasm", "annex", "proxy-wasm"} }

// TestEveryHostFunctionWithPointersThatLeadNowhere gives every parameter of
// every function numbers at the edges, alone and all together.
func TestEveryHostFunctionWithPointersThatLeadNowhere(t *testing.T) {
	for _, border := range borders() {
		t.Run(border, func(t *testing.T) {
			f := newFixture(t, Options{MaxLogLines: 1, BreakAfter: 1 << 30, SharedBytes: 10_000})
			h := f.hostCaller(t, border, 2)
			const end = 2 * pageSize
			edges := []uint64{0, 1, 64, end - 4, end - 1, end, end + 1, 1<<31 - 1, 1 << 31, 1<<32 - 4, 1<<32 - 1}
			for i, imported := range h.imports {
				params, _, _ := strings.Cut(strings.Fields(imported)[2], ":")
				n := len(params)
				try := func(args []uint64) {
					t.Helper()
					if err := h.call(i, args); panicked(err) {
						t.Fatalf("%s %v: %v", imported, args, err)
					}
				}
				if n == 0 {
					try(nil)
				}
				for _, e := range edges {
					for _, rest := range []uint64{0, 3, end} {
						for at := range n {
							args := slices.Repeat([]uint64{rest}, n)
							args[at] = e
							try(args)
							if at > 0 {
								args[at-1] = e
								try(args)
							}
						}
					}
				}
			}
			if bodyOf(t, core.BytesBody([]byte("x"))) != "x" || len(h.imports) < 40 {
				t.Errorf("only %d functions are offered", len(h.imports))
			}
		})
	}
}

// TestNoHostFunctionTakesWhatItWillNotUse gives every function lengths that
// are inside of a large memory. What is too long to be of use must not be
// copied, or looked through, before it is refused: it would be the host that
// runs over the guest's time.
func TestNoHostFunctionTakesWhatItWillNotUse(t *testing.T) {
	const pages, most = 1024, 8 << 20
	for _, border := range borders() {
		t.Run(border, func(t *testing.T) {
			f := newFixture(t, Options{MaxLogLines: 1, BreakAfter: 1 << 30, BodyBytes: 1 << 20, SharedBytes: 1 << 20})
			f.kind.opts.Guard = func(netip.AddrPort) error { return http.ErrNotSupported }
			h := f.hostCaller(t, border, pages)
			longest, slowest := time.Duration(0), ""
			for i, imported := range h.imports {
				params, _, _ := strings.Cut(strings.Fields(imported)[2], ":")
				for _, args := range [][]uint64{
					slices.Repeat([]uint64{pages/2*pageSize - 8}, len(params)),
					slices.Repeat([]uint64{0, pages*pageSize - 8}, len(params))[:len(params)],
					slices.Repeat([]uint64{pages*pageSize - 8, 0}, len(params))[:len(params)],
					slices.Repeat([]uint64{1, 0, pages*pageSize - 8}, len(params))[:len(params)],
					slices.Repeat([]uint64{0, 0, pages*pageSize - 8, 0, pages*pageSize - 8}, len(params))[:len(params)],
					slices.Repeat([]uint64{200, 128, 15, 0, pages*pageSize - 8}, len(params))[:len(params)],
				} {
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					began := time.Now()
					err := h.call(i, args)
					if took := time.Since(began); took > longest {
						longest, slowest = took, fmt.Sprint(imported, args)
					}
					runtime.ReadMemStats(&after)
					if panicked(err) {
						t.Fatalf("%s %v: %v", imported, args, err)
					}
					if n := after.TotalAlloc - before.TotalAlloc; n > most {
						t.Errorf("%s %v makes %d MiB", imported, args, n>>20)
					}
				}
			}
			t.Logf("the longest took %s: %s", longest, slowest)
		})
	}
}
