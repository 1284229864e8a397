package meter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/annex-gateway/annex/plugins/wasm/format"
)

func cat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func sec(id byte, content ...[]byte) []byte { return appendSized([]byte{id}, cat(content...)) }

func mod(sections ...[]byte) []byte {
	return cat([]byte("\x00asm\x01\x00\x00\x00"), cat(sections...))
}

func list(items ...[]byte) []byte {
	return append(appendU32(nil, uint32(len(items))), cat(items...)...)
}

// fn is a function body without locals.
func fn(code ...byte) []byte { return appendSized(nil, cat([]byte{0}, code, []byte{opEnd})) }

func i32c(v int64) []byte { return appendS64([]byte{opI32Const}, v) }

// run exports function 0, of type (i32 i32 i32) → (), and has a memory of 16
// pages, a table of ten entries, a passive data segment and a global.
func runnable(bodies ...[]byte) []byte { return runnableWith(600<<10, bodies...) }

func runnableWith(bytes int, bodies ...[]byte) []byte {
	types := list([]byte{typeFunc, 3, typeI32, typeI32, typeI32, 0})
	data := make([]byte, bytes)
	for i := range data {
		data[i] = byte(i * 7)
	}
	return mod(
		sec(secType, types),
		sec(secFunction, appendU32(nil, uint32(len(bodies))), make([]byte, len(bodies))),
		sec(secTable, []byte{1, typeFuncref, 0, 10}),
		sec(secMemory, []byte{1, 0, 16}),
		sec(secGlobal, list([]byte{typeI32, 1, opI32Const, 5, opEnd})),
		sec(secExport, list(cat(appendName(nil, "run"), []byte{0, 0}), cat(appendName(nil, "memory"), []byte{2, 0}))),
		sec(secElement, list([]byte{0, opI32Const, 0, opEnd, 1, 0})),
		sec(secDataCount, []byte{1}),
		sec(secCode, list(bodies...)),
		sec(secData, list(cat([]byte{1}, appendSized(nil, data)))),
	)
}

func args() []byte { return []byte{opLocalGet, 0, opLocalGet, 1, opLocalGet, 2} }

func TestRewriteRefuses(t *testing.T) {
	void := sec(secType, list([]byte{typeFunc, 0, 0}))
	one := sec(secFunction, []byte{1, 0})
	code := func(ops ...byte) []byte { return mod(void, one, sec(secCode, list(fn(ops...)))) }
	for _, tc := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "not a WebAssembly module"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "version 1"},
		{"a module that is cut off", mod(sec(secType, list([]byte{typeFunc, 0, 0})))[:12], "are left"},
		{"an unknown section", mod(sec(13, []byte{0})), "not known"},
		{"a section twice", mod(void, void), "twice"},
		{"sections out of order", mod(sec(secFunction, []byte{0}), void), "out of order"},
		{"bytes behind the end of a section", mod(sec(secType, []byte{0, 0})), "left over"},
		{"a start section with two functions", mod(void, one, sec(secStart, []byte{0, 0}), sec(secCode, list(fn()))), "left over"},
		{"our own import", mod(void, sec(secImport, list(cat(appendName(nil, Module), appendName(nil, Function), []byte{0, 0})))), "gateway's own"},
		{"the global that is appended, read", code(opGlobalGet, 0, 0x1a), "global 0"},
		{"the global that is appended, written", code(opI64Const, 0, opGlobalSet, 0), "global 0"},
		{"the global that is appended, exported", mod(sec(secExport, list([]byte{1, 'x', 3, 0}))), "global 0"},
		{"the global that is appended, in a constant", mod(sec(secGlobal, list([]byte{typeI64, 0, opGlobalGet, 1, opEnd}))), "global 1"},
		{"the function that is imported, called", code(opCall, 1), "function 1"},
		{"the function that is imported, called at the tail", code(opTailCall, 1), "function 1"},
		{"the function that is imported, referred to", code(opRefFunc, 1, 0x1a), "function 1"},
		{"the function that is imported, exported", mod(void, one, sec(secExport, list([]byte{1, 'x', 0, 1})), sec(secCode, list(fn()))), "function 1"},
		{"the function that is imported, started", mod(void, one, sec(secStart, []byte{1}), sec(secCode, list(fn()))), "function 1"},
		{"the function that is imported, in a table", mod(void, one, sec(secTable, []byte{1, typeFuncref, 0, 1}), sec(secElement, list([]byte{0, opI32Const, 0, opEnd, 1, 1})), sec(secCode, list(fn()))), "function 1"},
		{"a type that is appended, of a function", mod(void, sec(secFunction, []byte{1, 1})), "type 1"},
		{"a type that is appended, of a block", code(opBlock, 1, opEnd), "type 1"},
		{"a type that is appended, of a call", code(opI32Const, 0, 0x11, 1, 0), "type 1"},
		{"a local that is not there", code(opLocalGet, 0, 0x1a), "local 0"},
		{"a label that is not there", code(opBrIf, 9), "label 9"},
		{"an else without an if", code(opElse), "else"},
		{"an unknown instruction", code(0x06), "0x6"},
		{"an unknown long instruction", code(0xfc, 18), "0xfc 18"},
		{"threads", code(0xfe, 0), "0xfe"},
		{"relaxed vectors", code(0xfd, 0x80, 2), "0xfd 256"},
		{"exceptions", code(0x08, 0), "0x8"},
		{"a second memory", code(opMemorySize, 1, 0x1a), "memory 1"},
		{"a shared memory", mod(sec(secImport, list(cat(appendName(nil, "a"), appendName(nil, "b"), []byte{2, 3, 1, 1})))), "shared"},
		{"a large table", mod(sec(secTable, cat([]byte{1, typeFuncref, 0}, appendU32(nil, MaxTable+1)))), "table"},
		{"many locals", mod(void, one, sec(secCode, list(appendSized(nil, cat([]byte{1}, appendU32(nil, 1<<31), []byte{typeI32, opEnd}))))), "locals"},
		{"a function without a body", mod(void, one), "have a body"},
		{"a body without an end", mod(void, one, sec(secCode, list(appendSized(nil, []byte{0, 1})))), "cut off"},
		{"code behind the end", mod(void, one, sec(secCode, list(fn(opEnd)))), "left over"},
		{"a number of 33 bits", code(opCall, 0xff, 0xff, 0xff, 0xff, 0x1f), "32 bits"},
		{"an instruction in a constant that is none", mod(sec(secGlobal, list([]byte{typeI32, 0, opCall, 0, opEnd}))), "constant"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Rewrite(tc.b)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something about %q", err, tc.want)
			}
		})
	}
}

// errStop is how the host of these tests stops a guest.
var errStop = errors.New("stopped by the host")

// TestNothingRunsForEver gives guests some fuel, and stops them when they ask
// for more. That the test ends is the test.
func TestNothingRunsForEver(t *testing.T) {
	loop := func(ops ...byte) []byte { return cat([]byte{opLoop, blockEmpty}, ops, []byte{0x0c, 0, opEnd}) }
	call := cat(args(), []byte{opCall, 0})
	var fan [][]byte
	for i := range 60 {
		next := cat(args(), appendU32([]byte{opCall}, uint32(i+1)))
		fan = append(fan, fn(cat(next, next)...))
	}
	bulk := func(n int64, op ...byte) []byte { return cat(i32c(0), i32c(0), i32c(n), op) }
	for _, tc := range []struct {
		name   string
		bodies [][]byte
	}{
		{"a loop", [][]byte{fn(loop()...)}},
		{"a loop in a loop", [][]byte{fn(loop(loop()...)...)}},
		{"a loop around a call of nothing", [][]byte{fn(loop(cat(args(), []byte{opCall, 1})...)...), fn()}},
		{"a loop around an indirect call", [][]byte{fn(loop(cat(args(), i32c(0), []byte{0x11, 0, 0})...)...)}},
		{"a loop by a table of branches", [][]byte{fn(opLoop, blockEmpty, opI32Const, 0, 0x0e, 0, 0, opEnd)}},
		{"a tail call of itself", [][]byte{fn(cat(args(), []byte{opTailCall, 0})...)}},
		{"tail calls of one another", [][]byte{fn(cat(args(), []byte{opTailCall, 1})...), fn(cat(args(), []byte{opTailCall, 0})...)}},
		{"a tail call through a table", [][]byte{fn(cat(args(), i32c(0), []byte{0x13, 0, 0})...)}},
		{"recursion", [][]byte{fn(call...)}},
		{"recursion behind a condition", [][]byte{fn(cat(i32c(1), []byte{opIf, blockEmpty}, call, []byte{opEnd})...)}},
		{"calls that fan out", append(fan, fn())},
		{"fills", [][]byte{fn(loop(bulk(1<<20, 0xfc, 11, 0)...)...)}},
		{"copies", [][]byte{fn(loop(bulk(1<<20, 0xfc, 10, 0, 0)...)...)}},
		{"copies of data", [][]byte{fn(loop(bulk(600<<10, 0xfc, 8, 0, 0)...)...)}},
		{"copies of tables", [][]byte{fn(loop(bulk(10, 0xfc, 14, 0, 0)...)...)}},
		{"memory that grows", [][]byte{fn(loop(cat(i32c(1), []byte{opMemoryGrow, 0, 0x1a})...)...)}},
		{"tables that grow", [][]byte{fn(loop(cat([]byte{opRefNull, typeFuncref}, i32c(1), []byte{0xfc, 15, 0, 0x1a})...)...)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refills := 0
			w := newWorld(t, true, 256, func() uint64 {
				if refills++; refills > 100 {
					panic(errStop)
				}
				return Quantum
			})
			m, err := w.load(runnable(tc.bodies...), "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.ExportedFunction("run").Call(context.Background(), 0, 0, 0)
			if !errors.Is(err, errStop) && !strings.Contains(fmt.Sprint(err), "stack overflow") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestBulkMoves compares moves of all sizes and directions with those of the
// module as it was.
func TestBulkMoves(t *testing.T) {
	const all = 16 << 16
	edges := []uint64{0, 1, piece, piece + 1, 2*piece + 17, 600 << 10, 600<<10 + 1, all, 1<<32 - 1}
	for name, op := range map[string][]byte{
		"copy": {0xfc, 10, 0, 0}, "fill": {0xfc, 11, 0}, "init": {0xfc, 8, 0, 0}, "a table's": {0xfc, 14, 0, 0}, "init of dropped data": {0xfc, 9, 0, 0xfc, 8, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			module := runnable(fn(cat(args(), op)...), fn(cat(i32c(0), i32c(0), i32c(600<<10), []byte{0xfc, 8, 0, 0})...))
			plain, metered := bothWorlds(t)
			var run [2]api.Function
			var mem [2]api.Memory
			for i, w := range []*world{plain, metered} {
				m, err := w.load(module, "")
				if err != nil {
					t.Fatal(err)
				}
				run[i], mem[i] = m.ExportedFunction("run"), m.Memory()
				for at := uint32(0); at < all; at += 4 {
					mem[i].WriteUint32Le(at, at*2654435761)
				}
			}
			for _, to := range edges {
				for _, from := range []uint64{3, piece, to + 1, 1<<32 - 2} {
					for _, n := range edges {
						_, a := run[0].Call(t.Context(), to, from&(1<<32-1), n)
						_, b := run[1].Call(t.Context(), to, from&(1<<32-1), n)
						x, _ := mem[0].Read(0, all)
						y, _ := mem[1].Read(0, all)
						if (a == nil) != (b == nil) || string(x) != string(y) {
							t.Fatalf("to %d, from %d, %d bytes: %v as it is, and %v metered; same memory: %v", to, from, n, a, b, string(x) == string(y))
						}
					}
				}
			}
		})
	}
}

func TestATableEndsAtItsCap(t *testing.T) {
	_, metered := bothWorlds(t)
	grow := cat([]byte{opI32Const, 0, opRefNull, typeFuncref}, i32c(MaxTable-10), []byte{0xfc, 15, 0, 0x36, 2, 0},
		[]byte{opI32Const, 4, opRefNull, typeFuncref}, i32c(1), []byte{0xfc, 15, 0, 0x36, 2, 0})
	m, err := metered.load(runnable(fn(grow...)), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.ExportedFunction("run").Call(t.Context(), 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	b, _ := m.Memory().Read(0, 8)
	if first, second := int32(binary.LittleEndian.Uint32(b)), int32(binary.LittleEndian.Uint32(b[4:])); first != 10 || second != -1 {
		t.Errorf("growing to the cap gives %d and one more %d, want 10 and -1", first, second)
	}
}

func TestNamesAreRenumbered(t *testing.T) {
	names := cat([]byte{namesOfFunctions}, appendSized(nil, cat([]byte{1, 0}, appendName(nil, "trap")))) // function 0 is trap
	named := func(content []byte) []byte {
		return cat(runnable(fn(0)), sec(secCustom, appendName(nil, ".debug_info"), []byte("much")), sec(secCustom, appendName(nil, "name"), content))
	}
	b, err := Rewrite(named(names))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), ".debug_info") {
		t.Error("the debug section is still there")
	}
	_, metered := bothWorlds(t)
	m, err := metered.load(named(names), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = m.ExportedFunction("run").Call(t.Context(), 0, 0, 0); err == nil || !strings.Contains(err.Error(), "trap(") {
		t.Errorf("the trap does not name its function: %v", err)
	}
	if b, err = Rewrite(named([]byte{1, 99})); err != nil || strings.Contains(string(b), "\x04name") {
		t.Errorf("a broken name section: %v", err)
	}
}

// FuzzRewrite looks for modules that are refused as they are and accepted
// metered, or the other way round.
func FuzzRewrite(f *testing.F) {
	f.Add(mod())
	f.Add(runnableWith(4, fn()))
	f.Add(mod(sec(secDataCount, []byte{0xe0})))              // the engine reads beyond the section
	f.Add(mod(sec(secCode, []byte{0xff, 0xff, 0xff, 0xff}))) // 2^28-1 functions, so far
	f.Add(runnableWith(4, fn(opLoop, blockEmpty, 0x0c, 0, opEnd)))
	f.Add(runnableWith(4, fn(cat(args(), []byte{0xfc, 10, 0, 0})...)))
	f.Add(runnableWith(4, fn(cat(args(), []byte{opCall, 1})...), fn(opGlobalGet, 0, 0x1a)))
	f.Add(runnableWith(4, fn(cat(args(), []byte{opCall, 1})...), fn(cat(args(), []byte{opTailCall, 0, opReturn})...)))
	f.Add(runnableWith(4, fn(cat([]byte{opBlock, blockEmpty, opReturn, opEnd}, args(), []byte{opCall, 0})...)))
	ctx := context.Background()
	f.Fuzz(func(t *testing.T, b []byte) {
		metered, err := Rewrite(b)
		if err != nil || len(b) > 4<<10 {
			return
		}
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(allFeatures()))
		defer r.Close(ctx)
		_, plainErr := r.CompileModule(ctx, withoutCustom(b))
		_, meteredErr := r.CompileModule(ctx, metered)
		if (plainErr == nil) != (meteredErr == nil) {
			t.Errorf("%v as it is, and %v metered", plainErr, meteredErr)
		}
	})
}

// withoutCustom leaves custom sections away, whose faults are no faults of the
// module.
func withoutCustom(b []byte) []byte {
	m := &module{}
	m.split(&format.Reader{B: b, Pos: 8})
	out := mod()
	for _, id := range order() {
		if s := m.sections[id]; s != nil {
			out = appendSized(append(out, id), s.B)
		}
	}
	return out
}
