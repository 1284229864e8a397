package wasm

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// hangGuard is how long a test waits before it says that something hangs. It
// measures nothing: the machine may be slow.
const hangGuard = 30 * time.Second

// within fails the test where work does not end.
func within(t *testing.T, work func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	select {
	case <-done:
	case <-time.After(hangGuard):
		t.Fatal("it hangs")
	}
}

// collecting keeps the garbage collector busy while f runs: a guest that does
// not come back to Go stops the whole process then.
func collecting(f func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	f()
	close(stop)
	<-done
}

func loop(body ...[]byte) []byte { return cat([]byte{0x03, 0x40}, cat(body...), []byte{0x0c, 0, 0x0b}) }

// hostileGuest runs function 2, and what follows it, on request.
func hostileGuest(more ...testFunc) testModule {
	imports := allImports()
	entry := callFunc(len(imports) + 2)
	return testModule{imports: imports, pages: 2, funcs: append([]testFunc{
		{export: "handle_request", sig: ":l", body: cat(entry, constant64(next))},
		{export: "handle_response", sig: "ii"},
	}, more...)}
}

// fanOut is n functions that each call the next one twice: 2^n calls without
// a loop.
func fanOut(n int) []testFunc {
	var out []testFunc
	for i := range n {
		call := callFunc(len(allImports()) + 3 + i)
		out = append(out, testFunc{body: cat(call, call)})
	}
	return append(out, testFunc{})
}

// hostile is a guest that does harm on request, and what its caller reads.
type hostile struct {
	name   string
	module testModule
	want   string
}

const (
	overTime = "ran over its time limit"
	trapped  = "failed"
	tooDeep  = "nests its calls too deep"
)

// hostileGuests are those of the http-wasm border that end by the sandbox.
func hostileGuests() []hostile {
	self := callFunc(len(allImports()) + 2)
	bulk := func(n int, op ...byte) []byte { return cat(constant(0), constant(1), constant(int64(n)), op) }
	shout := loop(host("log", 0, 0, 4000))
	withTable := hostileGuest(testFunc{body: loop([]byte{0xd0, 0x70}, constant(1), []byte{0xfc, 15, 0}, drop())})
	withTable.table = 10
	return []hostile{
		{"an endless loop", hostileGuest(testFunc{body: forever()}), overTime},
		{"an endless loop of loops", hostileGuest(testFunc{body: loop(loop(forever()))}), overTime},
		{"2^60 calls without a loop", hostileGuest(fanOut(60)...), overTime},
		{"endless tail calls", hostileGuest(testFunc{body: cat([]byte{0x12}, leb(uint64(len(allImports())+2)))}), overTime},
		{"deep recursion", hostileGuest(testFunc{body: self}), tooDeep},
		{"deep recursion with large frames", hostileGuest(testFunc{locals: 9_000, body: cat(self, get(0), drop())}), tooDeep},
		{"endless fills", hostileGuest(testFunc{body: loop(bulk(120<<10, 0xfc, 11, 0))}), overTime},
		{"endless copies", hostileGuest(testFunc{body: loop(bulk(120<<10, 0xfc, 10, 0, 0))}), overTime},
		{"memory that grows for ever", hostileGuest(testFunc{body: loop(constant(1), []byte{0x40, 0}, drop())}), overTime},
		{"a loop over host calls", hostileGuest(testFunc{body: loop(host("log_enabled", 0), drop())}), overTime},
		{"a loop over log lines", hostileGuest(testFunc{body: shout}), overTime},
		{"a table that grows for ever", withTable, overTime},
		{"a fill of 4 GiB", hostileGuest(testFunc{body: bulk(-1, 0xfc, 11, 0)}), trapped},
		{"a trap", hostileGuest(testFunc{body: trapNow()}), trapped},
	}
}

func TestHostileGuestsAreStopped(t *testing.T) {
	f := newFixture(t, Options{})
	for _, tc := range hostileGuests() {
		t.Run(tc.name, func(t *testing.T) {
			deadline := int64(100)
			if tc.want == tooDeep {
				deadline = 10_000 // it is not the time that ends it
			}
			c := f.open(t, tc.module.bytes(), core.WASMSettings{DeadlineMS: deadline, Concurrency: 2, MemoryBytes: 32 << 20})
			within(t, func() {
				collecting(func() {
					for range 2 {
						_, err := c.Do(t.Context(), testMessage(nil))
						if core.ErrorCode(err) != core.Unavailable || !strings.Contains(core.ErrorMessage(err), tc.want) {
							t.Errorf("got %v, want %q", err, tc.want)
						}
					}
				})
			})
			if s := c.Stats(); s.Failures != 2 || s.Guests != 0 {
				t.Errorf("got %+v, want 2 failures and no guest left", s)
			}
		})
	}
}
