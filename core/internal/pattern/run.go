package pattern

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// maxSteps is the time limit of one match, counted in steps rather than in
// seconds, so that the same call always has the same outcome: some
// milliseconds at worst.
const maxSteps = 200_000

// errSteps says that a match took more than maxSteps.
var errSteps = errors.New("the match takes too many steps")

// runner is one run of a program over s.
type runner struct {
	*program
	s     string
	slots []int
	stack []choice
	steps int
	seen  []uint64 // which splits were tried at which positions; nil for no memory
}

// choice is an untried alternative, or, with at below 0, what a slot held.
type choice struct{ at, pos int }

// run matches all of s. It gives the slots, or nil when s does not match.
func (p *program) run(s string) ([]int, error) {
	r := &runner{program: p, s: s, steps: maxSteps, stack: make([]choice, 0, 64)}
	r.slots = make([]int, p.slots)
	for i := range r.slots {
		r.slots[i] = -1
	}
	if p.memo {
		r.seen = make([]uint64, (p.splits*(len(s)+1)+63)/64)
	}
	_, ok, err := r.from(0, 0, -1)
	if err != nil || !ok {
		return nil, err
	}
	return r.slots, nil
}

// from runs the program at pc from position pos. With until not negative, it
// must end there. When it ends, its untried alternatives are forgotten.
func (r *runner) from(pc, pos, until int) (end int, ok bool, err error) {
	base, seen, part := len(r.stack), r.seen, pc > 0
	if part {
		r.seen = nil // what is known holds for the whole, not for a part
	}
	for {
		pos, ok, err = r.advance(pc, pos)
		if err != nil {
			return 0, false, err
		}
		if ok && (until < 0 || pos == until) {
			break
		}
		if pc, pos, ok = r.back(base); !ok {
			break
		}
	}
	if part {
		r.seen = seen
		r.unwind(base)
	}
	return pos, ok, nil
}

// back takes the latest untried alternative above base.
func (r *runner) back(base int) (pc, pos int, ok bool) {
	for len(r.stack) > base {
		c := r.stack[len(r.stack)-1]
		r.stack = r.stack[:len(r.stack)-1]
		if c.at >= 0 {
			return c.at, c.pos, true
		}
		r.slots[-c.at-1] = c.pos
	}
	return 0, 0, false
}

// unwind forgets the alternatives above base and what was noted since.
func (r *runner) unwind(base int) {
	for {
		if _, _, ok := r.back(base); !ok {
			return
		}
	}
}

func (r *runner) note(slot, value int) {
	r.stack = append(r.stack, choice{-slot - 1, r.slots[slot]})
	r.slots[slot] = value
}

// advance runs until the program is at its end (ok) or fails.
func (r *runner) advance(pc, pos int) (end int, ok bool, err error) {
	for {
		if r.steps--; r.steps < 0 {
			return 0, false, errSteps
		}
		i := &r.code[pc]
		pc++
		switch i.code {
		case doAccept:
			return pos, true, nil
		case doJump:
			pc = i.x
		case doSplit:
			if !r.first(i.least, pos) {
				return 0, false, nil
			}
			r.stack = append(r.stack, choice{i.y, pos})
			pc = i.x
		case doSave:
			r.note(i.x, pos)
		case doClose:
			r.note(i.x, r.slots[i.y])
			r.note(i.x+1, pos)
		case doProgress:
			if r.slots[i.x] == pos {
				pc = i.y
			}
		default:
			if pc, pos, ok, err = r.consume(i, pc, pos); err != nil || !ok {
				return 0, false, err
			}
		}
	}
}

// first reports whether the split is tried at pos for the first time.
func (r *runner) first(split, pos int) bool {
	if r.seen == nil {
		return true
	}
	bit := split*(len(r.s)+1) + pos
	if r.seen[bit>>6]&(1<<(bit&63)) != 0 {
		return false
	}
	r.seen[bit>>6] |= 1 << (bit & 63)
	return true
}

// consume runs the instructions that look at s.
func (r *runner) consume(i *instruction, pc, pos int) (next, end int, ok bool, err error) {
	switch i.code {
	case doSet:
		c, n := utf8.DecodeRuneInString(r.s[pos:])
		return pc, pos + n, n > 0 && i.set.has(c), nil
	case doTest:
		return pc, pos, r.test(i.test, pos), nil
	case doLook:
		ok, err := r.look(i, pc, pos)
		return i.y, pos, ok != i.negative, err
	case doAtomic:
		end, ok, err := r.from(pc, pos, -1)
		return i.y, end, ok, err
	default: // doReference
		if i.x < 0 || r.slots[i.x] < 0 {
			return pc, pos, false, nil
		}
		text := r.s[r.slots[i.x]:r.slots[i.x+1]]
		r.steps -= len(text) / 16
		return pc, pos + len(text), strings.HasPrefix(r.s[pos:], text), nil
	}
}

func (r *runner) look(i *instruction, pc, pos int) (bool, error) {
	if i.test == opAhead {
		_, ok, err := r.from(pc, pos, -1)
		return ok, err
	}
	start := pos
	for n := 0; n <= i.most; n++ {
		if n >= i.least {
			if _, ok, err := r.from(pc, start, pos); ok || err != nil {
				return ok, err
			}
		}
		r.steps--
		_, size := utf8.DecodeLastRuneInString(r.s[:start])
		if size == 0 {
			break
		}
		start -= size
	}
	return false, nil
}

func (r *runner) test(test op, pos int) bool {
	rest := r.s[pos:]
	switch test {
	case opBegin:
		return pos == 0
	case opEnd:
		return rest == ""
	case opDollar:
		switch rest {
		case "", "\r\n", "\r", "\u0085", "\u2028", "\u2029":
			return true
		}
		return rest == "\n" && !strings.HasSuffix(r.s[:pos], "\r")
	default:
		before := pos > 0 && isWord(r.s[pos-1])
		after := rest != "" && isWord(rest[0])
		return (before != after) == (test == opWord)
	}
}

func isWord(c byte) bool { return c == '_' || isAlnum(rune(c)) }
