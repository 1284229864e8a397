package inspect

// shapes tells for every opcode what follows it:
//
//	.  nothing             b  a block type, and a block opens
//	e  else                n  the end of a block
//	1  one index           2  two indices
//	t  a branch table      s  a list of value types
//	m  a memory operand    i  a number of 32 bits
//	l  a number of 64 bits f  four bytes
//	d  eight bytes         z  more, behind prefix 0xfc
//	v  more, behind 0xfd   -  no instruction that is run
const shapes = "" +
	"..bbbe-----n11t." + // 00 unreachable … return
	"1212------..s---" + // 10 call, call_indirect, their tail forms, drop, select
	"1111111-mmmmmmmm" + // 20 variables, tables, loads
	"mmmmmmmmmmmmmmm1" + // 30 loads and stores, memory.size
	"1ilfd..........." + // 40 memory.grow, constants, comparisons
	"................" + // 50
	"................" + // 60
	"................" + // 70
	"................" + // 80
	"................" + // 90
	"................" + // a0
	"................" + // b0
	".....-----------" + // c0 sign extension
	"i.1-------------" + // d0 references
	"----------------" + // e0
	"------------zv--" //   f0

// miscShapes is the same behind prefix 0xfc: saturating truncation, bulk
// memory and tables.
const miscShapes = "........2121212111"

// vectorShape is the same behind prefix 0xfd; x stands for a memory operand
// and a lane, c for one lane, k for sixteen bytes.
func vectorShape(op uint32) byte {
	switch {
	case op <= 11, op == 92, op == 93:
		return 'm'
	case op == 12, op == 13:
		return 'k'
	case op >= 21 && op <= 34:
		return 'c'
	case op >= 84 && op <= 91:
		return 'x'
	case op <= 255:
		return '.'
	}
	return '-'
}

// body reads one function: its locals, then its instructions, whose number
// and nesting decide how long the compiler will take.
func (p *parser) body(s *reader) {
	p.bodies++
	f := s.sub(s.count("bytes of a function", p.limits.FunctionBytes))
	if s.err != nil {
		return
	}
	p.declareLocals(f)
	p.instructions(f)
	f.end("a function")
	s.err = f.err
}

func (p *parser) declareLocals(f *reader) {
	total := 0
	for n := f.count("groups of locals", p.limits.Locals); n > 0 && f.err == nil; n-- {
		many := f.u32()
		f.byte()
		if uint64(many) > uint64(p.limits.Locals-total) {
			f.fail("a function declares more than %d locals", p.limits.Locals)
			return
		}
		total += int(many)
	}
	if p.locals += total; p.locals > p.limits.TotalLocals {
		f.fail("the functions declare more than %d locals in all", p.limits.TotalLocals)
	}
}

func (p *parser) instructions(f *reader) {
	depth, deepest, blocks, loops := 1, 1, 0, 0
	for f.err == nil && depth > 0 {
		op := f.byte()
		switch shapes[op] {
		case 'b':
			f.skipLEB(5)
			depth++
			blocks++
			if op == 0x03 {
				loops++
			}
			deepest = max(deepest, depth)
		case 'n':
			depth--
		case 'e':
		default:
			operands(f, op)
		}
		switch {
		case depth > p.limits.Nesting:
			f.fail("blocks are nested deeper than %d", p.limits.Nesting)
		case blocks > p.limits.Blocks:
			f.fail("a function has more than %d blocks", p.limits.Blocks)
		case loops > p.limits.Loops:
			f.fail("a function has more than %d loops", p.limits.Loops)
		}
	}
	if p.work += int64(deepest)*int64(deepest) + int64(loops)*int64(loops); p.work > p.limits.Work {
		f.fail("the functions together have too many nested blocks and loops to be compiled in time")
	}
}

// operands passes what follows an opcode that opens and closes no block.
func operands(f *reader, op byte) {
	switch shape := shapes[op]; shape {
	case 'z':
		sub := f.u32()
		if sub >= uint32(len(miscShapes)) {
			f.fail("instruction 0xfc %d is not known", sub)
			return
		}
		plain(f, miscShapes[sub])
	case 'v':
		vector(f, f.u32())
	case '-':
		f.fail("instruction 0x%x is not known, or belongs to a feature that is not run", op)
	default:
		plain(f, shape)
	}
}

func plain(f *reader, shape byte) {
	switch shape {
	case '1':
		f.u32()
	case '2':
		f.u32()
		f.u32()
	case 't':
		for n := f.count("branches of a table", f.left()); n >= 0 && f.err == nil; n-- {
			f.u32()
		}
	case 's':
		f.bytes(f.count("types of a select", 1_000))
	case 'm':
		memoryOperand(f)
	case 'i':
		f.skipLEB(5)
	case 'l':
		f.skipLEB(10)
	case 'f':
		f.bytes(4)
	case 'd':
		f.bytes(8)
	}
}

func vector(f *reader, sub uint32) {
	switch vectorShape(sub) {
	case 'm':
		memoryOperand(f)
	case 'x':
		memoryOperand(f)
		f.byte()
	case 'c':
		f.byte()
	case 'k':
		f.bytes(16)
	case '-':
		f.fail("instruction 0xfd %d is not known, or belongs to a feature that is not run", sub)
	}
}

func memoryOperand(f *reader) {
	if align := f.u32(); align > 31 {
		f.fail("a memory operand of form %d (a second memory) is not run", align)
	}
	f.u32()
}
