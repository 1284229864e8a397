package meter

import "github.com/annex-gateway/annex/plugins/wasm/format"

// region is the code of a function that one payment is for: all of it but the
// loops inside, or all of a loop but the loops inside of that.
type region struct {
	cost   int64
	around int  // the region that it stands in
	again  bool // something goes back to the loop's header
	calls  bool // has a call, or one of its loops has
}

// edit is a place of a function that changes.
type edit struct {
	at, end uint32
	what    change
	arg     uint32
}

// change is what becomes of the bytes of an edit.
type change uint8

const (
	payForLoop  change = iota // behind a loop's header, for region arg
	renumber                  // the number of function arg
	callsHelper               // an instruction, for a call of helper arg
	goesBack                  // a return out of arg blocks; in a function that counts its depth a branch
	tailCall                  // the opcode of a tail call; with arg 1 it is none for the engine
	tailCalled                // behind a tail call that is none for the engine, in arg blocks
	maxLocals   = 50_000
)

// site is a call of a function of the module.
type site struct {
	region int
	callee uint32
	tail   bool
}

// function is one function body, read.
type function struct {
	code    []byte
	begin   uint32 // of its instructions
	groups  []byte // of locals, their declaration
	ngroups uint32
	locals  uint32 // parameters included
	regions []region
	edits   []edit
	sites   []site
	results []byte
	bounded bool // no loop, and nothing that leaves the module or runs by length
	reaches bool // has a call through a table
	deep    bool // counts how deep its calls are
	first   int  // the loop whose header every call comes by before anything else, 0 for none
	paid    int64
	state   paidState
}

// frame is an open block.
type frame struct {
	isLoop  bool
	isIf    bool
	region  int // of a loop its own, else that around it
	arity   int // values that a branch to it takes along
	results int
}

// scanner reads one function body.
type scanner struct {
	m      *module
	r      *format.Reader
	f      *function
	sig    signature
	locals int // parameters included
	frames []frame
	region int
	plain  bool // so far nothing branches, loops or leaves
}

func (m *module) readCode(s *format.Reader) []byte {
	n := s.Count("function bodies")
	if own := len(m.funcs) - m.imported; n != own && s.Err == nil {
		s.Fail("%d functions are declared and %d have a body", own, n)
	}
	bodies := make([]function, 0, n)
	size := 0
	for i := 0; i < n && s.Err == nil; i++ {
		r := s.Sub(s.Count("bytes of a function"))
		bodies = append(bodies, m.readBody(r, m.types[m.funcs[m.imported+i]]))
		s.Err = r.Err
		size += len(r.B)
	}
	if s.Err != nil {
		return nil
	}
	m.settle(bodies)
	out := make([]byte, 0, size+size/2)
	var one []byte
	for i := range bodies {
		one = m.appendBody(one[:0], &bodies[i])
		out = appendSized(out, one)
	}
	return out
}

func (m *module) readBody(r *format.Reader, sig signature) function {
	f := function{code: r.B, regions: []region{{}}, results: sig.results, bounded: true}
	s := scanner{m: m, r: r, f: &f, sig: sig, plain: true}
	s.readLocals()
	s.frames = []frame{{arity: len(sig.results), results: len(sig.results)}}
	s.charge(3 + int64(s.locals)/8 + max(0, int64(s.locals)-100)/2)
	for r.Err == nil && len(s.frames) > 0 {
		s.instruction()
	}
	r.End("a function")
	return f
}

func (s *scanner) readLocals() {
	n := s.r.Count("groups of locals")
	s.f.ngroups = uint32(n)
	start := s.r.Pos
	total := uint64(len(s.sig.params))
	for ; n > 0 && s.r.Err == nil; n-- {
		total += uint64(s.r.U32())
		s.r.Byte()
		if total > maxLocals {
			s.r.Fail("a function has more than %d locals", maxLocals)
		}
	}
	s.locals = int(total)
	s.f.groups, s.f.locals = s.r.B[start:s.r.Pos], uint32(total)
	s.f.begin = uint32(s.r.Pos)
}

func (s *scanner) charge(n int64) { s.f.regions[s.region].cost += n }

// edit notes that what was read from at on changes.
func (s *scanner) edit(at int, what change, arg uint32) {
	s.f.edits = append(s.f.edits, edit{at: uint32(at), end: uint32(s.r.Pos), what: what, arg: arg})
}

func (s *scanner) instruction() {
	start := s.r.Pos
	op := s.r.Byte()
	s.charge(weight(op))
	switch shape := format.ShapeOf(op); shape {
	case format.Block:
		s.open(op)
	case format.Else:
		if !s.frames[len(s.frames)-1].isIf {
			s.r.Fail("an else without an if")
		}
		s.frames[len(s.frames)-1].isIf = false
	case format.End:
		s.close()
	case format.Branch, format.Table, format.Leave:
		s.leave(op, shape, start)
	case format.Call:
		s.call(op, start)
	case format.CallBy:
		s.callIndirect(op, start)
	case format.Misc:
		s.misc(start)
	default:
		s.operand(op, shape, start)
	}
}

// blockType gives how many values a block takes and leaves.
func (s *scanner) blockType() (params, results int) {
	t := s.r.S33()
	switch {
	case t >= int64(len(s.m.types)):
		s.r.Fail("type %d of a block is not declared", t)
	case t >= 0:
		return len(s.m.types[t].params), len(s.m.types[t].results)
	case t != blockEmpty-0x80:
		return 0, 1
	}
	return 0, 0
}

func (s *scanner) open(op byte) {
	params, results := s.blockType()
	f := frame{isLoop: op == opLoop, isIf: op == opIf, region: s.region, arity: results, results: results}
	if f.isLoop {
		s.charge(int64(params))
		f.arity, f.region = params, len(s.f.regions)
		s.f.regions = append(s.f.regions, region{around: s.region})
		s.region = f.region
		if s.plain {
			s.f.first = f.region
		}
		s.charge(1)
		s.edit(s.r.Pos, payForLoop, uint32(f.region))
	}
	s.plain = s.plain && op == opBlock
	s.frames = append(s.frames, f)
}

func (s *scanner) close() {
	f := s.frames[len(s.frames)-1]
	s.frames = s.frames[:len(s.frames)-1]
	s.charge(int64(f.results))
	if f.isLoop {
		s.region = s.f.regions[f.region].around
	}
}

// label notes that control may go to a label, and gives how many values go
// along.
func (s *scanner) label(depth uint32) int {
	if uint64(depth) >= uint64(len(s.frames)) {
		s.r.Fail("a branch goes to label %d and there are %d", depth, len(s.frames))
		return 0
	}
	f := s.frames[len(s.frames)-1-int(depth)]
	if f.isLoop {
		s.f.regions[f.region].again = true
		s.f.bounded = false
	}
	return f.arity
}

func (s *scanner) leave(op byte, shape format.Shape, start int) {
	s.plain = false
	arity := 0
	switch shape {
	case format.Branch:
		arity = s.label(s.r.U32())
	case format.Table:
		for n := s.r.Count("branches of a table"); n >= 0 && s.r.Err == nil; n-- {
			arity = max(arity, s.label(s.r.U32()))
		}
	case format.Leave:
		if op == opReturn {
			arity = len(s.sig.results)
			s.edit(start, goesBack, uint32(len(s.frames)-1))
		}
	}
	s.charge(int64(arity))
}

func (s *scanner) call(op byte, start int) {
	at := s.r.Pos
	f := s.m.function(s.r)
	if s.r.Err != nil {
		return
	}
	s.calls()
	sig := s.m.types[s.m.funcs[f]]
	tail := op == opTailCall
	if tail {
		s.f.edits = append(s.f.edits, edit{at: uint32(start), end: uint32(at), what: tailCall, arg: stacked(sig)})
	}
	s.edit(at, renumber, f)
	if tail && stacked(sig) > 0 {
		s.edit(s.r.Pos, tailCalled, uint32(len(s.frames)-1))
	}
	s.m.tails = s.m.tails || tail
	s.charge(int64(len(sig.params) + len(sig.results)))
	if int(f) < s.m.imported {
		s.charge(weightHostCall)
		s.f.bounded = false
		return
	}
	s.f.sites = append(s.f.sites, site{region: s.region, callee: f - uint32(s.m.imported), tail: tail})
}

// calls notes that the code that is read leaves the function.
func (s *scanner) calls() {
	s.plain = false
	for i := s.region; i > 0 && !s.f.regions[i].calls; i = s.f.regions[i].around {
		s.f.regions[i].calls = true
	}
}

func (s *scanner) callIndirect(op byte, start int) {
	at := s.r.Pos
	t := s.m.typeIndex(s.r)
	s.r.U32()
	if s.r.Err != nil {
		return
	}
	s.calls()
	s.f.bounded = false
	sig := s.m.types[t]
	if op == opTailCallIndirect {
		s.m.tails = true
		s.f.edits = append(s.f.edits, edit{at: uint32(start), end: uint32(at), what: tailCall, arg: stacked(sig)})
		if stacked(sig) > 0 {
			s.edit(s.r.Pos, tailCalled, uint32(len(s.frames)-1))
		}
	}
	s.f.reaches = true
	// Whatever is behind the table may be a function that does not pay.
	s.charge(unpaidMost + int64(len(sig.params)+len(sig.results)))
}

func (s *scanner) misc(start int) {
	if sub, index := s.r.MiscIndices(); s.r.Err == nil {
		s.bulk(start, uint16(baseMisc+sub), index)
	}
}

// bulk lets a helper do an instruction that runs by length.
func (s *scanner) bulk(start int, op uint16, index [2]uint32) {
	h, ok := s.m.helpers.get(s.m, s.r, helperKey{op: op, a: index[0], b: index[1]})
	if !ok {
		return
	}
	s.calls()
	s.f.bounded = false
	s.charge(10)
	s.edit(start, callsHelper, uint32(h))
}

// operand reads what follows an instruction that control just passes.
func (s *scanner) operand(op byte, shape format.Shape, start int) {
	switch shape {
	case format.Local:
		within(s.r, "local", s.locals)
	case format.Global:
		s.m.global(s.r)
	case format.Func:
		at := s.r.Pos
		s.edit(at, renumber, s.m.function(s.r))
		s.f.edits[len(s.f.edits)-1].end = uint32(s.r.Pos)
	case format.Memory:
		if n := s.r.Byte(); n != 0 {
			s.r.Fail("memory %d is used and there can be one", n)
		}
		if op == opMemoryGrow {
			s.bulk(start, opMemoryGrow, [2]uint32{})
		}
	default:
		if !s.r.Operands(shape) {
			s.r.Fail("instruction 0x%x is not known, or belongs to a feature that is not run", op)
		}
	}
}
