package inspect

import "bytes"

// signature reads a function type.
func (p *parser) signature(s *reader) {
	if form := s.byte(); form != 0x60 {
		s.fail("type form 0x%x is not known", form)
		return
	}
	params := s.bytes(s.count("parameters of a function", p.limits.Params))
	results := s.bytes(s.count("results of a function", p.limits.Params))
	// Copies, so that they do not hold the whole module.
	p.types = append(p.types, Signature{Params: bytes.Clone(params), Results: bytes.Clone(results)})
}

func (p *parser) typeAt(i uint32) Signature {
	if int64(i) < int64(len(p.types)) {
		return p.types[i]
	}
	return Signature{}
}

func (p *parser) imports(s *reader) {
	i := Import{Module: s.name(), Name: s.name(), Sort: Sort(s.byte())}
	switch i.Sort {
	case Function:
		t := s.u32()
		p.imported = append(p.imported, t)
		i.Signature = p.typeAt(t)
	case Table:
		p.table(s)
	case Memory:
		p.limit(s)
	case Global:
		s.bytes(2)
	default:
		s.fail("an import of %s is not known", i.Sort)
	}
	p.mod.Imports = append(p.mod.Imports, i)
}

// limit reads the initial size of a table or a memory; the greatest size is
// of no interest, because growth is bounded where it happens.
func (p *parser) limit(s *reader) uint32 {
	flags := s.byte()
	if flags > 1 {
		s.fail("limits of form %d (shared or 64-bit) are not run", flags)
		return 0
	}
	lowest := s.u32()
	if flags == 1 {
		s.u32()
	}
	return lowest
}

func (p *parser) table(s *reader) {
	if t := s.byte(); t != 0x70 && t != 0x6f {
		s.fail("a table of type 0x%x is not known", t)
		return
	}
	if n := p.limit(s); n > p.limits.TableEntries {
		s.fail("a table of %d entries is declared and at most %d are allowed", n, p.limits.TableEntries)
	}
}

func (p *parser) memory(s *reader) {
	p.mod.Memories++
	p.mod.MinPages = p.limit(s)
	if n := p.mod.MinPages; n > p.limits.MemoryPages {
		s.fail("the module starts with %d pages of memory and at most %d are allowed: raise the memory limit of the registration or build it with less", n, p.limits.MemoryPages)
	}
}

func (p *parser) global(s *reader) {
	s.bytes(2)
	p.expression(s)
}

func (p *parser) export(s *reader) {
	e := Export{Name: s.name(), Sort: Sort(s.byte())}
	i := s.u32()
	if e.Sort > Global {
		s.fail("an export of %s is not known", e.Sort)
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
func (p *parser) element(s *reader) {
	form := s.u32()
	if form > 7 {
		s.fail("an element segment of form %d is not known", form)
		return
	}
	active, explicit, expressions := form&1 == 0, form&2 != 0, form&4 != 0
	if active {
		if explicit {
			s.u32()
		}
		p.expression(s)
	}
	if !active || explicit {
		s.byte()
	}
	n := s.count("entries of an element segment", p.limits.Elements)
	if p.elements += n; p.elements > p.limits.Elements {
		s.fail("more than %d table entries are declared", p.limits.Elements)
	}
	for ; n > 0 && s.err == nil; n-- {
		if expressions {
			p.expression(s)
		} else {
			s.u32()
		}
	}
}

func (p *parser) data(s *reader) {
	switch form := s.u32(); form {
	case 0:
		p.expression(s)
	case 1:
	case 2:
		s.u32()
		p.expression(s)
	default:
		s.fail("a data segment of form %d is not known", form)
	}
	s.bytes(s.count("bytes of a data segment", p.limits.Bytes))
}

// expression passes a constant expression.
func (p *parser) expression(s *reader) {
	for s.err == nil {
		switch op := s.byte(); op {
		case 0x0b:
			return
		case 0x23, 0xd2: // global.get, ref.func
			s.u32()
		case 0x41, 0x42, 0x43, 0x44, 0xd0, 0xfd, // constants
			0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // sums, differences and products
			operands(s, op)
		default:
			s.fail("instruction 0x%x is not allowed in a constant", op)
		}
	}
}
