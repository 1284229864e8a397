package inspect

import (
	"bytes"

	"github.com/annex-gateway/annex/plugins/wasm/format"
)

// signature reads a function type.
func (p *parser) signature(s *format.Reader) {
	if form := s.Byte(); form != 0x60 {
		s.Fail("type form 0x%x is not known", form)
		return
	}
	params := s.Bytes(s.CountTo("parameters of a function", p.limits.Params))
	results := s.Bytes(s.CountTo("results of a function", p.limits.Params))
	// Copies, so that they do not hold the whole module.
	p.types = append(p.types, Signature{Params: bytes.Clone(params), Results: bytes.Clone(results)})
}

func (p *parser) typeAt(i uint32) Signature {
	if int64(i) < int64(len(p.types)) {
		return p.types[i]
	}
	return Signature{}
}

func (p *parser) imports(s *format.Reader) {
	i := Import{Module: s.Name(), Name: s.Name(), Sort: Sort(s.Byte())}
	switch i.Sort {
	case Function:
		t := s.U32()
		p.imported = append(p.imported, t)
		i.Signature = p.typeAt(t)
	case Table:
		p.table(s)
	case Memory:
		s.Limits()
	case Global:
		s.Bytes(2)
	default:
		s.Fail("an import of %s is not known", i.Sort)
	}
	p.mod.Imports = append(p.mod.Imports, i)
}

func (p *parser) table(s *format.Reader) {
	if t := s.Byte(); t != 0x70 && t != 0x6f {
		s.Fail("a table of type 0x%x is not known", t)
		return
	}
	if n := s.Limits(); n > p.limits.TableEntries {
		s.Fail("a table of %d entries is declared and at most %d are allowed", n, p.limits.TableEntries)
	}
}

func (p *parser) memory(s *format.Reader) {
	p.mod.Memories++
	p.mod.MinPages = s.Limits()
	if n := p.mod.MinPages; n > p.limits.MemoryPages {
		s.Fail("the module starts with %d pages of memory and at most %d are allowed: raise the memory limit of the registration or build it with less", n, p.limits.MemoryPages)
	}
}

func (p *parser) global(s *format.Reader) {
	s.Bytes(2)
	p.expression(s)
}

func (p *parser) export(s *format.Reader) {
	e := Export{Name: s.Name(), Sort: Sort(s.Byte())}
	i := s.U32()
	if e.Sort > Global {
		s.Fail("an export of %s is not known", e.Sort)
		return
	}
	if e.Sort == Function {
		e.Signature = p.functionType(i)
	}
	p.mod.Exports = append(p.mod.Exports, e)
}

func (p *parser) functionType(i uint32) Signature {
	n := int64(i)
	switch all := int64(len(p.imported)); {
	case n < all:
		return p.typeAt(p.imported[n])
	case n-all < int64(len(p.funcTypes)):
		return p.typeAt(p.funcTypes[n-all])
	}
	return Signature{}
}

// element reads an element segment. Its form has three bits: passive or
// declarative, an explicit table (or declarative), and expressions instead of
// function indices.
func (p *parser) element(s *format.Reader) {
	form := s.U32()
	if form > 7 {
		s.Fail("an element segment of form %d is not known", form)
		return
	}
	active, explicit, expressions := form&1 == 0, form&2 != 0, form&4 != 0
	if active {
		if explicit {
			s.U32()
		}
		p.expression(s)
	}
	if !active || explicit {
		s.Byte()
	}
	n := s.CountTo("entries of an element segment", p.limits.Elements)
	if p.elements += n; p.elements > p.limits.Elements {
		s.Fail("more than %d table entries are declared", p.limits.Elements)
	}
	for ; n > 0 && s.Err == nil; n-- {
		if expressions {
			p.expression(s)
		} else {
			s.U32()
		}
	}
}

func (p *parser) data(s *format.Reader) {
	switch form := s.U32(); form {
	case 0:
		p.expression(s)
	case 1:
	case 2:
		s.U32()
		p.expression(s)
	default:
		s.Fail("a data segment of form %d is not known", form)
	}
	s.Bytes(s.CountTo("bytes of a data segment", p.limits.Bytes))
}

// expression passes a constant expression.
func (p *parser) expression(s *format.Reader) {
	for s.Err == nil {
		switch op := s.Byte(); op {
		case 0x0b:
			return
		case 0x23, 0xd2: // global.get, ref.func
			s.U32()
		case 0x41, 0x42, 0x43, 0x44, 0xd0, 0xfd, // constants
			0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // sums, differences and products
			operands(s, op)
		default:
			s.Fail("instruction 0x%x is not allowed in a constant", op)
		}
	}
}
