package pattern

// op says what a node of the syntax tree stands for.
type op uint8

const (
	opEmpty     op = iota // matches nothing, everywhere
	opSet                 // one character of set
	opCat                 // subs in sequence
	opAlt                 // one of subs, first one preferred
	opRepeat              // subs[0], min to max times; max -1: no limit
	opGroup               // capturing; index, name
	opBegin               // start of the input
	opEnd                 // end of the input
	opDollar              // end of the input or before its last line end
	opWord                // word boundary
	opNotWord             // no word boundary
	opAhead               // look-ahead for subs[0]; negative
	opBehind              // look-behind for subs[0]; negative
	opAtomic              // subs[0] without backtracking into it
	opReference           // what group index matched
)

// mode says how a repetition gives characters back.
type mode uint8

const (
	greedy mode = iota
	lazy
	possessive
)

// node is a node of the syntax tree of a pattern.
type node struct {
	op       op
	set      set
	subs     []*node
	min, max int
	mode     mode
	negative bool
	index    int
	name     string
	used     bool // a group whose text is asked for
	optional bool // a repetition written as ?, not as {0,1}
}

// nullable reports whether n can match the empty string.
func (n *node) nullable() bool {
	switch n.op {
	case opSet:
		return false
	case opCat:
		for _, s := range n.subs {
			if !s.nullable() {
				return false
			}
		}
		return true
	case opAlt:
		for _, s := range n.subs {
			if s.nullable() {
				return true
			}
		}
		return false
	case opRepeat:
		return n.min == 0 || n.subs[0].nullable()
	case opGroup, opAtomic:
		return n.subs[0].nullable()
	default:
		return true
	}
}

// width gives the least and the greatest number of characters that n matches;
// a greatest of -1 means that there is no limit.
func (n *node) width() (least, most int) {
	switch n.op {
	case opSet:
		return 1, 1
	case opCat:
		for _, s := range n.subs {
			lo, hi := s.width()
			least += lo
			most = addLimit(most, hi)
		}
		return least, most
	case opAlt:
		return n.widthOfAlternatives()
	case opRepeat:
		return n.widthOfRepetition()
	case opGroup, opAtomic:
		return n.subs[0].width()
	case opReference:
		return 0, -1
	default:
		return 0, 0
	}
}

func (n *node) widthOfAlternatives() (least, most int) {
	least, most = n.subs[0].width()
	for _, s := range n.subs[1:] {
		lo, hi := s.width()
		least = min(least, lo)
		if hi < 0 || most < 0 {
			most = -1
		} else {
			most = max(most, hi)
		}
	}
	return least, most
}

func (n *node) widthOfRepetition() (least, most int) {
	lo, hi := n.subs[0].width()
	switch {
	case hi == 0 || n.max == 0:
		most = 0
	case n.max < 0 || hi < 0:
		most = -1
	default:
		most = hi * n.max
	}
	return lo * n.min, most
}

func addLimit(a, b int) int {
	if a < 0 || b < 0 {
		return -1
	}
	return a + b
}

// walk calls f for n and everything below it, until f returns false.
func (n *node) walk(f func(*node) bool) bool {
	if !f(n) {
		return false
	}
	for _, s := range n.subs {
		if !s.walk(f) {
			return false
		}
	}
	return true
}

// holds reports whether f holds for n or something below it.
func (n *node) holds(f func(*node) bool) bool {
	return !n.walk(func(m *node) bool { return !f(m) })
}

// zeroWidth reports whether n never consumes a character.
func (n *node) zeroWidth() bool {
	_, most := n.width()
	return most == 0
}

// settleEnds turns each $ behind which nothing can be consumed into the plain
// end of the input. Since a pattern matches the whole input, both say the
// same there.
func settleEnds(n *node) {
	switch n.op {
	case opDollar:
		n.op = opEnd
	case opGroup:
		settleEnds(n.subs[0])
	case opAlt:
		for _, s := range n.subs {
			settleEnds(s)
		}
	case opCat:
		for i := len(n.subs) - 1; i >= 0; i-- {
			settleEnds(n.subs[i])
			if !n.subs[i].zeroWidth() {
				return
			}
		}
	}
}

// regular reports whether n means the same to RE2, in other words whether it
// needs no backtracking engine.
func (n *node) regular() bool {
	return !n.holds(func(m *node) bool {
		switch m.op {
		case opDollar, opAhead, opBehind, opAtomic, opReference:
			return true
		case opRepeat:
			return m.mode == possessive
		}
		return false
	})
}

// isDotStar reports whether n is a greedy .* whatever the dot excludes.
func (n *node) isDotStar() bool {
	if n.op != opRepeat || n.min != 0 || n.max != -1 || n.mode != greedy || n.subs[0].op != opSet {
		return false
	}
	return n.subs[0].name == dotName
}

// dotName marks the set of a dot, so that .* can be told from a class that
// happens to hold the same characters.
const dotName = "."
