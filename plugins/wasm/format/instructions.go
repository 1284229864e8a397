package format

// Shape is what follows an opcode.
type Shape byte

// The shapes. Behind the prefixes 0xfc and 0xfd stands a number that says
// which instruction it is.
const (
	Plain   Shape = '.' // nothing
	Block   Shape = 'b' // a block type, and a block opens
	Else    Shape = 'e' // nothing; the other branch of a block begins
	End     Shape = 'n' // nothing; a block ends
	Branch  Shape = 'j' // a label
	Table   Shape = 't' // a table of labels
	Leave   Shape = 'r' // nothing; control goes elsewhere
	Call    Shape = 'c' // a function
	CallBy  Shape = 'k' // a type and a table
	Local   Shape = 'l' // a local
	Global  Shape = 'g' // a global
	OfTable Shape = 'y' // a table of functions or of references
	Memory  Shape = 'z' // a memory
	Address Shape = 'm' // a memory operand
	Types   Shape = 's' // a list of value types
	Int32   Shape = 'i' // a number of 32 bits
	Int64   Shape = 'd' // a number of 64 bits
	Four    Shape = '4' // four bytes
	Eight   Shape = '8' // eight bytes
	Ref     Shape = 'h' // a reference type
	Func    Shape = 'f' // a function that is referred to
	Misc    Shape = 'x' // more, behind 0xfc
	Vector  Shape = 'v' // more, behind 0xfd
	Unknown Shape = '-' // no instruction that is understood
)

// shapes are those of all opcodes, in order.
const shapes = "" +
	"r.bbbe-----njjtr" + // 00 unreachable … return
	"ckck------..s---" + // 10 calls, tail calls, drop, select
	"lllggyy-mmmmmmmm" + // 20 variables, tables, loads
	"mmmmmmmmmmmmmmmz" + // 30 loads, stores, memory.size
	"zid48..........." + // 40 memory.grow, constants, comparisons
	"................" + // 50
	"................" + // 60
	"................" + // 70
	"................" + // 80
	"................" + // 90
	"................" + // a0
	"................" + // b0
	".....-----------" + // c0 sign extension
	"h.f-------------" + // d0 references
	"----------------" + // e0
	"------------xv--" //   f0

// ShapeOf tells what follows an opcode.
func ShapeOf(op byte) Shape { return Shape(shapes[op]) }

// miscShapes are two shapes for each instruction behind 0xfc: saturating
// truncation, bulk memory and tables. A q stands for an index that only the
// engine looks at.
const miscShapes = ". . . . . . . . qzq zzz qyq yyy y y "

// MiscIndices reads what stands behind the prefix 0xfc: which instruction it
// is, and its indices.
func (r *Reader) MiscIndices() (sub uint32, index [2]uint32) {
	sub = r.U32()
	if r.Err == nil && sub >= uint32(len(miscShapes)/2) {
		r.Fail("instruction 0xfc %d is not known", sub)
	}
	if r.Err != nil {
		return 0, index
	}
	for i, shape := range []byte(miscShapes[2*sub : 2*sub+2]) {
		if shape != ' ' && shape != '.' {
			index[i] = r.U32()
		}
		if shape == byte(Memory) && index[i] != 0 {
			r.Fail("memory %d is used and there can be one", index[i])
		}
	}
	return sub, index
}

// VectorOperands passes what stands behind the prefix 0xfd.
func (r *Reader) VectorOperands() {
	switch sub := r.U32(); {
	case sub <= 11, sub == 92, sub == 93: // loads and stores
		r.MemoryOperand()
	case sub == 12, sub == 13: // a constant, a shuffle
		r.Bytes(16)
	case sub >= 21 && sub <= 34: // one lane
		r.Byte()
	case sub >= 84 && sub <= 91: // loads and stores of one lane
		r.MemoryOperand()
		r.Byte()
	case sub > 255:
		r.Fail("instruction 0xfd %d is not known, or belongs to a feature that is not run", sub)
	}
}

// MemoryOperand passes an alignment and an offset.
func (r *Reader) MemoryOperand() {
	if align := r.U32(); align > 31 {
		r.Fail("a memory operand of form %d (a second memory) is not run", align)
	}
	r.U32()
}

// Operands passes what follows an opcode of a shape that control just passes,
// where the indices are for others to look at. It reports whether the shape is
// one.
func (r *Reader) Operands(s Shape) bool {
	switch s {
	case Plain, Leave:
	case Branch, Call, Local, Global, OfTable, Memory, Func:
		r.U32()
	case CallBy:
		r.U32()
		r.U32()
	case Table:
		for n := r.Count("branches of a table"); n >= 0 && r.Err == nil; n-- {
			r.U32()
		}
	case Types:
		r.Bytes(r.Count("types of a select"))
	case Misc:
		r.MiscIndices()
	default:
		return r.constants(s)
	}
	return true
}

// constants passes what follows instructions that take nothing of the module.
func (r *Reader) constants(s Shape) bool {
	switch s {
	case Address:
		r.MemoryOperand()
	case Int32:
		r.Skip(5)
	case Int64:
		r.Skip(10)
	case Four:
		r.Bytes(4)
	case Eight:
		r.Bytes(8)
	case Ref:
		r.Byte()
	case Vector:
		r.VectorOperands()
	default:
		return false
	}
	return true
}
