package wasm

import (
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

func TestAStartHasATimeOfItsOwn(t *testing.T) {
	f := newFixture(t, Options{MaxStart: 20 * time.Second})
	check := func(module []byte, set core.WASMSettings) string {
		t.Helper()
		err := f.kind.Check(t.Context(), f.system(module, set))
		if err == nil {
			return ""
		}
		if core.ErrorCode(err) != core.Invalid {
			t.Fatalf("got %v, want a registration that is refused", err)
		}
		return core.ErrorMessage(err)
	}
	endless := testModule{imports: allImports(), pages: 1, funcs: []testFunc{
		{export: "handle_request", sig: ":l", body: constant64(next)},
		{export: "handle_response", sig: "ii"},
		{export: "_start", body: forever()},
	}}.bytes()
	unready := proxyModule("proxy_abi_version_0_2_1", proxyImports(), nil,
		testFunc{export: "proxy_on_configure", sig: "ii:i", body: cat(forever(), constant(1))})
	for name, module := range map[string][]byte{"in its start function": endless, "while it is configured": unready} {
		if got := check(module, core.WASMSettings{StartMS: 150}); !strings.Contains(got, "150ms: raise startMs") {
			t.Errorf("a guest that hangs %s: %q", name, got)
		}
	}
	for _, ms := range []int64{-1, 20_001} {
		if got := check(echoGuest(), core.WASMSettings{StartMS: ms}); !strings.Contains(got, "wasm.maxStart") {
			t.Errorf("%d ms: %q", ms, got)
		}
	}
	slow := proxyModule("proxy_abi_version_0_2_1", proxyImports(), nil,
		testFunc{export: "proxy_on_configure", sig: "ii:i", locals: 1, body: cat(spin(20_000_000), constant(1))})
	if got := check(slow, core.WASMSettings{StartMS: 20_000, DeadlineMS: 1}); got != "" {
		t.Errorf("a start that is longer than a call may be: %q", got)
	}
}

// spin counts down from n, in the first local after two parameters.
func spin(n int64) []byte {
	return cat(constant(n), set(2), []byte{0x03, 0x40}, get(2), constant(1), []byte{0x6b, 0x22}, leb(2), []byte{0x0d, 0x00, 0x0b})
}

func TestInstantiatingAndConfiguringAreOneStart(t *testing.T) {
	f := newFixture(t, Options{})
	// Each half takes a time that it measures itself, by the clock of WASI.
	imports := append(proxyImports(), "wasi_snapshot_preview1 clock_time_get ili:i")
	wait := func(local int) []byte { return untilClock(len(imports)-1, local, 700*time.Millisecond) }
	module := proxyModule("proxy_abi_version_0_2_1", imports, nil,
		testFunc{export: "_initialize", locals: 1, body: wait(1)},
		testFunc{export: "proxy_on_configure", sig: "ii:i", locals: 1, body: cat(wait(3), constant(1))})
	err := f.kind.Check(t.Context(), f.system(module, core.WASMSettings{StartMS: 1_200}))
	if !strings.Contains(core.ErrorMessage(err), "raise startMs") {
		t.Errorf("got %v, want a start that takes too long as a whole", err)
	}
}

// untilClock goes round until the clock, which is the host function number
// clock, is by so much later. The local has 64 bits.
func untilClock(clock, local int, d time.Duration) []byte {
	now := cat(constant(1), constant64(0), constant(64), callFunc(clock), drop(), constant(64), []byte{0x29, 0x03, 0x00})
	return cat(now, constant64(uint64(d)), []byte{0x7c}, set(local),
		[]byte{0x03, 0x40}, now, get(local), []byte{0x54, 0x0d, 0x00, 0x0b})
}

func TestAPluginThatRefusesToStartSaysWhy(t *testing.T) {
	f := newFixture(t, Options{})
	imports := proxyImports()
	for name, last := range map[string][]byte{"gives 0": constant(0), "unreachable": trapNow()} {
		module := proxyModule("proxy_abi_version_0_2_1", imports, map[int]string{0: "the rules cannot be read"},
			testFunc{export: "proxy_on_configure", sig: "ii:i", body: cat(env(imports, "proxy_log", 5, 0, 24), drop(), last)})
		err := f.kind.Check(t.Context(), f.system(module, core.WASMSettings{}))
		if got := core.ErrorMessage(err); core.ErrorCode(err) != core.Invalid || !strings.Contains(got, name) || !strings.Contains(got, "it says: the rules cannot be read") {
			t.Errorf("got %v", err)
		}
	}
}

func TestAGuestThatLacksMemorySaysSo(t *testing.T) {
	f := newFixture(t, Options{})
	grow := cat(constant(100), []byte{0x40, 0x00}, constant(0), []byte{0x4e, 0x04, 0x40, 0x05}, trapNow(), []byte{0x0b})
	starting := proxyModule("proxy_abi_version_0_2_1", proxyImports(), nil, testFunc{export: "proxy_on_configure", sig: "ii:i", body: cat(grow, constant(1))})
	err := f.kind.Check(t.Context(), f.system(starting, core.WASMSettings{MemoryBytes: 1 << 20}))
	if core.ErrorCode(err) != core.Invalid || !strings.Contains(core.ErrorMessage(err), "1048576 bytes of memory (memoryBytes)") {
		t.Errorf("got %v", err)
	}
	if err := f.kind.Check(t.Context(), f.system(starting, core.WASMSettings{MemoryBytes: 16 << 20})); err != nil {
		t.Errorf("with enough memory: %v", err)
	}
	c := f.open(t, guestModule(next, nil, grow, nil), core.WASMSettings{MemoryBytes: 1 << 20})
	if _, err := c.Do(t.Context(), testMessage(nil)); err == nil || !strings.Contains(err.Error(), "memoryBytes") || strings.Contains(core.ErrorMessage(err), "memoryBytes") {
		t.Errorf("got %v, want an error whose cause, which only the log has, names the memory", err)
	}
}
