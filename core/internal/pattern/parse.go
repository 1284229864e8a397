package pattern

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/annex-gateway/annex/core"
)

// Limits of what is accepted.
const (
	maxDepth  = 100   // groups in groups
	maxRepeat = 1000  // the count of a repetition, and the product of nested ones
	maxSpans  = 10000 // ranges of all character classes together
	maxSize   = 2000  // instructions of the compiled program
)

// flags are Java's inline flags that are understood.
type flags struct{ fold, dotAll, multiLine, unixLines bool }

// parser reads the syntax of java.util.regex.Pattern, as compiled without
// flags, and refuses what it does not know to mean one thing.
type parser struct {
	src    []rune // without \Q and \E
	at     []int  // where each character of src stands in the pattern; nil: where it stands in src
	nodes  []node // room for nodes, so that they need not be made one by one
	ranges []span // the same for sets of one range
	i      int
	flags  flags
	depth  int
	spans  int
	groups []*node // capturing groups in order of their opening parenthesis; [0] is nil
	open   map[int]bool
	err    error // the first refusal
}

// parse makes the syntax tree of src.
func parse(src string) (*node, []*node, error) {
	if !utf8.ValidString(src) {
		return nil, nil, core.Errorf(core.Invalid, "the pattern is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(src); n > core.MaxPattern {
		return nil, nil, core.Errorf(core.Invalid, "the pattern has %d characters, at most %d are accepted", n, core.MaxPattern)
	}
	p := &parser{groups: make([]*node, 1, 4)}
	p.src = []rune(src)
	if strings.Contains(src, `\Q`) {
		p.unquote(p.src)
	}
	tree := p.alternatives()
	if p.more() {
		p.refuse(p.i, "a ')' without its '('")
	}
	if p.err != nil {
		return nil, nil, p.err
	}
	return tree, p.groups, nil
}

// refuse notes why the pattern is refused and goes to its end, so that whoever
// reads on finds nothing more; where is an index into p.src.
func (p *parser) refuse(where int, format string, args ...any) {
	if p.err != nil {
		return
	}
	at := where
	if p.at != nil && where < len(p.at) {
		at = p.at[where]
	} else if len(p.at) > 0 {
		at = p.at[len(p.at)-1] + 1
	}
	what := core.Errorf(core.Invalid, format, args...)
	p.err = core.Errorf(core.Invalid, "the pattern cannot be used: at character %d: %s", at, what.Message)
	p.i = len(p.src)
}

// since gives what was read from first on.
func (p *parser) since(first int) string {
	if p.err != nil {
		return ""
	}
	return string(p.src[first:p.i])
}

func (p *parser) more() bool { return p.i < len(p.src) }

// peek gives the next character, or -1 at the end.
func (p *parser) peek() rune { return p.ahead(0) }

func (p *parser) ahead(n int) rune {
	if p.i+n < len(p.src) {
		return p.src[p.i+n]
	}
	return -1
}

func (p *parser) accept(r rune) bool {
	if p.peek() != r {
		return false
	}
	p.i++
	return true
}

// unquote replaces what stands between \Q and \E by escapes, before anything
// else is read, as Java does it. So quotes work inside classes too.
func (p *parser) unquote(src []rune) {
	p.src, p.at = make([]rune, 0, len(src)), make([]int, 0, len(src))
	for i := 0; i < len(src); {
		switch {
		case src[i] != '\\' || i+1 == len(src):
			p.put(i, src[i])
			i++
		case src[i+1] == 'Q':
			i = p.quote(src, i+2)
		default:
			p.put(i, src[i], src[i+1])
			i += 2
		}
	}
}

// quote reads from behind \Q to behind \E or to the end, and gives that place.
func (p *parser) quote(src []rune, i int) int {
	if i < len(src) && isDigit(src[i]) {
		// An escape may stand in front of the quote; this digit is not its.
		p.put(i, '\\', 'x', '3', src[i])
		i++
	}
	for ; i < len(src); i++ {
		c := src[i]
		switch {
		case c == '\\' && i+1 < len(src) && src[i+1] == 'E':
			return i + 2
		case c < utf8.RuneSelf && !isAlnum(c):
			p.put(i, '\\', c)
		default:
			p.put(i, c)
		}
	}
	return i
}

func (p *parser) put(at int, rs ...rune) {
	for _, r := range rs {
		p.src, p.at = append(p.src, r), append(p.at, at)
	}
}

func isAlpha(c rune) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c rune) bool { return '0' <= c && c <= '9' }
func isAlnum(c rune) bool { return isAlpha(c) || isDigit(c) }

// alternatives reads up to a closing parenthesis or the end.
func (p *parser) alternatives() *node {
	first := p.sequence()
	if p.peek() != '|' {
		return first
	}
	n := &node{op: opAlt, subs: []*node{first}}
	for p.accept('|') {
		n.subs = append(n.subs, p.sequence())
	}
	return n
}

func (p *parser) sequence() *node {
	n := p.node(opCat)
	n.subs = make([]*node, 0, 8)
	for p.more() && p.peek() != '|' && p.peek() != ')' {
		if atom := p.atom(); atom != nil {
			n.subs = append(n.subs, p.repetition(atom))
		}
	}
	switch len(n.subs) {
	case 0:
		return p.node(opEmpty)
	case 1:
		return n.subs[0]
	}
	return n
}

func (p *parser) node(o op) *node {
	if len(p.nodes) == 0 {
		p.nodes = make([]node, 16)
	}
	n := &p.nodes[0]
	p.nodes = p.nodes[1:]
	n.op = o
	return n
}

// atom reads what a repetition can follow. It gives nil for a group that only
// sets flags.
func (p *parser) atom() *node {
	start := p.i
	c := p.peek()
	p.i++
	switch c {
	case '(':
		return p.group(start)
	case '[':
		return p.setNode(p.class(start, 0), "")
	case '\\':
		return p.escape(start)
	case '^':
		if p.flags.multiLine {
			p.refuse(start, "'^' under the flag (?m) is not supported")
		}
		return p.node(opBegin)
	case '$':
		return p.dollar(start)
	case '.':
		return p.setNode(p.dot(), dotName)
	case '*', '+', '?':
		p.refuse(start, "a '%c' with nothing to repeat", c)
	case '{':
		p.refuse(start, "a '{' that starts no repetition; write \\{ for the character itself")
	}
	return p.literal(c)
}

func (p *parser) dot() set {
	switch {
	case p.flags.dotAll:
		return anyChar()
	case p.flags.unixLines:
		return single('\n').negate()
	}
	return lineEnds().negate()
}

func (p *parser) dollar(start int) *node {
	if p.flags.multiLine {
		p.refuse(start, "'$' under the flag (?m) is not supported")
	}
	if p.flags.unixLines {
		p.refuse(start, "'$' under the flag (?d) is not supported")
	}
	return p.node(opDollar)
}

func (p *parser) literal(c rune) *node {
	if p.flags.fold && isAlpha(c) {
		return p.setNode(single(c).foldASCII(), "")
	}
	if len(p.ranges) == 0 {
		p.ranges = make([]span, 32)
	}
	p.ranges[0] = span{c, c}
	s := set(slices.Clip(p.ranges[:1]))
	p.ranges = p.ranges[1:]
	return p.setNode(s, "")
}

func (p *parser) setNode(s set, name string) *node {
	p.spans += len(s)
	if p.spans > maxSpans {
		p.refuse(p.i, "the character classes of the pattern hold more than %d ranges", maxSpans)
	}
	n := p.node(opSet)
	n.set, n.name = s, name
	return n
}

// repetition reads the quantifier behind atom, if there is one.
func (p *parser) repetition(atom *node) *node {
	start := p.i
	switch p.peek() {
	case '*', '+', '?', '{':
	default:
		return atom
	}
	n := p.node(opRepeat)
	n.subs, n.max = []*node{atom}, -1
	switch p.peek() {
	case '*':
		p.i++
	case '+':
		p.i++
		n.min = 1
	case '?':
		p.i++
		n.max, n.optional = 1, true
	default:
		p.i++
		p.counts(n, start)
	}
	if p.accept('?') {
		n.mode = lazy
	} else if p.accept('+') {
		n.mode = possessive
	}
	if c := p.peek(); c == '*' || c == '+' || c == '?' || c == '{' {
		p.refuse(p.i, "a repetition right behind a repetition; put the first one in a group (?:…)")
	}
	return n
}

// counts reads {n}, {n,} or {n,m} behind the brace.
func (p *parser) counts(n *node, start int) {
	n.min = p.number(start)
	n.max = n.min
	if p.accept(',') {
		n.max = -1
		if p.peek() != '}' {
			n.max = p.number(start)
		}
	}
	if !p.accept('}') {
		p.refuse(start, "a '{' that is not closed as {n}, {n,} or {n,m}")
	}
	if n.max >= 0 && n.max < n.min {
		p.refuse(start, "a repetition {%d,%d} whose limits are in the wrong order", n.min, n.max)
	}
}

func (p *parser) number(start int) int {
	if !isDigit(p.peek()) {
		p.refuse(start, "a '{' that starts no repetition {n}, {n,} or {n,m}; write \\{ for the character itself")
	}
	v := 0
	for isDigit(p.peek()) {
		v = v*10 + int(p.peek()-'0')
		if v > maxRepeat {
			p.refuse(start, "a repetition count over %d", maxRepeat)
		}
		p.i++
	}
	return v
}
