package meter

import "github.com/annex-gateway/annex/plugins/wasm/format"

// Instructions that run by length become calls of helper functions, which pay
// by length and cut what is large into pieces.

// piece is the greatest number of bytes that are moved at once.
const piece = 256 << 10

// What lengths cost: one unit for so many bytes, as a power of two, and so
// many units for a page of memory that is asked for.
const (
	bytesShift   = 4
	entriesShift = 0
	pageCost     = 1_000
)

type helperKey struct {
	op   uint16
	a, b uint32 // its indices
}

// helper is an appended function.
type helper struct {
	sig  signature
	body []byte
}

// helpers are the functions that are appended, each once.
type helpers struct {
	made  []helper
	index map[helperKey]int
	types []signature
}

// get gives the helper that does an instruction, where one is needed.
func (h *helpers) get(m *module, r *format.Reader, k helperKey) (int, bool) {
	if i, ok := h.index[k]; ok {
		return i, true
	}
	a := assembler{m: m}
	var sig signature
	switch k.op {
	case opMemoryCopy:
		sig = a.memoryCopy()
	case opMemoryFill:
		sig = a.memoryFill()
	case opMemoryInit:
		if uint64(k.a) >= uint64(len(m.dataLens)) {
			r.Fail("data segment %d is used and there are %d", k.a, len(m.dataLens))
			return 0, false
		}
		sig = a.memoryInit(k.a)
	case opMemoryGrow:
		sig = a.memoryGrow()
	case opTableInit, opTableCopy:
		sig = a.tableMove(k.op, k.a, k.b)
	case opTableFill, opTableGrow:
		if uint64(k.a) >= uint64(len(m.tables)) {
			r.Fail("table %d is used and there are %d", k.a, len(m.tables))
			return 0, false
		}
		if k.op == opTableFill {
			sig = a.tableFill(k.a)
		} else {
			sig = a.tableGrow(k.a)
		}
	default:
		return 0, false
	}
	if h.index == nil {
		h.index = map[helperKey]int{}
	}
	h.index[k] = len(h.made)
	h.made = append(h.made, helper{sig: sig, body: append(append([]byte{0}, a.b...), opEnd)})
	return h.index[k], true
}

// typeOf gives the number of an appended type.
func (h *helpers) typeOf(m *module, sig signature) uint32 {
	for i, t := range h.types {
		if string(t.params) == string(sig.params) && string(t.results) == string(sig.results) {
			return uint32(len(m.types) + i)
		}
	}
	h.types = append(h.types, sig)
	return uint32(len(m.types) + len(h.types) - 1)
}

func (h *helpers) encodedTypes() []byte {
	var b []byte
	for _, t := range h.types {
		b = appendSized(append(b, typeFunc), t.params)
		b = appendSized(b, t.results)
	}
	return b
}

// assembler writes the code of a helper.
type assembler struct {
	m *module
	b []byte
}

func (a *assembler) op(ops ...byte) { a.b = append(a.b, ops...) }
func (a *assembler) get(local ...uint32) {
	for _, l := range local {
		a.b = appendU32(append(a.b, opLocalGet), l)
	}
}
func (a *assembler) set(local uint32) { a.b = appendU32(append(a.b, opLocalSet), local) }
func (a *assembler) i32(v int64)      { a.b = appendS64(append(a.b, opI32Const), v) }
func (a *assembler) i64(v int64)      { a.b = appendS64(append(a.b, opI64Const), v) }
func (a *assembler) brIf(label byte)  { a.op(opBrIf, label) }

// do writes an instruction behind 0xfc.
func (a *assembler) do(op uint16, index ...uint32) {
	a.b = appendU32(append(a.b, prefixMisc), uint32(op-baseMisc))
	for _, i := range index {
		a.b = appendU32(a.b, i)
	}
}

// pay pays for what a local counts, shifted down.
func (a *assembler) pay(local uint32, down byte) {
	a.b = appendU32(append(a.b, opGlobalGet), a.m.fuel())
	a.get(local)
	a.op(opI64Extend)
	if down > 0 {
		a.i64(int64(down))
		a.op(opI64ShrU)
	}
	a.i64(depthBits)
	a.op(opI64Shl, opI64Sub)
	a.b = a.m.appendCheck(a.b)
}

// reach leaves the sum of a local and a length, as an i64.
func (a *assembler) reach(local, n uint32) {
	a.get(local)
	a.op(opI64Extend)
	a.get(n)
	a.op(opI64Extend, opI64Add)
}

// memoryEnd leaves the size of the memory in bytes.
func (a *assembler) memoryEnd() {
	a.op(opMemorySize, 0, opI64Extend)
	a.i64(16)
	a.op(opI64Shl)
}

// Every move of memory has three parameters: where to, where from (or what)
// and how many bytes, in locals 0, 1 and 2. Where it would reach over an end
// it is done in one: it traps and moves nothing.

// large opens a block that is left where the length is small.
func (a *assembler) large() {
	a.op(opBlock, blockEmpty)
	a.get(2)
	a.i32(piece)
	a.op(opI32LeU)
	a.brIf(0)
	a.reach(0, 2)
	a.memoryEnd()
	a.op(opI64GtU)
	a.brIf(0)
}

// pieces repeats one piece until the rest is small. With back the last piece
// of the rest is moved first, else the first, and the ends move along.
func (a *assembler) pieces(back, source bool, move func()) {
	a.op(opLoop, blockEmpty)
	if back {
		a.step(2, opI32Sub)
		a.get(0, 2)
		a.op(opI32Add)
		a.get(1, 2)
		a.op(opI32Add)
	} else {
		a.get(0, 1)
	}
	a.i32(piece)
	move()
	if !back {
		a.step(0, opI32Add)
		if source {
			a.step(1, opI32Add)
		}
		a.step(2, opI32Sub)
	}
	a.b = a.m.appendPay(a.b, piece>>bytesShift, 0)
	a.get(2)
	a.i32(piece)
	a.op(opI32GtU)
	a.brIf(0)
	a.op(opEnd)
}

// step moves a local by one piece.
func (a *assembler) step(local uint32, op byte) {
	a.get(local)
	a.i32(piece)
	a.op(op)
	a.set(local)
}

// rest pays for what is left and moves it.
func (a *assembler) rest(move func()) signature {
	a.op(opEnd)
	a.pay(2, bytesShift)
	a.get(0, 1, 2)
	move()
	return signature{params: []byte{typeI32, typeI32, typeI32}}
}

func (a *assembler) memoryCopy() signature {
	move := func() { a.do(opMemoryCopy, 0, 0) }
	a.large()
	a.reach(1, 2)
	a.memoryEnd()
	a.op(opI64GtU)
	a.brIf(0)
	a.get(1, 0)
	a.op(opI32LtU, opIf, blockEmpty)
	a.pieces(true, true, move)
	a.op(opElse)
	a.pieces(false, true, move)
	a.op(opEnd)
	return a.rest(move)
}

func (a *assembler) memoryFill() signature {
	move := func() { a.do(opMemoryFill, 0) }
	a.large()
	a.pieces(false, false, move)
	return a.rest(move)
}

func (a *assembler) memoryInit(segment uint32) signature {
	move := func() { a.do(opMemoryInit, segment, 0) }
	a.large()
	a.reach(1, 2)
	a.i64(int64(a.m.dataLens[segment]))
	a.op(opI64GtU)
	a.brIf(0)
	a.pieces(false, true, move)
	return a.rest(move)
}

func (a *assembler) memoryGrow() signature {
	a.b = appendU32(append(a.b, opGlobalGet), a.m.fuel())
	a.get(0)
	a.op(opI64Extend)
	a.i64(pageCost)
	a.op(opI64Mul)
	a.i64(weightHostCall)
	a.op(opI64Add)
	a.i64(depthBits)
	a.op(opI64Shl, opI64Sub)
	a.b = a.m.appendCheck(a.b)
	a.get(0)
	a.op(opMemoryGrow, 0)
	return signature{params: []byte{typeI32}, results: []byte{typeI32}}
}

// Tables are small: what is done to them is done at once.

func (a *assembler) tableMove(op uint16, x, y uint32) signature {
	a.pay(2, entriesShift)
	a.get(0, 1, 2)
	a.do(op, x, y)
	return signature{params: []byte{typeI32, typeI32, typeI32}}
}

func (a *assembler) tableFill(table uint32) signature {
	a.pay(2, entriesShift)
	a.get(0, 1, 2)
	a.do(opTableFill, table)
	return signature{params: []byte{typeI32, a.m.tables[table], typeI32}}
}

// tableGrow refuses what would be too large, as an engine does that has no
// memory left.
func (a *assembler) tableGrow(table uint32) signature {
	a.do(opTableSize, table)
	a.op(opI64Extend)
	a.get(1)
	a.op(opI64Extend, opI64Add)
	a.i64(MaxTable)
	a.op(opI64GtU, opIf, blockEmpty)
	a.i32(-1)
	a.op(opReturn, opEnd)
	a.b = a.m.appendPay(a.b, weightHostCall, 0)
	a.pay(1, entriesShift)
	a.get(0, 1)
	a.do(opTableGrow, table)
	return signature{params: []byte{a.m.tables[table], typeI32}, results: []byte{typeI32}}
}
