package wasm

import (
	"encoding/binary"
	"math"
)

// A very small assembler: enough to write guests down in tests.

func leb(v uint64) []byte { return binary.AppendUvarint(nil, v) }

func sleb(v int64) []byte {
	var out []byte
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(out, c)
		}
		out = append(out, c|0x80)
	}
}

func vec(items ...[]byte) []byte {
	out := leb(uint64(len(items)))
	for _, i := range items {
		out = append(out, i...)
	}
	return out
}

func str(s string) []byte { return append(leb(uint64(len(s))), s...) }

func cat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func section(id byte, content []byte) []byte {
	return cat([]byte{id}, leb(uint64(len(content))), content)
}

// signature writes types as letters: i for i32, l for i64, results after a
// colon.
func signature(s string) []byte {
	var lists [2][]byte
	at := 0
	for _, c := range s {
		switch c {
		case ':':
			at = 1
		case 'i':
			lists[at] = append(lists[at], i32)
		case 'l':
			lists[at] = append(lists[at], i64)
		}
	}
	return cat([]byte{0x60}, leb(uint64(len(lists[0]))), lists[0], leb(uint64(len(lists[1]))), lists[1])
}

type testFunc struct {
	export, sig string
	locals      int // of i32; one of i64 follows them
	body        []byte
}

type testModule struct {
	imports []string // "module name signature"
	funcs   []testFunc
	pages   int
	table   int // entries of a table of functions; 0 for no table
	maximum int // pages; 0 for none
	data    map[int]string
	hidden  bool // the memory is not exported
	start   string
}

var hostCalls = func() map[string]int {
	m := map[string]int{}
	for i, f := range functions() {
		m[f.name] = i
	}
	return m
}()

// allImports are the nineteen functions in the border's order.
func allImports() []string {
	var out []string
	for _, f := range functions() {
		sig := ""
		for range f.params {
			sig += "i"
		}
		switch f.result {
		case i32:
			sig += ":i"
		case i64:
			sig += ":l"
		}
		out = append(out, "http_handler "+f.name+" "+sig)
	}
	return out
}

func (m testModule) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	var types, imports, decls, exports, bodies, datas [][]byte
	for _, i := range m.imports {
		var mod, name, sig string
		parts := [3]*string{&mod, &name, &sig}
		n := 0
		for _, c := range i {
			if c == ' ' {
				n++
				continue
			}
			*parts[n] += string(c)
		}
		imports = append(imports, cat(str(mod), str(name), []byte{0}, leb(uint64(len(types)))))
		types = append(types, signature(sig))
	}
	if !m.hidden {
		exports = append(exports, cat(str("memory"), []byte{2, 0}))
	}
	startIndex := -1
	for i, f := range m.funcs {
		decls = append(decls, leb(uint64(len(types))))
		types = append(types, signature(f.sig))
		index := len(m.imports) + i
		if f.export != "" {
			exports = append(exports, cat(str(f.export), []byte{0}, leb(uint64(index))))
		}
		if m.start != "" && f.export == m.start {
			startIndex = index
		}
		locals := []byte{0}
		if f.locals > 0 {
			locals = cat([]byte{2}, leb(uint64(f.locals)), []byte{i32}, []byte{1, i64})
		}
		body := cat(locals, f.body, []byte{0x0b})
		bodies = append(bodies, cat(leb(uint64(len(body))), body))
	}
	for at, s := range m.data {
		datas = append(datas, cat([]byte{0}, constant(int64(at)), []byte{0x0b}, str(s)))
	}
	memory := cat([]byte{0}, leb(uint64(m.pages)))
	if m.maximum > 0 {
		memory = cat([]byte{1}, leb(uint64(m.pages)), leb(uint64(m.maximum)))
	}
	out = append(out, section(1, vec(types...))...)
	out = append(out, section(2, vec(imports...))...)
	out = append(out, section(3, vec(decls...))...)
	if m.table > 0 {
		out = append(out, section(4, vec(cat([]byte{0x70, 0}, leb(uint64(m.table)))))...)
	}
	out = append(out, section(5, vec(memory))...)
	out = append(out, section(7, vec(exports...))...)
	if startIndex >= 0 {
		out = append(out, section(8, leb(uint64(startIndex)))...)
	}
	out = append(out, section(10, vec(bodies...))...)
	return append(out, section(11, vec(datas...))...)
}

func constant(v int64) []byte    { return cat([]byte{0x41}, sleb(v)) }
func constant64(v uint64) []byte { return cat([]byte{0x42}, sleb(int64(v))) }
func get(local int) []byte       { return cat([]byte{0x20}, leb(uint64(local))) }
func set(local int) []byte       { return cat([]byte{0x21}, leb(uint64(local))) }
func callFunc(i int) []byte      { return cat([]byte{0x10}, leb(uint64(i))) }
func forever() []byte            { return []byte{0x03, 0x40, 0x0c, 0x00, 0x0b} }
func drop() []byte               { return []byte{0x1a} }
func trapNow() []byte            { return []byte{0x00} }
func host(name string, args ...any) []byte {
	var out []byte
	for _, a := range args {
		switch a := a.(type) {
		case int:
			if a > math.MaxInt32 {
				a = int(int32(uint32(a)))
			}
			out = append(out, constant(int64(a))...)
		case []byte:
			out = append(out, a...)
		}
	}
	return append(out, callFunc(hostCalls[name])...)
}

const (
	next   = 1
	ending = 0
)

// guestModule is a module with the two entry points; request leaves nothing
// on the stack, response neither.
func guestModule(result uint64, data map[int]string, request, response []byte) []byte {
	return testModule{
		imports: allImports(), pages: 2, data: data,
		funcs: []testFunc{
			{export: "handle_request", sig: ":l", locals: 4, body: cat(request, constant64(result))},
			{export: "handle_response", sig: "ii", locals: 4, body: response},
		},
	}.bytes()
}

// echoGuest answers with the request's body, and hangs for a call that has the
// field x-hang.
func echoGuest() []byte {
	const wide = 4 // the local of 64 bits
	hang := cat(host("get_header_values", 0, 0, 6, 0, 0), []byte{0x50, 0x45, 0x04, 0x40}, forever(), []byte{0x0b})
	loop := cat([]byte{0x03, 0x40},
		host("read_body", 0, 1024, 32<<10), []byte{0x22}, leb(wide), low(), set(0),
		host("write_body", 1, 1024, get(0)),
		get(wide), []byte{0x42}, sleb(32), []byte{0x88, 0x50, 0x0d, 0x00, 0x0b})
	return guestModule(ending, map[int]string{0: "x-hang"}, cat(hang, loop), nil)
}
