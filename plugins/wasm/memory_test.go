package wasm

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// grower is code that takes pages until there are no more, or that many, and
// writes on all of each.
func grower(pages int64) []byte {
	const size, n = 0, 1 // locals
	shl, eq := []byte{0x74}, []byte{0x46}
	return cat(
		[]byte{0x02, 0x40, 0x03, 0x40},
		constant(1), []byte{0x40, 0, 0x22, size}, constant(-1), eq, []byte{0x0d, 1},
		get(size), constant(16), shl, constant(1), constant(pageSize), []byte{0xfc, 11, 0},
		get(n), constant(1), []byte{0x6a, 0x22, n}, constant(pages), eq, []byte{0x0d, 1},
		[]byte{0x0c, 0, 0x0b, 0x0b})
}

// poolOf is the pool of a module that nobody has opened.
func (f *fixture) poolOf(t *testing.T, module []byte, set core.WASMSettings) *pool {
	t.Helper()
	s, err := f.kind.settings(f.system(module, set))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := f.kind.modules.acquire(t.Context(), s.digest)
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(f.kind, mod, s)
	t.Cleanup(func() { f.kind.modules.release(context.Background(), mod) })
	return p
}

func TestTheMemoryOfAGuestThatDoesNotStartGoesBack(t *testing.T) {
	f := newFixture(t, Options{MaxStart: 100 * time.Millisecond})
	hooks := []testFunc{{export: "handle_request", sig: ":l", body: constant64(next)}, {export: "handle_response", sig: "ii"}}
	with := func(start testFunc, imports ...string) []byte {
		return testModule{imports: imports, pages: 2, funcs: append([]testFunc{start}, hooks...)}.bytes()
	}
	exit := with(testFunc{export: "_start", body: cat(constant(0), callFunc(0))}, "wasi_snapshot_preview1 proc_exit i")
	for name, module := range map[string][]byte{
		"a trap in a start function":           with(testFunc{export: "_initialize", body: trapNow()}),
		"a trap after growing":                 with(testFunc{export: "_start", locals: 2, body: cat(grower(100), trapNow())}),
		"an endless start function":            with(testFunc{export: "_start", body: forever()}),
		"a trap in the start section":          testModule{pages: 2, funcs: append([]testFunc{{export: "s", body: trapNow()}}, hooks...), start: "s"}.bytes(),
		"data that is not inside of memory":    testModule{pages: 2, funcs: hooks, data: map[int]string{2 * pageSize: "x"}}.bytes(),
		"a command that ends":                  exit,
		"a command that ends with another one": with(testFunc{export: "_start", body: cat(constant(3), callFunc(0))}, "wasi_snapshot_preview1 proc_exit i"),
	} {
		t.Run(name, func(t *testing.T) {
			p := f.poolOf(t, module, core.WASMSettings{})
			if _, err := startGuest(t.Context(), p); core.ErrorCode(err) != core.Invalid {
				t.Errorf("got %v", err)
			}
			if n := p.memory.Load(); n != 0 {
				t.Errorf("%d bytes are still held", n)
			}
		})
	}
}

func TestTheMemoryOfGuestsIsCounted(t *testing.T) {
	f := newFixture(t, Options{BreakAfter: 1 << 20})
	c := f.open(t, guestModule(next, nil, grower(30), nil), core.WASMSettings{Concurrency: 1})
	if n := c.Stats().MemoryBytes; n != 2*pageSize {
		t.Errorf("a guest of 2 pages counts as %d bytes", n)
	}
	if _, err := c.Do(t.Context(), testMessage(nil)); err != nil {
		t.Fatal(err)
	}
	if n := f.kind.Stats()["tests/guest/1.0.0"].MemoryBytes; n != 32*pageSize {
		t.Errorf("a guest that has grown to 32 pages counts as %d bytes", n)
	}
	for name, end := range map[string][]byte{"a trap": trapNow(), "the deadline": forever()} {
		c := f.open(t, guestModule(next, nil, cat(grower(30), end), nil), core.WASMSettings{DeadlineMS: 50})
		if _, err := c.Do(t.Context(), testMessage(nil)); err == nil {
			t.Errorf("%s: no error", name)
		}
		if n := c.Stats().MemoryBytes; n != 0 {
			t.Errorf("after %s %d bytes are still held", name, n)
		}
	}
	_ = c.Close()
	if n := c.pool.memory.Load(); n != 0 {
		t.Errorf("after Close %d bytes are still held", n)
	}
}

// TestMemoryStaysWhileAGuestRunsInIt closes an instance under a guest that
// goes on writing. Without care the process would end here.
func TestMemoryStaysWhileAGuestRunsInIt(t *testing.T) {
	f := newFixture(t, Options{})
	write := cat(constant(0), constant(1), constant(2*pageSize), []byte{0xfc, 11, 0})
	c := f.open(t, guestModule(next, nil, loop(write, host("log_enabled", 0), drop()), nil), core.WASMSettings{Concurrency: 1})
	done := make(chan error)
	go func() {
		_, err := c.Do(context.Background(), testMessage(nil))
		done <- err
	}()
	within(t, func() {
		for len(c.pool.slots) == 0 {
			time.Sleep(time.Millisecond)
		}
	})
	c.pool.mu.Lock()
	var g *guest
	for g = range c.pool.all {
		break
	}
	c.pool.mu.Unlock()
	_ = g.mod.Close(context.Background())
	time.Sleep(20 * time.Millisecond) // for the guest to write on
	if n := c.Stats().MemoryBytes; n != 2*pageSize {
		t.Errorf("%d bytes are held under a guest that runs", n)
	}
	g.interrupt()
	within(t, func() {
		if err := <-done; err == nil {
			t.Error("no error")
		}
	})
	if n := c.Stats().MemoryBytes; n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
	if err := g.run(t.Context(), &budget{left: time.Second}, func(context.Context) error {
		t.Error("a guest without memory runs")
		return nil
	}); err == nil {
		t.Error("a guest without memory reports no error")
	}
}

func TestLinearMemory(t *testing.T) {
	var held atomic.Int64
	m, err := newMemory(3*pageSize, pageSize, &held)
	if err != nil {
		t.Fatal(err)
	}
	b := m.Reallocate(pageSize)
	copy(b, "hello")
	for pages := uint64(1); pages <= 3; pages++ {
		b = m.Reallocate(pages * pageSize)
		if uint64(len(b)) != pages*pageSize || string(b[:5]) != "hello" || held.Load() != int64(len(b)) {
			t.Errorf("%d pages: %d bytes of %d, starting with %q", pages, len(b), held.Load(), b[:5])
		}
		b[len(b)-1] = 1
	}
	if m.Reallocate(4*pageSize) != nil || held.Load() != 3*pageSize {
		t.Error("it grows beyond its limit")
	}
	if !m.use() {
		t.Fatal("it cannot be used")
	}
	m.Free()
	b[0] = 2
	if m.use() {
		t.Error("it is given to a further user once it is to go")
	}
	m.done()
	m.Free()
	if held.Load() != 0 {
		t.Errorf("%d bytes are still held", held.Load())
	}
}

func TestGuestsThatNobodyNeedsGiveTheirMemoryBack(t *testing.T) {
	f := newFixture(t, Options{Idle: 10 * time.Millisecond})
	c := f.open(t, guestModule(next, nil, grower(30), nil), core.WASMSettings{Concurrency: 8})
	var visits []core.Visit
	for range 8 {
		v, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err = v.Request(t.Context(), testMessage(nil)); err != nil {
			t.Fatal(err)
		}
		visits = append(visits, v)
	}
	if n := c.Stats().MemoryBytes; n != 8*32*pageSize {
		t.Errorf("8 guests have %d bytes", n)
	}
	for _, v := range visits {
		v.Done()
	}
	within(t, func() {
		for c.Stats().Guests > 1 {
			time.Sleep(time.Millisecond)
		}
	})
	if n := c.Stats().MemoryBytes; n != 32*pageSize {
		t.Errorf("the guest that stays has %d bytes", n)
	}
	if _, err := c.Do(t.Context(), testMessage(nil)); err != nil {
		t.Error(err)
	}
}
