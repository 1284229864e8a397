package meter

import (
	"bytes"
	"errors"

	"github.com/annex-gateway/annex/plugins/wasm/format"
)

// signature is the type of a function.
type signature struct{ params, results []byte }

// module is what is known of a module before its code is read, and the pieces
// of the one that it becomes.
type module struct {
	sections [numSections]*format.Reader

	types    []signature
	funcs    []uint32 // type of each function, the imported ones first
	imported int      // functions
	globals  int      // imported and its own
	tables   []byte   // type of each table, the imported ones first
	dataLens []uint32 // bytes of each data segment
	names    []byte   // content of the name section
	tails    bool     // there are tail calls

	helpers helpers
}

const numSections = 13

// The sections, as the binary format numbers them.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
)

// order is the order in which sections stand.
func order() []byte {
	return []byte{
		secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport,
		secStart, secElement, secDataCount, secCode, secData,
	}
}

// Rewrite gives the metered form of a module. It keeps nothing of b, and its
// errors are written for the author of the module.
func Rewrite(b []byte) ([]byte, error) {
	if !bytes.HasPrefix(b, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, errors.New("this is not a WebAssembly module of version 1")
	}
	m := &module{}
	r := &format.Reader{B: b, Pos: 8}
	m.split(r)
	if r.Err != nil {
		return nil, r.Err
	}
	return m.rewrite(len(b))
}

// split finds the sections.
func (m *module) split(r *format.Reader) {
	var rank [256]int // 0 for what is not known, and for custom sections
	for i, id := range order() {
		rank[id] = i + 1
	}
	last := 0
	for r.Err == nil && r.Left() > 0 {
		id := r.Byte()
		s := r.Sub(r.Count("bytes of a section"))
		switch {
		case r.Err != nil:
		case id == secCustom:
			m.custom(s)
			r.Err = s.Err
		case rank[id] == 0:
			r.Fail("section %d is not known", id)
		case rank[id] <= last:
			r.Fail("section %d stands twice or out of order", id)
		default:
			last = rank[id]
			m.sections[id] = s
		}
	}
}

// custom keeps the names. What is wrong inside of a custom section is no
// fault of the module.
func (m *module) custom(s *format.Reader) {
	if s.Name() == "name" && s.Err == nil && m.names == nil {
		m.names = s.B[s.Pos:]
	}
}

// section gives a section to read, an empty one where there is none.
func (m *module) section(id byte) *format.Reader {
	if s := m.sections[id]; s != nil {
		return s
	}
	return &format.Reader{B: []byte{0}}
}

// The numbers of what is appended.
func (m *module) fuel() uint32   { return uint32(m.globals) }
func (m *module) refill() uint32 { return uint32(m.imported) }
func (m *module) stub() uint32   { return uint32(len(m.funcs)) + 1 }
func (m *module) helper(i int) uint32 {
	return m.stub() + 1 + uint32(i)
}

// shifted is the new number of a function.
func (m *module) shifted(f uint32) uint32 {
	if f >= uint32(m.imported) {
		return f + 1
	}
	return f
}

// rewrite puts the new module together.
func (m *module) rewrite(size int) ([]byte, error) {
	var out [numSections][]byte
	steps := []struct {
		id    byte
		build func(*format.Reader) []byte
	}{
		{secType, m.readTypes},
		{secImport, m.readImports},
		{secFunction, m.readFunctions},
		{secTable, m.readTables},
		{secMemory, readMemories},
		{secGlobal, m.readGlobals},
		{secExport, m.readExports},
		{secStart, m.readStart},
		{secElement, m.readElements},
		{secDataCount, readDataCount},
		{secData, m.readData},
		{secCode, m.readCode},
	}
	for _, step := range steps {
		s := m.section(step.id)
		out[step.id] = step.build(s)
		s.End("a section")
		if s.Err != nil {
			return nil, s.Err
		}
	}
	m.finish(&out)
	b := make([]byte, 0, size+size/2)
	b = append(b, "\x00asm\x01\x00\x00\x00"...)
	for _, id := range order() {
		appended := id == secType || id == secImport || id == secFunction || id == secGlobal || id == secCode
		if m.sections[id] != nil || appended {
			b = appendSized(append(b, id), out[id])
		}
	}
	if names := m.renumberNames(); names != nil {
		b = appendSized(append(b, secCustom), append(appendName(nil, "name"), names...))
	}
	return b, nil
}

// finish completes the lists that things are appended to.
func (m *module) finish(out *[numSections][]byte) {
	h := &m.helpers
	refill, stub := h.typeOf(m, signature{[]byte{typeI64}, []byte{typeI64}}), h.typeOf(m, signature{})
	types := make([]uint32, len(h.made))
	for i, made := range h.made {
		types[i] = h.typeOf(m, made.sig)
	}
	out[secType] = m.list(len(m.types), out[secType], len(h.types), h.encodedTypes())
	use := appendName(appendName(nil, Module), Function)
	use = appendU32(append(use, 0), refill)
	imports := m.section(secImport)
	imports.Pos = 0
	out[secImport] = m.list(int(imports.U32()), out[secImport], 1, use)

	declared := appendU32(nil, stub)
	for _, t := range types {
		declared = appendU32(declared, t)
	}
	own := len(m.funcs) - m.imported
	out[secFunction] = m.list(own, out[secFunction], 1+len(types), declared)

	globals := m.section(secGlobal)
	globals.Pos = 0
	out[secGlobal] = m.list(int(globals.U32()), out[secGlobal], 1, []byte{typeI64, 1, opI64Const, 0, opEnd})

	code := appendSized(nil, m.stubBody())
	for _, made := range h.made {
		code = appendSized(code, made.body)
	}
	out[secCode] = m.list(own, out[secCode], 1+len(types), code)
}

// list joins a list of so many elements and another one to one list.
func (m *module) list(n int, elements []byte, more int, added []byte) []byte {
	b := appendU32(make([]byte, 0, len(elements)+len(added)+5), uint32(n+more))
	return append(append(b, elements...), added...)
}

// stubBody asks for fuel, and tells how deep the guest is. The count stays.
func (m *module) stubBody() []byte {
	depth := func(b []byte) []byte {
		b = appendU32(append(b, opGlobalGet), m.fuel())
		return append(appendS64(append(b, opI64Const), depthMask), opI64And)
	}
	b := appendU32(append(depth([]byte{0}), opCall), m.refill())
	b = append(appendS64(append(b, opI64Const), depthBits), opI64Shl)
	b = append(depth(b), opI64Or)
	return append(appendU32(append(b, opGlobalSet), m.fuel()), opEnd)
}
