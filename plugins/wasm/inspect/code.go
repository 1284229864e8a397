package inspect

import "github.com/annex-gateway/annex/plugins/wasm/format"

// body reads one function: its locals, then its instructions, whose number
// and nesting decide how long the compiler will take.
func (p *parser) body(s *format.Reader) {
	p.bodies++
	f := s.Sub(s.CountTo("bytes of a function", p.limits.FunctionBytes))
	if s.Err != nil {
		return
	}
	p.declareLocals(f)
	p.instructions(f)
	f.End("a function")
	s.Err = f.Err
}

func (p *parser) declareLocals(f *format.Reader) {
	total := 0
	for n := f.CountTo("groups of locals", p.limits.Locals); n > 0 && f.Err == nil; n-- {
		many := f.U32()
		f.Byte()
		if uint64(many) > uint64(p.limits.Locals-total) {
			f.Fail("a function declares more than %d locals", p.limits.Locals)
			return
		}
		total += int(many)
	}
	if p.locals += total; p.locals > p.limits.TotalLocals {
		f.Fail("the functions declare more than %d locals in all", p.limits.TotalLocals)
	}
}

func (p *parser) instructions(f *format.Reader) {
	depth, deepest, blocks, loops := 1, 1, 0, 0
	for f.Err == nil && depth > 0 {
		op := f.Byte()
		switch format.ShapeOf(op) {
		case format.Block:
			f.Skip(5)
			depth++
			blocks++
			if op == 0x03 {
				loops++
			}
			deepest = max(deepest, depth)
		case format.End:
			depth--
		case format.Else:
		default:
			operands(f, op)
		}
		switch {
		case depth > p.limits.Nesting:
			f.Fail("blocks are nested deeper than %d", p.limits.Nesting)
		case blocks > p.limits.Blocks:
			f.Fail("a function has more than %d blocks", p.limits.Blocks)
		case loops > p.limits.Loops:
			f.Fail("a function has more than %d loops", p.limits.Loops)
		}
	}
	if p.work += int64(deepest)*int64(deepest) + int64(loops)*int64(loops); p.work > p.limits.Work {
		f.Fail("the functions together have too many nested blocks and loops to be compiled in time")
	}
}

// operands passes what follows an opcode that opens and closes no block.
func operands(f *format.Reader, op byte) {
	if !f.Operands(format.ShapeOf(op)) {
		f.Fail("instruction 0x%x is not known, or belongs to a feature that is not run", op)
	}
}
