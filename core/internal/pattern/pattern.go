// Package pattern gives URL patterns the meaning that java.util.regex gives
// them: it reads Java's syntax itself, refuses what it cannot run with exactly
// that meaning, and bounds the work of every match.
//
// A pattern matches a whole input, as Java's Matcher.matches does. Patterns of
// literals and .* are compared directly; regular ones run on package regexp;
// those with look-around, back-references, atomic groups or possessive
// repetitions, and regular ones on very long inputs, run on an engine that
// backtracks in Java's order and counts its steps. The word boundaries \b and
// \B are those of ASCII, as in Java 19 and later. Inputs are valid UTF-8.
package pattern

import (
	"sync/atomic"

	"github.com/annex-gateway/annex/core"
)

// maxWork is the product of a regexp's size and an input's length up to which
// package regexp, which counts no steps, is trusted to be quick.
const maxWork = 150_000

// Pattern is a checked pattern, safe for concurrent use. What it needs to run
// is made when it is first used, because most of 100,000 patterns are not.
type Pattern struct {
	src      string
	tail     bool
	regular  bool
	glob     glob
	size     int
	groups   []namedGroup
	literals []Literals

	re      atomic.Pointer[compiledRE]
	program atomic.Pointer[program]
}

type namedGroup struct {
	name  string
	index int
}

// Parse checks src, and compiles it when it is first used. Its error has the
// code Invalid and names the construct that cannot be used, and where it is.
func Parse(src string) (*Pattern, error) {
	if g := plainGlob(src); g != nil {
		return ofGlob(src, g), nil
	}
	tree, groups, err := tree(src)
	if err != nil {
		return nil, err
	}
	return describe(src, tree, groups), nil
}

// ParseTail is Parse for the pattern of an endpoint: it has one final .* at
// its top level, and no alternative there.
func ParseTail(src string) (*Pattern, error) {
	if g := plainGlob(src); g != nil && g.endsOpen() {
		p := ofGlob(src, g)
		p.tail = true
		return p, nil
	}
	tree, groups, err := tree(src)
	if err != nil {
		return nil, err
	}
	if err := checkTail(tree); err != nil {
		return nil, err
	}
	p := describe(src, asSequence(tree), groups)
	p.tail = true
	return p, nil
}

// Compile is Parse for a pattern that will be used soon.
func Compile(src string) (*Pattern, error) { return prepared(Parse(src)) }

// CompileTail is ParseTail for a pattern that will be used soon.
func CompileTail(src string) (*Pattern, error) { return prepared(ParseTail(src)) }

func prepared(p *Pattern, err error) (*Pattern, error) {
	if err != nil {
		return nil, err
	}
	switch {
	case p.glob != nil:
	case p.regular:
		p.regexp()
	default:
		if _, err := p.backtracker(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// tree reads and checks src.
func tree(src string) (*node, []*node, error) {
	tree, groups, err := parse(src)
	if err != nil {
		return nil, nil, err
	}
	if err := check(tree); err != nil {
		return nil, nil, err
	}
	settleEnds(tree)
	return tree, groups, nil
}

// ofGlob makes the pattern of a plain glob.
func ofGlob(src string, g glob) *Pattern {
	return &Pattern{src: src, glob: g, size: 2 * len(src), regular: true, literals: g.literals()}
}

func describe(src string, tree *node, groups []*node) *Pattern {
	p := &Pattern{
		src: src, glob: globOf(tree), size: tree.size(), regular: tree.regular(), literals: literalsOf(tree),
	}
	for _, g := range groups[1:] {
		if g.name != "" {
			p.groups = append(p.groups, namedGroup{g.name, g.index})
		}
	}
	return p
}

// asSequence makes a tree of one element a sequence.
func asSequence(tree *node) *node {
	if tree.op == opCat {
		return tree
	}
	return &node{op: opCat, subs: []*node{tree}}
}

func checkTail(tree *node) error {
	if tree.op == opAlt {
		return core.Errorf(core.Invalid, "the pattern of an endpoint cannot be used: it has alternatives at its top level; put them in a group (?:…)")
	}
	subs := asSequence(tree).subs
	last := len(subs) - 1
	if !subs[last].isDotStar() {
		return core.Errorf(core.Invalid, "the pattern of an endpoint cannot be used: it must end with .*, which stands for what is passed on to the endpoint")
	}
	if last > 0 && subs[last-1].isDotStar() {
		return core.Errorf(core.Invalid, "the pattern of an endpoint cannot be used: it ends with more than one .*")
	}
	return nil
}

// String returns the pattern as it was written.
func (p *Pattern) String() string { return p.src }

// Literals returns what every match starts with, ends with and contains.
func (p *Pattern) Literals() Literals { return p.literals[0] }

// Alternatives returns the same for each alternative at the top level of the
// pattern: a match has the literals of at least one of them. There is always
// one, and there are no more than maxAlternatives.
func (p *Pattern) Alternatives() []Literals {
	if len(p.literals) > 1 {
		return p.literals[1:]
	}
	return p.literals
}

// GroupNames returns the names of the named groups, in the order of their
// opening parentheses.
func (p *Pattern) GroupNames() []string {
	var names []string
	for _, g := range p.groups {
		names = append(names, g.name)
	}
	return names
}

// Match reports whether all of s matches. It fails only with Unavailable, when
// the match takes too many steps.
func (p *Pattern) Match(s string) (bool, error) {
	if p.glob != nil {
		if ok := p.glob.match(s); !ok || len(p.glob) == 1 || !hasLineEnd(s) {
			return ok, nil
		}
	}
	if c := p.quick(s); c != nil {
		return c.re.MatchString(s), nil
	}
	slots, _, err := p.backtrack(s)
	return slots != nil, err
}

// Tail gives the byte offset at which the final .* of an endpoint's pattern
// starts in s; ok is false when s does not match.
func (p *Pattern) Tail(s string) (offset int, ok bool, err error) {
	if !p.tail {
		return 0, false, core.Errorf(core.Internal, "the pattern %q was not read as that of an endpoint", p.src)
	}
	if p.glob != nil {
		if offset, ok = p.glob.tail(s); !ok || !hasLineEnd(s) {
			return offset, ok, nil
		}
	}
	if c := p.quick(s); c != nil {
		m := c.re.FindStringSubmatchIndex(s)
		if m == nil {
			return 0, false, nil
		}
		return m[len(m)-2], true, nil
	}
	slots, prog, err := p.backtrack(s)
	if err != nil || slots == nil {
		return 0, false, err
	}
	return slots[prog.tail], true, nil
}

// Group gives what the named group matched; ok is false when s does not match
// or the group took no part in it.
func (p *Pattern) Group(s, name string) (value string, ok bool, err error) {
	from, to := -1, -1
	if c := p.quick(s); c != nil {
		m := c.re.FindStringSubmatchIndex(s)
		if i := 2 * c.index[p.group(name)]; i > 0 && i+1 < len(m) {
			from, to = m[i], m[i+1]
		}
	} else {
		slots, prog, err := p.backtrack(s)
		if err != nil {
			return "", false, err
		}
		if i, known := prog.index[p.group(name)]; known && slots != nil {
			from, to = slots[i], slots[i+1]
		}
	}
	if from < 0 {
		return "", false, nil
	}
	return s[from:to], true, nil
}
