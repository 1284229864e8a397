package wasm

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

func TestOthersAreServedWhileHostileGuestsRun(t *testing.T) {
	f := newFixture(t, Options{BreakAfter: 1 << 20})
	good := f.open(t, echoGuest(), core.WASMSettings{})
	bad := f.open(t, hostileGuest(fanOut(60)...).bytes(), core.WASMSettings{DeadlineMS: 50, Concurrency: 8})
	var stop atomic.Bool
	var hostile sync.WaitGroup
	for range 8 {
		hostile.Go(func() {
			for !stop.Load() {
				if _, err := bad.Do(context.Background(), testMessage(nil)); err == nil {
					t.Error("2^60 calls are done")
				}
			}
		})
	}
	within(t, func() {
		collecting(func() {
			for range 50 {
				out, err := good.Do(t.Context(), testMessage(core.BytesBody([]byte("hello"))))
				if err != nil {
					t.Error(err)
					return
				}
				if got := bodyOf(t, out.Response.Body); got != "hello" {
					t.Errorf("got %q", got)
				}
			}
		})
	})
	stop.Store(true)
	within(t, hostile.Wait)
}

func TestMemoryComesBackFromHostileGuests(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	f := newFixture(t, Options{BreakAfter: 1 << 20})
	self := callFunc(len(allImports()) + 2)
	before := heap()
	for name, g := range map[string]testFunc{
		"memory":    {body: cat(loop(constant(1), []byte{0x40, 0}, drop()))},
		"recursion": {body: self},
	} {
		c := f.open(t, hostileGuest(g).bytes(), core.WASMSettings{DeadlineMS: 100, Concurrency: 2, MemoryBytes: 64 << 20})
		within(t, func() {
			for range 4 {
				if _, err := c.Do(t.Context(), testMessage(nil)); err == nil {
					t.Errorf("%s: no error", name)
				}
			}
		})
		_ = c.Close()
	}
	if grown := heap() - before; grown > 16<<20 {
		t.Errorf("%d bytes more are in use than before", grown)
	}
}

// endless is a body that never ends by itself.
type endless struct{ read, most int64 }

func (e *endless) Read(b []byte) (int, error) {
	if e.read >= e.most {
		return 0, io.EOF
	}
	e.read += int64(len(b))
	clear(b)
	return len(b), nil
}

func (*endless) Close() error { return nil }

func TestABodyOfAGiB(t *testing.T) {
	for name, declared := range map[string]int64{"of unknown length": -1, "whose length is a lie": 5} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{BodyBytes: 1 << 20})
			c := f.open(t, echoGuest(), core.WASMSettings{})
			body := &endless{most: 1 << 30}
			within(t, func() {
				_, err := c.Do(t.Context(), testMessage(core.StreamBody(body, declared)))
				if code := core.ErrorCode(err); code != core.TooLarge && declared < 0 {
					t.Errorf("got %v", err)
				}
			})
			if body.read > 4<<20 {
				t.Errorf("%d bytes were read of a body that may have 1 MiB", body.read)
			}
			if s := c.Stats(); s.Quarantined {
				t.Errorf("the caller's fault is the module's: %+v", s)
			}
		})
	}
}

func TestAGuestThatGivesTooMuch(t *testing.T) {
	f := newFixture(t, Options{BreakAfter: 1 << 20})
	data := map[int]string{0: "x-a"}
	// Values of 32 KiB of the letter a.
	fill := cat(constant(1024), constant('a'), constant(32<<10), []byte{0xfc, 11, 0})
	for name, call := range map[string][]byte{
		"header values": loop(host("add_header_value", 0, 0, 3, 1024, 32<<10)),
		"a body":        loop(host("write_body", 1, 1024, 32<<10)),
	} {
		c := f.open(t, guestModule(next, data, cat(fill, call), nil), core.WASMSettings{})
		within(t, func() {
			_, err := c.Do(t.Context(), testMessage(nil))
			if core.ErrorCode(err) != core.Unavailable || errors.Is(err, errOverTime) {
				t.Errorf("%s: got %v, want an end long before its time is over", name, err)
			}
		})
	}
}

func TestALongWriteEndsWithTheGuestsTime(t *testing.T) {
	f := newFixture(t, Options{BreakAfter: 1 << 20})
	guest := func(imported string, body []byte) []byte {
		return testModule{imports: append(allImports(), imported), pages: 512, funcs: []testFunc{
			{export: "handle_request", sig: ":l", body: cat(body, constant64(next))},
			{export: "handle_response", sig: "ii"},
		}}.bytes()
	}
	own := callFunc(len(allImports()))
	for name, module := range map[string][]byte{
		// Two million pieces, each of them the whole memory: 8 bytes of memory say where a piece is and how long.
		"a million pieces of output": guest("wasi_snapshot_preview1 fd_write iiii:i", cat(
			constant(0), constant64(32<<20<<32), []byte{0x37, 3, 0},
			constant(8), constant(0), constant(16<<20-8), []byte{0xfc, 10, 0, 0},
			loop(constant(1), constant(0), constant(2<<20), constant(32<<20-4), own, drop()))),
		"much that is random": guest("wasi_snapshot_preview1 random_get ii:i", loop(constant(0), constant(32<<20), own, drop())),
	} {
		t.Run(name, func(t *testing.T) {
			c := f.open(t, module, core.WASMSettings{DeadlineMS: 50})
			within(t, func() {
				if _, err := c.Do(t.Context(), testMessage(nil)); !errors.Is(err, errOverTime) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestDamagedModulesAreRefused(t *testing.T) {
	f := newFixture(t, Options{MaxStart: 200 * time.Millisecond})
	whole := echoGuest()
	check := func(b []byte) error { return f.kind.Check(t.Context(), f.system(b, core.WASMSettings{})) }
	within(t, func() {
		accepted := 0
		for n := range whole {
			switch err := check(whole[:n]); {
			case err == nil:
				accepted++ // the one that ends ahead of the data
			case core.ErrorCode(err) != core.Invalid:
				t.Fatalf("the first %d bytes of a module: %v", n, err)
			}
		}
		if accepted > 1 {
			t.Errorf("%d beginnings of a module are accepted, want 1", accepted)
		}
	})
	r := rand.New(rand.NewPCG(1, 2))
	within(t, func() {
		for range 300 {
			b := append([]byte(nil), whole...)
			for range 1 + r.IntN(3) {
				b[8+r.IntN(len(b)-8)] = byte(r.Uint32())
			}
			if err := check(b); err != nil && core.ErrorCode(err) != core.Invalid {
				t.Fatalf("a module with wrong bytes: %v", err)
			}
		}
	})
}

func TestCompileBombsAreRefusedBeforeTheCompilerSeesThem(t *testing.T) {
	f := newFixture(t, Options{})
	repeat := func(b []byte, n int) []byte { return []byte(strings.Repeat(string(b), n)) }
	block, loopEnd := []byte{0x02, 0x40}, []byte{0x03, 0x40, 0x0b}
	many := make([]testFunc, 101_000)
	for name, tc := range map[string]struct {
		module testModule
		want   string
	}{
		"nesting":   {hostileGuest(testFunc{body: cat(repeat(block, 32_000), repeat([]byte{0x0b}, 32_000))}), "nested"},
		"loops":     {hostileGuest(testFunc{body: repeat(loopEnd, 20_000)}), "loops"},
		"locals":    {hostileGuest(testFunc{locals: 1 << 30}), "locals"},
		"functions": {hostileGuest(many...), "are declared"},
		"memory":    {testModule{pages: 1 << 16}, "memory"},
	} {
		within(t, func() {
			err := f.kind.Check(t.Context(), f.system(tc.module.bytes(), core.WASMSettings{}))
			if core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), tc.want) {
				t.Errorf("%s: got %v, want something about %q", name, err, tc.want)
			}
		})
	}
}
