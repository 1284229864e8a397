package pattern

// code says what an instruction does.
type code uint8

const (
	doSet       code = iota // consume one character of set
	doSplit                 // go on at x; when that fails, at y
	doJump                  // go on at x
	doSave                  // note the position in slot x
	doClose                 // note a group in slots x and x+1: from what slot y holds to here
	doProgress              // go on at y unless something was consumed since slot x was noted
	doTest                  // zero-width test of kind test
	doLook                  // run the program at pc+1 here or behind here; then go on at y
	doAtomic                // run the program at pc+1, and go on at y where it ended
	doReference             // consume what is noted in slots x and x+1
	doAccept                // end of a program
)

type instruction struct {
	code     code
	test     op // of doTest, and opAhead or opBehind of doLook
	negative bool
	x, y     int
	set      set
	least    int // of a look-behind: where it may start, in characters; of a doSplit: its number
	most     int
}

// program is a tree compiled for the backtracking engine, which follows
// java.util.regex in the order of its attempts.
type program struct {
	code   []instruction
	slots  int
	index  map[int]int // group of the pattern: slot of its start
	tail   int         // slot of the start of the final .*, or -1
	splits int         // how many doSplit there are; each knows its number in least
	memo   bool        // a position and an instruction decide what follows
}

func compileProgram(tree *node, tail bool) *program {
	p := &program{index: map[int]int{}, tail: -1, memo: true}
	if tail {
		last := len(tree.subs) - 1
		for _, s := range tree.subs[:last] {
			p.node(s)
		}
		p.tail = p.slot()
		p.emit(instruction{code: doSave, x: p.tail})
		p.node(tree.subs[last])
	} else {
		p.node(tree)
	}
	p.emit(instruction{code: doTest, test: opEnd})
	p.emit(instruction{code: doAccept})
	return p
}

func (p *program) emit(i instruction) int {
	if i.code == doSplit {
		i.least = p.splits
		p.splits++
	}
	p.code = append(p.code, i)
	return len(p.code) - 1
}

func (p *program) slot() int {
	p.slots++
	return p.slots - 1
}

func (p *program) node(n *node) {
	switch n.op {
	case opEmpty:
	case opSet:
		p.emit(instruction{code: doSet, set: n.set})
	case opCat:
		for _, s := range n.subs {
			p.node(s)
		}
	case opAlt:
		p.alternatives(n)
	case opRepeat:
		p.repeat(n)
	case opGroup:
		p.group(n)
	case opAhead, opBehind:
		least, most := n.subs[0].width()
		at := p.emit(instruction{code: doLook, test: n.op, negative: n.negative, least: least, most: most})
		p.apart(n.subs[0], at)
	case opAtomic:
		p.apart(n.subs[0], p.emit(instruction{code: doAtomic}))
	case opReference:
		p.memo = false
		start, ok := p.index[n.index]
		if !ok {
			start = -1 // a group that is repeated zero times: never set
		}
		p.emit(instruction{code: doReference, x: start})
	default:
		p.emit(instruction{code: doTest, test: n.op})
	}
}

// apart compiles n as a program of its own behind the instruction at.
func (p *program) apart(n *node, at int) {
	p.node(n)
	p.emit(instruction{code: doAccept})
	p.code[at].y = len(p.code)
}

func (p *program) alternatives(n *node) {
	var ends []int
	for i, s := range n.subs {
		if i == len(n.subs)-1 {
			p.node(s)
			break
		}
		split := p.emit(instruction{code: doSplit})
		p.code[split].x = len(p.code)
		p.node(s)
		ends = append(ends, p.emit(instruction{code: doJump}))
		p.code[split].y = len(p.code)
	}
	for _, e := range ends {
		p.code[e].x = len(p.code)
	}
}

func (p *program) group(n *node) {
	if !n.used {
		p.node(n.subs[0])
		return
	}
	start, ok := p.index[n.index]
	if !ok {
		start = p.slots
		p.slots += 3 // start, end, and where an unfinished visit began
		p.index[n.index] = start
	}
	p.emit(instruction{code: doSave, x: start + 2})
	p.node(n.subs[0])
	p.emit(instruction{code: doClose, x: start, y: start + 2})
}

// repeat writes out the counted part of a repetition. In Java each round of a
// possessive repetition is closed for backtracking, and so is the whole.
func (p *program) repeat(n *node) {
	if n.mode == possessive {
		round := &node{op: opAtomic, subs: n.subs}
		if n.subs[0].op == opSet {
			round = n.subs[0]
		}
		at := p.emit(instruction{code: doAtomic})
		p.rounds(round, n.min, n.max, greedy)
		p.emit(instruction{code: doAccept})
		p.code[at].y = len(p.code)
		return
	}
	p.rounds(n.subs[0], n.min, n.max, n.mode)
}

func (p *program) rounds(body *node, least, most int, m mode) {
	for range least {
		p.node(body)
	}
	if most < 0 {
		p.loop(body, m)
		return
	}
	var splits []int
	for range most - least {
		splits = append(splits, p.split(m))
		p.node(body)
	}
	for _, s := range splits {
		p.leaveAt(s, m, len(p.code))
	}
}

func (p *program) loop(body *node, m mode) {
	head := p.split(m)
	if !body.nullable() {
		p.node(body)
		p.emit(instruction{code: doJump, x: head})
		p.leaveAt(head, m, len(p.code))
		return
	}
	mark := p.slot()
	p.emit(instruction{code: doSave, x: mark})
	p.node(body)
	progress := p.emit(instruction{code: doProgress, x: mark})
	p.emit(instruction{code: doJump, x: head})
	p.code[progress].y = len(p.code)
	p.leaveAt(head, m, len(p.code))
}

// split starts a round that need not be made.
func (p *program) split(m mode) int {
	at := p.emit(instruction{code: doSplit})
	if m == lazy {
		p.code[at].y = at + 1
	} else {
		p.code[at].x = at + 1
	}
	return at
}

func (p *program) leaveAt(split int, m mode, exit int) {
	if m == lazy {
		p.code[split].x = exit
	} else {
		p.code[split].y = exit
	}
}
