package pattern

import (
	"slices"

	"github.com/annex-gateway/annex/core"
)

// check refuses trees that are too large, and those in which engines are
// known to disagree about what a group holds.
func check(tree *node) error {
	if !repeatsFit(tree, maxRepeat) {
		return core.Errorf(core.Invalid, "the pattern cannot be used: nested repetitions multiply to more than %d", maxRepeat)
	}
	if n := tree.size(); n > maxSize {
		return core.Errorf(core.Invalid, "the pattern cannot be used: it needs %d instructions, at most %d are accepted; shorten its repetitions {n,m}", n, maxSize)
	}
	var err error
	tree.walk(func(n *node) bool {
		err = checkGroups(n)
		return err == nil
	})
	return err
}

func checkGroups(n *node) error {
	var err *core.Error
	switch n.op {
	case opAhead, opBehind, opAtomic:
		switch {
		case n.subs[0].holds(isUsed):
			err = groupInside("a look-around or an atomic group")
		case n.op == opAtomic && n.subs[0].holds(loopsOnNothing):
			err = core.Errorf(core.Invalid, "the pattern cannot be used: an atomic group repeats what can match nothing")
		}
	case opRepeat:
		err = checkRepeat(n, n.subs[0])
	}
	if err == nil {
		return nil
	}
	return err
}

func checkRepeat(n, body *node) *core.Error {
	switch {
	case n.mode == possessive && (body.nullable() || body.holds(loopsOnNothing)):
		return core.Errorf(core.Invalid, "the pattern cannot be used: a possessive repetition of what can match nothing")
	case !body.holds(isUsed):
		return nil
	case n.mode == possessive:
		return groupInside("a possessive repetition")
	case loopsOnNothing(n):
		return groupInside("a repetition of what can match nothing")
	case !n.optional && body.oneShape() && slices.ContainsFunc(body.subs, func(s *node) bool { return s.holds(isUsed) }):
		// Java keeps what such a group held even when it takes the round back.
		return groupInside("a repeated group that has no variants; leave out what surrounds the name, or write the rounds out")
	}
	return nil
}

func groupInside(what string) *core.Error {
	return core.Errorf(core.Invalid, "the pattern cannot be used: it names or refers to a group inside %s", what)
}

func isUsed(n *node) bool { return n.used }

// loopsOnNothing reports whether n can go round and round at one place.
func loopsOnNothing(n *node) bool {
	return n.op == opRepeat && n.max != 1 && n.subs[0].nullable()
}

// oneShape reports whether n has no choice about how to match, whatever its
// look-arounds do: Java calls such a group deterministic and repeats it in a
// way of its own.
func (n *node) oneShape() bool {
	switch {
	case n.op == opAhead || n.op == opBehind:
		return true
	case n.op == opAlt || n.op == opRepeat && n.min != n.max:
		return false
	}
	for _, s := range n.subs {
		if !s.oneShape() {
			return false
		}
	}
	return true
}

// repeatsFit reports whether the counts of nested repetitions multiply to no
// more than limit, rounded as package regexp/syntax does it.
func repeatsFit(n *node, limit int) bool {
	if n.op == opRepeat && n.max != 0 {
		count := n.max
		if count < 0 {
			count = n.min
		}
		if count > limit {
			return false
		}
		if count > 0 {
			limit /= count
		}
	}
	for _, s := range n.subs {
		if !repeatsFit(s, limit) {
			return false
		}
	}
	return true
}

// size is an upper bound of the instructions that n compiles to, in either
// engine. It stops counting at a million.
func (n *node) size() int {
	sum := 0
	for _, s := range n.subs {
		sum = min(sum+s.size(), 1_000_000)
	}
	switch n.op {
	case opSet:
		return 1
	case opCat:
		return sum
	case opAlt:
		return sum + 2*len(n.subs) - 2
	case opRepeat:
		extra := 0
		if n.mode == possessive {
			sum, extra = sum+2, 2
		}
		if n.max < 0 {
			return min(sum*(n.min+1)+4+extra, 1_000_000)
		}
		return min(sum*n.max+n.max-n.min+1+extra, 1_000_000)
	default:
		return sum + 2
	}
}
