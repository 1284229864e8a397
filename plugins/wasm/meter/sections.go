package meter

// The read functions check a section and give its elements in their new form,
// without their number.

func (m *module) readTypes(s *reader) []byte {
	n := s.count("types")
	start := s.pos
	for ; n > 0 && s.err == nil; n-- {
		if form := s.byte(); form != typeFunc {
			s.fail("type form 0x%x is not known", form)
		}
		params := s.bytes(s.count("parameters of a function"))
		m.types = append(m.types, signature{params, s.bytes(s.count("results of a function"))})
	}
	return s.b[start:s.pos]
}

func (m *module) readImports(s *reader) []byte {
	n := s.count("imports")
	start := s.pos
	for ; n > 0 && s.err == nil; n-- {
		if from := s.name(); from == Module {
			s.fail("imports from %s are the gateway's own", Module)
		}
		s.name()
		switch sort := s.byte(); sort {
		case 0:
			m.funcs = append(m.funcs, m.typeIndex(s))
			m.imported++
		case 1:
			m.table(s)
		case 2:
			limits(s)
		case 3:
			s.bytes(2)
			m.globals++
		default:
			s.fail("an import of sort %d is not known", sort)
		}
	}
	return s.b[start:s.pos]
}

func (m *module) typeIndex(s *reader) uint32 {
	t := s.u32()
	if s.err == nil && uint64(t) >= uint64(len(m.types)) {
		s.fail("type %d is used and there are %d", t, len(m.types))
	}
	return t
}

// limits reads the sizes of a table or a memory and gives the initial one.
func limits(s *reader) uint32 {
	form := s.byte()
	if form > 1 {
		s.fail("limits of form %d (shared or 64-bit) are not run", form)
	}
	initial := s.u32()
	if form == 1 {
		s.u32()
	}
	return initial
}

func (m *module) table(s *reader) {
	t := s.byte()
	if t != typeFuncref && t != typeExternref {
		s.fail("a table of type 0x%x is not known", t)
	}
	if n := limits(s); n > MaxTable {
		s.fail("a table of %d entries is declared and at most %d are allowed", n, MaxTable)
	}
	m.tables = append(m.tables, t)
}

func (m *module) readFunctions(s *reader) []byte {
	n := s.count("functions")
	start := s.pos
	for ; n > 0 && s.err == nil; n-- {
		m.funcs = append(m.funcs, m.typeIndex(s))
	}
	return s.b[start:s.pos]
}

func (m *module) readTables(s *reader) []byte {
	for n := s.count("tables"); n > 0 && s.err == nil; n-- {
		m.table(s)
	}
	return s.b[:s.pos]
}

func readMemories(s *reader) []byte {
	for n := s.count("memories"); n > 0 && s.err == nil; n-- {
		limits(s)
	}
	return s.b[:s.pos]
}

func readDataCount(s *reader) []byte { return appendU32(nil, s.u32()) }

func (m *module) readGlobals(s *reader) []byte {
	n := s.count("globals")
	m.globals += n
	var out []byte
	for ; n > 0 && s.err == nil; n-- {
		out = append(out, s.bytes(2)...)
		out = m.expression(s, out)
	}
	return out
}

func (m *module) readExports(s *reader) []byte {
	n := s.count("exports")
	out := appendU32(nil, uint32(n))
	for ; n > 0 && s.err == nil; n-- {
		out = appendName(out, s.name())
		sort := s.byte()
		out = append(out, sort)
		switch sort {
		case 0:
			out = appendU32(out, m.shifted(m.function(s)))
		case 3:
			out = appendU32(out, m.global(s))
		case 1, 2:
			out = appendU32(out, s.u32())
		default:
			s.fail("an export of sort %d is not known", sort)
		}
	}
	return out
}

// function reads the number of a function, global that of a global.
func (m *module) function(s *reader) uint32 { return within(s, "function", len(m.funcs)) }
func (m *module) global(s *reader) uint32   { return within(s, "global", m.globals) }

func within(s *reader, what string, n int) uint32 {
	i := s.u32()
	if s.err == nil && uint64(i) >= uint64(n) {
		s.fail("%s %d is used and there are %d", what, i, n)
	}
	return i
}

func (m *module) readStart(s *reader) []byte {
	if m.sections[secStart] == nil {
		s.byte()
		return nil
	}
	return appendU32(nil, m.shifted(m.function(s)))
}

// readElements reads element segments. Their form has three bits: passive or
// declarative, an explicit table (or declarative), and expressions instead of
// numbers of functions.
func (m *module) readElements(s *reader) []byte {
	n := s.count("element segments")
	out := appendU32(nil, uint32(n))
	for ; n > 0 && s.err == nil; n-- {
		form := s.u32()
		if form > 7 {
			s.fail("an element segment of form %d is not known", form)
			break
		}
		out = appendU32(out, form)
		active, explicit := form&1 == 0, form&2 != 0
		if active {
			if explicit {
				out = appendU32(out, s.u32())
			}
			out = m.expression(s, out)
		}
		if !active || explicit {
			out = append(out, s.byte())
		}
		entries := s.count("entries of an element segment")
		out = appendU32(out, uint32(entries))
		for ; entries > 0 && s.err == nil; entries-- {
			if form&4 != 0 {
				out = m.expression(s, out)
			} else {
				out = appendU32(out, m.shifted(m.function(s)))
			}
		}
	}
	return out
}

func (m *module) readData(s *reader) []byte {
	n := s.count("data segments")
	out := appendU32(nil, uint32(n))
	for ; n > 0 && s.err == nil; n-- {
		form := s.u32()
		out = appendU32(out, form)
		switch form {
		case 0:
			out = m.expression(s, out)
		case 1:
		case 2:
			out = appendU32(out, s.u32())
			out = m.expression(s, out)
		default:
			s.fail("a data segment of form %d is not known", form)
		}
		content := s.bytes(s.count("bytes of a data segment"))
		m.dataLens = append(m.dataLens, uint32(len(content)))
		out = appendSized(out, content)
	}
	return out
}

// expression appends the new form of a constant expression.
func (m *module) expression(s *reader, out []byte) []byte {
	for s.err == nil {
		start := s.pos
		switch op := s.byte(); op {
		case opEnd:
			return append(out, op)
		case opRefFunc:
			out = appendU32(append(out, op), m.shifted(m.function(s)))
			continue
		case opGlobalGet:
			m.global(s)
		case opI32Const:
			s.skipLEB(5)
		case opI64Const:
			s.skipLEB(10)
		case opF32Const:
			s.bytes(4)
		case opF64Const:
			s.bytes(8)
		case opRefNull:
			s.byte()
		case opI32Add, opI32Sub, opI32Mul, opI64Add, opI64Sub, opI64Mul:
		case prefixVector:
			if s.u32() != subV128Const {
				s.fail("a constant has a vector instruction that is not one")
			}
			s.bytes(16)
		default:
			s.fail("instruction 0x%x is not allowed in a constant", op)
		}
		out = append(out, s.b[start:s.pos]...)
	}
	return out
}
