package inspect

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/annex-gateway/annex/plugins/wasm/format"
)

// Sort is what an import or an export is.
type Sort byte

// The sorts, as the binary format numbers them.
const (
	Function Sort = iota
	Table
	Memory
	Global
)

// String is the word for the sort.
func (s Sort) String() string {
	if s > Global {
		return fmt.Sprintf("sort %d", byte(s))
	}
	return [...]string{"function", "table", "memory", "global"}[s]
}

// Signature is the type of a function, in value types of the binary format.
type Signature struct{ Params, Results []byte }

// Equal reports whether both are the same.
func (s Signature) Equal(o Signature) bool {
	return bytes.Equal(s.Params, o.Params) && bytes.Equal(s.Results, o.Results)
}

// Import is something a module asks of its host.
type Import struct {
	Module, Name string
	Sort         Sort
	Signature    Signature // of a function
}

// Export is something a module offers to its host.
type Export struct {
	Name      string
	Sort      Sort
	Signature Signature // of a function
}

// Module is what was learned about a module.
type Module struct {
	Imports   []Import
	Exports   []Export
	Functions int    // defined in the module itself
	Memories  int    // defined in the module itself
	MinPages  uint32 // initial memory
	// Core is the module without its custom sections, which carry names and
	// debug information: nothing that runs, and nothing that was checked.
	Core []byte
}

// Export finds an export by name.
func (m *Module) Export(name string) (Export, bool) {
	for _, e := range m.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}

// ErrComponent is the error for a WebAssembly component.
var ErrComponent = errors.New("this is a WebAssembly component, and only core modules can be run: build it as a core module (for Rust wasm32-wasip1, for Go GOOS=wasip1)")

const headerSize = 8

// Read inspects b. Its errors are written for the author of the module.
func Read(b []byte, limits Limits) (*Module, error) {
	l := limits.withDefaults()
	if len(b) > l.Bytes {
		return nil, fmt.Errorf("the module has %d bytes and at most %d are allowed", len(b), l.Bytes)
	}
	if err := header(b); err != nil {
		return nil, err
	}
	p := &parser{limits: l, mod: &Module{}}
	p.mod.Core = append(make([]byte, 0, len(b)), b[:headerSize]...)
	r := &format.Reader{B: b, Pos: headerSize}
	for !r.Done() {
		p.section(r)
	}
	if r.Err == nil && p.bodies != len(p.funcTypes) {
		r.Fail("%d functions are declared and %d have a body", len(p.funcTypes), p.bodies)
	}
	if r.Err != nil {
		return nil, r.Err
	}
	return p.mod, nil
}

func header(b []byte) error {
	switch {
	case len(b) < headerSize || !bytes.Equal(b[:4], []byte("\x00asm")):
		return errors.New("this is not a WebAssembly module: it does not start with \\0asm and a version")
	case b[6] == 1 && b[7] == 0:
		return ErrComponent
	case !bytes.Equal(b[4:8], []byte{1, 0, 0, 0}):
		return fmt.Errorf("version % x of the binary format is not known, 01 00 00 00 is", b[4:8])
	}
	return nil
}

// parser keeps what sections need to know of one another.
type parser struct {
	limits    Limits
	mod       *Module
	types     []Signature
	imported  []uint32 // type of each imported function
	funcTypes []uint32 // type of each defined function
	last      int      // rank of the section before
	bodies    int
	locals    int
	elements  int
	work      int64
}

// rank is the place of a section in the order that the format demands; 0 for
// an id that is not known.
func rank(id byte) int {
	// Section 12 counts the data segments ahead of the code; section 13 (tags)
	// belongs to a feature that is not run.
	order := [...]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10}
	if int(id) >= len(order) {
		return 0
	}
	return order[id]
}

func (p *parser) section(r *format.Reader) {
	start := r.Pos
	id := r.Byte()
	s := r.Sub(r.CountTo("bytes of a section", p.limits.Bytes))
	if r.Err != nil || id == 0 {
		return
	}
	switch k := rank(id); {
	case k == 0:
		r.Fail("section %d is not known", id)
		return
	case k <= p.last:
		r.Fail("section %d stands twice or out of order", id)
		return
	default:
		p.last = k
	}
	p.content(id, s)
	s.End(fmt.Sprintf("section %d", id))
	r.Err = s.Err
	p.mod.Core = append(p.mod.Core, r.B[start:r.Pos]...)
}

func (p *parser) content(id byte, s *format.Reader) {
	switch id {
	case 1:
		p.list(s, "types", p.limits.Types, p.signature)
	case 2:
		p.list(s, "imports", p.limits.Imports, p.imports)
	case 3:
		p.list(s, "functions", p.limits.Functions, func(s *format.Reader) { p.funcTypes = append(p.funcTypes, s.U32()) })
		p.mod.Functions = len(p.funcTypes)
	case 4:
		p.list(s, "tables", p.limits.Tables, p.table)
	case 5:
		p.list(s, "memories", 1, p.memory)
	case 6:
		p.list(s, "globals", p.limits.Globals, p.global)
	case 7:
		p.list(s, "exports", p.limits.Exports, p.export)
	case 8, 12:
		s.U32()
	case 9:
		p.list(s, "element segments", p.limits.Segments, p.element)
	case 10:
		p.list(s, "function bodies", p.limits.Functions, p.body)
	case 11:
		p.list(s, "data segments", p.limits.Segments, p.data)
	}
}

func (p *parser) list(s *format.Reader, what string, limit int, each func(*format.Reader)) {
	for n := s.CountTo(what, limit); n > 0 && s.Err == nil; n-- {
		each(s)
	}
}
