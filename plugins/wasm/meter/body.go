package meter

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
	r      *reader
	f      *function
	sig    signature
	locals int // parameters included
	frames []frame
	region int
	plain  bool // so far nothing branches, loops or leaves
}

func (m *module) readCode(s *reader) []byte {
	n := s.count("function bodies")
	if own := len(m.funcs) - m.imported; n != own && s.err == nil {
		s.fail("%d functions are declared and %d have a body", own, n)
	}
	bodies := make([]function, 0, n)
	size := 0
	for i := 0; i < n && s.err == nil; i++ {
		r := s.sub(s.count("bytes of a function"))
		bodies = append(bodies, m.readBody(r, m.types[m.funcs[m.imported+i]]))
		s.err = r.err
		size += len(r.b)
	}
	if s.err != nil {
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

func (m *module) readBody(r *reader, sig signature) function {
	f := function{code: r.b, regions: []region{{}}, results: sig.results, bounded: true}
	s := scanner{m: m, r: r, f: &f, sig: sig, plain: true}
	s.readLocals()
	s.frames = []frame{{arity: len(sig.results), results: len(sig.results)}}
	s.charge(3 + int64(s.locals)/8 + max(0, int64(s.locals)-100)/2)
	for r.err == nil && len(s.frames) > 0 {
		s.instruction()
	}
	r.end("a function")
	return f
}

func (s *scanner) readLocals() {
	n := s.r.count("groups of locals")
	s.f.ngroups = uint32(n)
	start := s.r.pos
	total := uint64(len(s.sig.params))
	for ; n > 0 && s.r.err == nil; n-- {
		total += uint64(s.r.u32())
		s.r.byte()
		if total > maxLocals {
			s.r.fail("a function has more than %d locals", maxLocals)
		}
	}
	s.locals = int(total)
	s.f.groups, s.f.locals = s.r.b[start:s.r.pos], uint32(total)
	s.f.begin = uint32(s.r.pos)
}

func (s *scanner) charge(n int64) { s.f.regions[s.region].cost += n }

// edit notes that what was read from at on changes.
func (s *scanner) edit(at int, what change, arg uint32) {
	s.f.edits = append(s.f.edits, edit{at: uint32(at), end: uint32(s.r.pos), what: what, arg: arg})
}

func (s *scanner) instruction() {
	start := s.r.pos
	op := s.r.byte()
	s.charge(weight(op))
	switch shape := shapes[op]; shape {
	case 'b':
		s.open(op)
	case 'e':
		if !s.frames[len(s.frames)-1].isIf {
			s.r.fail("an else without an if")
		}
		s.frames[len(s.frames)-1].isIf = false
	case 'n':
		s.close()
	case 'j', 't', 'r':
		s.leave(op, shape, start)
	case 'c':
		s.call(op, start)
	case 'k':
		s.callIndirect(op, start)
	case 'x':
		s.misc(start)
	case 'v':
		s.vector()
	case '-':
		s.r.fail("instruction 0x%x is not known, or belongs to a feature that is not run", op)
	default:
		s.operand(op, shape, start)
	}
}

// blockType gives how many values a block takes and leaves.
func (s *scanner) blockType() (params, results int) {
	t := s.r.s33()
	switch {
	case t >= int64(len(s.m.types)):
		s.r.fail("type %d of a block is not declared", t)
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
		s.edit(s.r.pos, payForLoop, uint32(f.region))
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
		s.r.fail("a branch goes to label %d and there are %d", depth, len(s.frames))
		return 0
	}
	f := s.frames[len(s.frames)-1-int(depth)]
	if f.isLoop {
		s.f.regions[f.region].again = true
		s.f.bounded = false
	}
	return f.arity
}

func (s *scanner) leave(op, shape byte, start int) {
	s.plain = false
	arity := 0
	switch shape {
	case 'j':
		arity = s.label(s.r.u32())
	case 't':
		for n := s.r.count("branches of a table"); n >= 0 && s.r.err == nil; n-- {
			arity = max(arity, s.label(s.r.u32()))
		}
	case 'r':
		if op == opReturn {
			arity = len(s.sig.results)
			s.edit(start, goesBack, uint32(len(s.frames)-1))
		}
	}
	s.charge(int64(arity))
}

func (s *scanner) call(op byte, start int) {
	at := s.r.pos
	f := s.m.function(s.r)
	if s.r.err != nil {
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
		s.edit(s.r.pos, tailCalled, uint32(len(s.frames)-1))
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
	at := s.r.pos
	t := s.m.typeIndex(s.r)
	s.r.u32()
	if s.r.err != nil {
		return
	}
	s.calls()
	s.f.bounded = false
	sig := s.m.types[t]
	if op == opTailCallIndirect {
		s.m.tails = true
		s.f.edits = append(s.f.edits, edit{at: uint32(start), end: uint32(at), what: tailCall, arg: stacked(sig)})
		if stacked(sig) > 0 {
			s.edit(s.r.pos, tailCalled, uint32(len(s.frames)-1))
		}
	}
	s.f.reaches = true
	// Whatever is behind the table may be a function that does not pay.
	s.charge(unpaidMost + int64(len(sig.params)+len(sig.results)))
}

func (s *scanner) misc(start int) {
	sub := s.r.u32()
	if s.r.err == nil && sub >= uint32(len(miscShapes)/2) {
		s.r.fail("instruction 0xfc %d is not known", sub)
	}
	if s.r.err != nil {
		return
	}
	var index [2]uint32
	for i, shape := range []byte(miscShapes[2*sub : 2*sub+2]) {
		if shape != ' ' && shape != '.' {
			index[i] = s.r.u32()
		}
		if shape == 'z' && index[i] != 0 {
			s.r.fail("memory %d is used and there can be one", index[i])
		}
	}
	s.bulk(start, uint16(baseMisc+sub), index)
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

func (s *scanner) vector() {
	sub := s.r.u32()
	switch vectorShape(sub) {
	case 'm':
		s.memoryOperand()
	case 'o':
		s.memoryOperand()
		s.r.byte()
	case 'a':
		s.r.byte()
	case 'w':
		s.r.bytes(16)
	case '-':
		s.r.fail("instruction 0xfd %d is not known, or belongs to a feature that is not run", sub)
	}
}

func (s *scanner) memoryOperand() {
	if align := s.r.u32(); align > 31 {
		s.r.fail("a memory operand of form %d (a second memory) is not run", align)
	}
	s.r.u32()
}

// operand reads what follows an instruction that control just passes.
func (s *scanner) operand(op, shape byte, start int) {
	switch shape {
	case 'l':
		within(s.r, "local", s.locals)
	case 'g':
		s.m.global(s.r)
	case 'f':
		at := s.r.pos
		s.edit(at, renumber, s.m.function(s.r))
		s.f.edits[len(s.f.edits)-1].end = uint32(s.r.pos)
	case 'y':
		s.r.u32()
	case 'z':
		if n := s.r.byte(); n != 0 {
			s.r.fail("memory %d is used and there can be one", n)
		}
		if op == opMemoryGrow {
			s.bulk(start, opMemoryGrow, [2]uint32{})
		}
	case 'm':
		s.memoryOperand()
	case 's':
		s.r.bytes(s.r.count("types of a select"))
	case 'i':
		s.r.skipLEB(5)
	case 'd':
		s.r.skipLEB(10)
	case '4':
		s.r.bytes(4)
	case '8':
		s.r.bytes(8)
	case 'h':
		s.r.byte()
	}
}
