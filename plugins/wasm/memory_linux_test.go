package wasm

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// resident is a line of /proc/self/status, in bytes: VmRSS is what the process
// has in memory, VmHWM the most that it had.
func resident(t *testing.T, line string) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, line+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("no %s", line)
	return 0
}

// growth is how much more the process has in memory after work, and how much
// more it had at most.
func growth(t *testing.T, work func()) (after, most int64) {
	t.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Logf("the most is that of the whole run: %v", err)
	}
	before := resident(t, "VmRSS")
	work()
	most = resident(t, "VmHWM") - before
	debug.FreeOSMemory()
	return resident(t, "VmRSS") - before, most
}

func TestMemoryThatTheSystemDoesNotHave(t *testing.T) {
	var held atomic.Int64
	if _, err := newMemory(1<<62, 0, &held); err == nil {
		t.Error("there is room for 2^62 bytes")
	}
	f := newFixture(t, Options{})
	p := f.poolOf(t, echoGuest(), core.WASMSettings{})
	p.set.memory = 1 << 62
	if _, err := startGuest(t.Context(), p); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("got %v", err)
	}
}

// Room for all that is not guests: the collector, what is compiled, the test.
const aside = 24 << 20

func TestAGuestTakesWhatItsMemoryIsLongAndNoMore(t *testing.T) {
	const limit = 256 << 20
	f := newFixture(t, Options{})
	c := f.open(t, guestModule(next, nil, grower(-1), nil), core.WASMSettings{Concurrency: 1, MemoryBytes: limit})
	after, most := growth(t, func() {
		if _, err := c.Do(t.Context(), testMessage(nil)); err != nil {
			t.Error(err)
		}
	})
	t.Logf("a guest of %d MiB: %d MiB, at most %d MiB", limit>>20, after>>20, most>>20)
	if n := c.Stats().MemoryBytes; n != limit {
		t.Errorf("the guest has %d bytes", n)
	}
	if most > limit+limit/10+aside || after < limit-aside {
		t.Errorf("a guest of %d bytes takes %d and has taken %d", limit, after, most)
	}
	if after, _ = growth(t, func() { _ = c.Close() }); after > aside-limit {
		t.Errorf("of its memory %d bytes come back", -after)
	}
}

func TestTheMemoryOfAThousandGuestsComesBack(t *testing.T) {
	f := newFixture(t, Options{BreakAfter: 1 << 20})
	c := f.open(t, guestModule(next, nil, cat(grower(16), trapNow()), nil), core.WASMSettings{})
	after, most := growth(t, func() {
		for range 1000 {
			if _, err := c.Do(t.Context(), testMessage(nil)); err == nil {
				t.Error("no error")
			}
		}
	})
	t.Logf("1000 guests of 1 MiB: %d KiB are left, at most there were %d MiB", after>>10, most>>20)
	if after > aside || most > 2*aside {
		t.Errorf("after 1000 guests %d bytes more are in use, and there were %d", after, most)
	}
}

// manyValues is code that has n values at hand while it calls a function.
func manyValues(n int, call []byte) []byte {
	var b []byte
	for i := range n {
		b = append(b, cat(constant(int64(4*i)), []byte{0x28, 2, 0})...)
	}
	b = append(b, call...)
	for range n - 1 {
		b = append(b, 0x6a)
	}
	return append(b, 0x1a)
}

func TestTheStackOfADeepRecursionIsBounded(t *testing.T) {
	f := newFixture(t, Options{BreakAfter: 1 << 20})
	self := callFunc(len(allImports()) + 2)
	for name, g := range map[string]testFunc{
		"small frames":      {body: self},
		"frames of locals":  {locals: 9_000, body: cat(self, get(0), drop())},
		"frames of values":  {body: manyValues(100, self)},
		"many such values":  {body: manyValues(5_000, self)},
		"frames in a loop":  {locals: 10, body: loop(self)},
		"frames and memory": {body: cat(constant(1), []byte{0x40, 0}, drop(), self)},
	} {
		t.Run(name, func(t *testing.T) {
			c := f.open(t, hostileGuest(g).bytes(), core.WASMSettings{Concurrency: 1, MemoryBytes: 1 << 20})
			_, most := growth(t, func() {
				if _, err := c.Do(t.Context(), testMessage(nil)); err == nil {
					t.Error("no error")
				} else {
					t.Log(firstLine(err))
				}
			})
			t.Logf("at most %d MiB", most>>20)
			if most > 64<<20+aside {
				t.Errorf("it takes %d MiB", most>>20)
			}
		})
	}
}
