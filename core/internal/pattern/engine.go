package pattern

import (
	"regexp"

	"github.com/annex-gateway/annex/core"
)

// compiledRE is a pattern compiled by package regexp.
type compiledRE struct {
	re    *regexp.Regexp // nil: package regexp refuses it
	index map[int]int    // group of the pattern: group of the regexp
}

// regexp gives the form for package regexp. Two callers may make it at the
// same time; either one will do.
func (p *Pattern) regexp() *compiledRE {
	c := p.re.Load()
	if c == nil {
		c = &compiledRE{}
		if tree, err := p.tree(); err == nil {
			c.re, c.index = compileRE2(tree, p.tail)
		}
		p.re.Store(c)
	}
	return c
}

// backtracker gives the form for the engine that counts its steps.
func (p *Pattern) backtracker() (*program, error) {
	if prog := p.program.Load(); prog != nil {
		return prog, nil
	}
	tree, err := p.tree()
	if err != nil {
		return nil, err
	}
	prog := compileProgram(tree, p.tail)
	p.program.Store(prog)
	return prog, nil
}

// tree reads the pattern again. It has been read before without an error.
func (p *Pattern) tree() (*node, error) {
	t, _, err := tree(p.src)
	if err == nil && p.tail {
		t = asSequence(t)
	}
	return t, err
}

// quick gives the form for package regexp if that may be used on s.
func (p *Pattern) quick(s string) *compiledRE {
	if !p.regular || (p.size+8)*len(s) > maxWork {
		return nil
	}
	if c := p.regexp(); c.re != nil {
		return c
	}
	return nil
}

// backtrack runs the engine that counts its steps. It gives the slots of the
// program, or nil when s does not match.
func (p *Pattern) backtrack(s string) ([]int, *program, error) {
	prog, err := p.backtracker()
	if err != nil {
		return nil, nil, err
	}
	slots, err := prog.run(s)
	if err != nil {
		return nil, nil, core.WrapError(core.Unavailable, err, "the pattern %q takes too long on this path", p.src)
	}
	return slots, prog, nil
}

// group gives the number of the named group, or 0.
func (p *Pattern) group(name string) int {
	for _, g := range p.groups {
		if g.name == name {
			return g.index
		}
	}
	return 0
}
