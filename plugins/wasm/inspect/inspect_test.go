package inspect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func leb(v uint64) []byte { return binary.AppendUvarint(nil, v) }

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func section(id byte, content ...[]byte) []byte {
	c := cat(content...)
	return cat([]byte{id}, leb(uint64(len(c))), c)
}

func module(sections ...[]byte) []byte {
	return cat([]byte("\x00asm\x01\x00\x00\x00"), cat(sections...))
}

// oneType, oneFunction and code make a module with functions of no type.
func oneType() []byte { return section(1, []byte{1, 0x60, 0, 0}) }

func functions(n int) []byte {
	return section(3, leb(uint64(n)), make([]byte, n))
}

func code(bodies ...[]byte) []byte {
	out := leb(uint64(len(bodies)))
	for _, b := range bodies {
		out = cat(out, leb(uint64(len(b))), b)
	}
	return section(10, out)
}

func body(instructions ...byte) []byte { return cat([]byte{0}, instructions, []byte{0x0b}) }

func nested(n int, op byte) []byte {
	return body(cat(bytes.Repeat([]byte{op, 0x40}, n), bytes.Repeat([]byte{0x0b}, n))...)
}

func flat(n int, op byte) []byte { return body(bytes.Repeat([]byte{op, 0x40, 0x0b}, n)...) }

// TestNothingThatIsLearnedHoldsTheFile: who keeps what was learned about a
// module of 25 MB keeps little.
func TestNothingThatIsLearnedHoldsTheFile(t *testing.T) {
	freed := make(chan struct{})
	learn := func() *Module {
		b := module(section(1, []byte{2, 0x60, 1, 0x7f, 0, 0x60, 0, 0}), section(2, []byte{1, 1, 'm', 1, 'n', 0, 0}),
			section(3, []byte{1, 1}), section(7, []byte{1, 1, 'e', 0, 1}), code(body()))
		runtime.AddCleanup(&b[0], func(c chan struct{}) { close(c) }, freed)
		m, err := Read(b, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := learn()
	for range 100 {
		runtime.GC()
		select {
		case <-freed:
			if len(m.Imports) != 1 || len(m.Imports[0].Signature.Params) != 1 || len(m.Exports) != 1 {
				t.Errorf("got %+v", m)
			}
			return
		default:
			runtime.Gosched()
		}
	}
	t.Error("the file is still held")
	runtime.KeepAlive(m)
}

func TestReadAccepts(t *testing.T) {
	for _, tc := range []struct {
		name string
		b    []byte
	}{
		{"the empty module", module()},
		{"custom sections anywhere", module(section(0, []byte{1, 'a'}), oneType(), section(0, []byte{1, 'b'}))},
		{"a function", module(oneType(), functions(1), code(body()))},
		{"every plain instruction group", module(oneType(), functions(1), code(body(
			0x01, 0x41, 0x7f, 0x1a, 0x42, 0x80, 0x80, 0x80, 0x80, 0x10, 0x1a, 0x43, 1, 2, 3, 4, 0x1a, 0x44, 1, 2, 3, 4, 5, 6, 7, 8, 0x1a,
			0x28, 2, 0, 0x36, 2, 0, 0x3f, 0, 0x40, 0, 0x0e, 2, 0, 0, 0, 0x1c, 1, 0x7f, 0x11, 0, 0, 0xd0, 0x70, 0xd1, 0xd2, 0,
			0xfc, 8, 0, 0, 0xfc, 0, 0xfd, 0, 2, 0, 0xfd, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0xfd, 21, 3, 0xfd, 84, 0, 0, 1, 0xfd, 0xae, 1,
			0x04, 0x40, 0x05, 0x0b, 0x0f)))},
		{"all forms of element segments", module(section(4, []byte{1, 0x70, 0, 1}), section(9, []byte{8},
			[]byte{0, 0x41, 0, 0x0b, 0}, []byte{1, 0, 0}, []byte{2, 0, 0x41, 0, 0x0b, 0, 0}, []byte{3, 0, 0},
			[]byte{4, 0x41, 0, 0x0b, 1, 0xd0, 0x70, 0x0b}, []byte{5, 0x70, 0}, []byte{6, 0, 0x41, 0, 0x0b, 0x70, 0}, []byte{7, 0x70, 0}))},
		{"all forms of data segments", module(section(5, []byte{1, 0, 1}), section(11, []byte{3, 0, 0x41, 0, 0x0b, 1, 'a', 1, 1, 'b', 2, 0, 0x41, 0, 0x0b, 0}))},
		{"a constant that is a sum", module(section(6, []byte{1, 0x7f, 0, 0x41, 1, 0x41, 2, 0x6a, 0x0b}))},
		{"a data count before the code", module(oneType(), functions(1), section(12, []byte{0}), code(body()), section(11, []byte{0}))},
		{"memory with a great maximum", module(section(5, []byte{1, 1, 1}, leb(65536)))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Read(tc.b, Limits{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	huge := leb(1<<32 - 1)
	for _, tc := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "not a WebAssembly module"},
		{"another version", []byte("\x00asm\x02\x00\x00\x00"), "version"},
		{"an unknown section", module(section(13, []byte{0})), "not known"},
		{"a section twice", module(oneType(), oneType()), "twice"},
		{"sections out of order", module(functions(0), oneType()), "out of order"},
		{"a section that is longer than the module", cat(module(), []byte{1, 9, 0}), "are left"},
		{"left-over bytes in a section", module(section(1, []byte{0, 0})), "left over"},
		{"2^32-1 parameters in twenty bytes", module(section(1, []byte{1, 0x60}, huge)), "parameters"},
		{"2^32-1 types", module(section(1, huge)), "types"},
		{"2^32-1 table entries in a segment", module(section(9, []byte{1, 1, 0}, huge)), "element"},
		{"2^32-1 branches", module(oneType(), functions(1), code(body(cat([]byte{0x0e}, huge)...))), "branches"},
		{"2^32-1 locals", module(oneType(), functions(1), code(cat([]byte{1}, huge, []byte{0x7f, 0x0b}))), "locals"},
		{"many locals in many groups", module(oneType(), functions(1), code(cat([]byte{3}, leb(9_999), []byte{0x7f, 2, 0x7f, 0, 0x7f, 0x0b}))), "locals"},
		{"2^32-1 bytes of data", module(section(11, []byte{1, 1}, huge)), "data"},
		{"4 GiB of memory", module(section(5, []byte{1, 0}, leb(65536))), "pages"},
		{"two memories", module(section(5, []byte{2, 0, 1, 0, 1})), "memories"},
		{"a shared memory", module(section(5, []byte{1, 3, 1, 1})), "shared"},
		{"a large table", module(section(4, []byte{1, 0x70, 0}, leb(70_000))), "table"},
		{"a table of an unknown type", module(section(4, []byte{1, 0x63, 0, 0})), "table"},
		{"200,000 functions", module(oneType(), functions(200_000)), "functions"},
		{"functions without a body", module(oneType(), functions(2), code(body())), "have a body"},
		{"bodies without a function", module(oneType(), code(body())), "have a body"},
		{"32,000 nested blocks", module(oneType(), functions(1), code(nested(32_000, 0x02))), "nested"},
		{"16,000 nested loops", module(oneType(), functions(1), code(nested(16_000, 0x03))), "loops"},
		{"20,000 small loops", module(oneType(), functions(1), code(flat(20_000, 0x03))), "loops"},
		{"40,000 small blocks", module(oneType(), functions(1), code(flat(40_000, 0x02))), "blocks"},
		{"many functions that nest deeply", module(oneType(), functions(20), code(slices.Repeat([][]byte{nested(8_000, 0x02)}, 20)...)), "together"},
		{"a body without an end", module(oneType(), functions(1), code([]byte{0, 0x01})), "cut off"},
		{"instructions behind the end", module(oneType(), functions(1), code(body(0x0b))), "left over"},
		{"an unknown instruction", module(oneType(), functions(1), code(body(0x27))), "0x27"},
		{"an unknown long instruction", module(oneType(), functions(1), code(body(0xfc, 99))), "0xfc 99"},
		{"threads", module(oneType(), functions(1), code(body(0xfe, 0))), "0xfe"},
		{"relaxed SIMD", module(oneType(), functions(1), code(body(0xfd, 0x80, 2))), "0xfd 256"},
		{"a number of 33 bits", module(oneType(), functions(1), code(body(0x10, 0xff, 0xff, 0xff, 0xff, 0x1f))), "32 bits"},
		{"a constant that calls", module(section(6, []byte{1, 0x7f, 0, 0x10, 0, 0x0b})), "constant"},
		{"a name that is not UTF-8", module(section(7, []byte{1, 1, 0xff, 0, 0})), "UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Read(tc.b, Limits{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something about %q", err, tc.want)
			}
		})
	}
	if _, err := Read([]byte("\x00asm\x0d\x00\x01\x00"), Limits{}); !errors.Is(err, ErrComponent) {
		t.Errorf("a component: %v", err)
	}
	if _, err := Read(module(), Limits{Bytes: 4}); err == nil {
		t.Error("a module over its limit is accepted")
	}
}

func TestReadTellsWhatIsThere(t *testing.T) {
	b := module(
		section(0, []byte{4, 'n', 'a', 'm', 'e', 1, 2, 3}),
		section(1, []byte{2, 0x60, 2, 0x7f, 0x7e, 1, 0x7f, 0x60, 0, 0}),
		section(2, []byte{1, 3, 'e', 'n', 'v', 1, 'f', 0, 0}),
		section(3, []byte{1, 1}),
		section(5, []byte{1, 0, 3}),
		section(7, []byte{3, 1, 'f', 0, 0, 1, 'g', 0, 1, 1, 'm', 2, 0}),
		code(body()),
	)
	m, err := Read(b, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	f, _ := m.Export("f")
	g, _ := m.Export("g")
	mem, ok := m.Export("m")
	_, none := m.Export("x")
	switch {
	case len(m.Imports) != 1 || m.Imports[0].Module != "env" || m.Imports[0].Name != "f" || m.Imports[0].Sort != Function:
		t.Errorf("imports %+v", m.Imports)
	case !m.Imports[0].Signature.Equal(Signature{[]byte{0x7f, 0x7e}, []byte{0x7f}}) || !f.Signature.Equal(m.Imports[0].Signature):
		t.Errorf("signature %+v", m.Imports[0].Signature)
	case !g.Signature.Equal(Signature{}):
		t.Errorf("signature of g %+v", g.Signature)
	case !ok || mem.Sort != Memory || none:
		t.Errorf("exports %+v", m.Exports)
	case m.MinPages != 3 || m.Memories != 1 || m.Functions != 1:
		t.Errorf("got %+v", m)
	case bytes.Contains(m.Core, []byte("name")) || len(m.Core) != len(b)-10:
		t.Errorf("the custom section is still there: % x", m.Core)
	}
	if again, err := Read(m.Core, Limits{}); err != nil || !bytes.Equal(again.Core, m.Core) {
		t.Errorf("what is left cannot be read again: %v", err)
	}
}

func TestReadAllocatesLittle(t *testing.T) {
	b := module(section(1, []byte{1, 0x60}, leb(1<<32-1)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, _ = Read(b, Limits{})
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / 100; n > 1<<20 {
		t.Errorf("%d bytes are allocated for a module of %d", n, len(b))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(module())
	f.Add(module(oneType(), functions(1), code(nested(20, 0x03))))
	f.Add(module(section(1, []byte{1, 0x60}, leb(1<<32-1))))
	f.Add(module(section(4, []byte{1, 0x70, 0, 1}), section(9, []byte{1, 0, 0x41, 0, 0x0b, 0})))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Read(b, Limits{})
		if err != nil {
			return
		}
		again, err := Read(m.Core, Limits{})
		if err != nil || !bytes.Equal(again.Core, m.Core) {
			t.Errorf("the core of an accepted module is not the same again: %v", err)
		}
	})
}
