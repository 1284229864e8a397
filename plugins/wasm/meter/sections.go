package meter

import "github.com/annex-gateway/annex/plugins/wasm/format"

// The read functions check a section and give its elements in their new form,
// without their number.

func (m *module) readTypes(s *format.Reader) []byte {
	n := s.Count("types")
	start := s.Pos
	for ; n > 0 && s.Err == nil; n-- {
		if form := s.Byte(); form != typeFunc {
			s.Fail("type form 0x%x is not known", form)
		}
		params := s.Bytes(s.Count("parameters of a function"))
		m.types = append(m.types, signature{params, s.Bytes(s.Count("results of a function"))})
	}
	return s.B[start:s.Pos]
}

func (m *module) readImports(s *format.Reader) []byte {
	n := s.Count("imports")
	start := s.Pos
	for ; n > 0 && s.Err == nil; n-- {
		if from := s.Name(); from == Module {
			s.Fail("imports from %s are the gateway's own", Module)
		}
		s.Name()
		switch sort := s.Byte(); sort {
		case 0:
			m.funcs = append(m.funcs, m.typeIndex(s))
			m.imported++
		case 1:
			m.table(s)
		case 2:
			s.Limits()
		case 3:
			s.Bytes(2)
			m.globals++
		default:
			s.Fail("an import of sort %d is not known", sort)
		}
	}
	return s.B[start:s.Pos]
}

func (m *module) typeIndex(s *format.Reader) uint32 {
	t := s.U32()
	if s.Err == nil && uint64(t) >= uint64(len(m.types)) {
		s.Fail("type %d is used and there are %d", t, len(m.types))
	}
	return t
}

func (m *module) table(s *format.Reader) {
	t := s.Byte()
	if t != typeFuncref && t != typeExternref {
		s.Fail("a table of type 0x%x is not known", t)
	}
	if n := s.Limits(); n > MaxTable {
		s.Fail("a table of %d entries is declared and at most %d are allowed", n, MaxTable)
	}
	m.tables = append(m.tables, t)
}

func (m *module) readFunctions(s *format.Reader) []byte {
	n := s.Count("functions")
	start := s.Pos
	for ; n > 0 && s.Err == nil; n-- {
		m.funcs = append(m.funcs, m.typeIndex(s))
	}
	return s.B[start:s.Pos]
}

func (m *module) readTables(s *format.Reader) []byte {
	for n := s.Count("tables"); n > 0 && s.Err == nil; n-- {
		m.table(s)
	}
	return s.B[:s.Pos]
}

func readMemories(s *format.Reader) []byte {
	for n := s.Count("memories"); n > 0 && s.Err == nil; n-- {
		s.Limits()
	}
	return s.B[:s.Pos]
}

func readDataCount(s *format.Reader) []byte { return appendU32(nil, s.U32()) }

func (m *module) readGlobals(s *format.Reader) []byte {
	n := s.Count("globals")
	m.globals += n
	var out []byte
	for ; n > 0 && s.Err == nil; n-- {
		out = append(out, s.Bytes(2)...)
		out = m.expression(s, out)
	}
	return out
}

func (m *module) readExports(s *format.Reader) []byte {
	n := s.Count("exports")
	out := appendU32(nil, uint32(n))
	for ; n > 0 && s.Err == nil; n-- {
		out = appendName(out, s.Name())
		sort := s.Byte()
		out = append(out, sort)
		switch sort {
		case 0:
			out = appendU32(out, m.shifted(m.function(s)))
		case 3:
			out = appendU32(out, m.global(s))
		case 1, 2:
			out = appendU32(out, s.U32())
		default:
			s.Fail("an export of sort %d is not known", sort)
		}
	}
	return out
}

// function reads the number of a function, global that of a global.
func (m *module) function(s *format.Reader) uint32 { return within(s, "function", len(m.funcs)) }
func (m *module) global(s *format.Reader) uint32   { return within(s, "global", m.globals) }

func within(s *format.Reader, what string, n int) uint32 {
	i := s.U32()
	if s.Err == nil && uint64(i) >= uint64(n) {
		s.Fail("%s %d is used and there are %d", what, i, n)
	}
	return i
}

func (m *module) readStart(s *format.Reader) []byte {
	if m.sections[secStart] == nil {
		s.Byte()
		return nil
	}
	return appendU32(nil, m.shifted(m.function(s)))
}

// readElements reads element segments. Their form has three bits: passive or
// declarative, an explicit table (or declarative), and expressions instead of
// numbers of functions.
func (m *module) readElements(s *format.Reader) []byte {
	n := s.Count("element segments")
	out := appendU32(nil, uint32(n))
	for ; n > 0 && s.Err == nil; n-- {
		form := s.U32()
		if form > 7 {
			s.Fail("an element segment of form %d is not known", form)
			break
		}
		out = appendU32(out, form)
		active, explicit := form&1 == 0, form&2 != 0
		if active {
			if explicit {
				out = appendU32(out, s.U32())
			}
			out = m.expression(s, out)
		}
		if !active || explicit {
			out = append(out, s.Byte())
		}
		entries := s.Count("entries of an element segment")
		out = appendU32(out, uint32(entries))
		for ; entries > 0 && s.Err == nil; entries-- {
			if form&4 != 0 {
				out = m.expression(s, out)
			} else {
				out = appendU32(out, m.shifted(m.function(s)))
			}
		}
	}
	return out
}

func (m *module) readData(s *format.Reader) []byte {
	n := s.Count("data segments")
	out := appendU32(nil, uint32(n))
	for ; n > 0 && s.Err == nil; n-- {
		form := s.U32()
		out = appendU32(out, form)
		switch form {
		case 0:
			out = m.expression(s, out)
		case 1:
		case 2:
			out = appendU32(out, s.U32())
			out = m.expression(s, out)
		default:
			s.Fail("a data segment of form %d is not known", form)
		}
		content := s.Bytes(s.Count("bytes of a data segment"))
		m.dataLens = append(m.dataLens, uint32(len(content)))
		out = appendSized(out, content)
	}
	return out
}

// expression appends the new form of a constant expression.
func (m *module) expression(s *format.Reader, out []byte) []byte {
	for s.Err == nil {
		start := s.Pos
		switch op := s.Byte(); op {
		case opEnd:
			return append(out, op)
		case opRefFunc:
			out = appendU32(append(out, op), m.shifted(m.function(s)))
			continue
		case opGlobalGet:
			m.global(s)
		case opI32Const:
			s.Skip(5)
		case opI64Const:
			s.Skip(10)
		case opF32Const:
			s.Bytes(4)
		case opF64Const:
			s.Bytes(8)
		case opRefNull:
			s.Byte()
		case opI32Add, opI32Sub, opI32Mul, opI64Add, opI64Sub, opI64Mul:
		case prefixVector:
			if s.U32() != subV128Const {
				s.Fail("a constant has a vector instruction that is not one")
			}
			s.Bytes(16)
		default:
			s.Fail("instruction 0x%x is not allowed in a constant", op)
		}
		out = append(out, s.B[start:s.Pos]...)
	}
	return out
}
