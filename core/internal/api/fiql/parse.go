package fiql

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// The bounds of an expression.
const (
	MaxLength      = 4096 // bytes
	MaxDepth       = 32   // parentheses in parentheses
	MaxConstraints = 128
)

type operator string

const (
	equal   operator = "=="
	unequal operator = "!="
	less    operator = "=lt="
	atMost  operator = "=le="
	greater operator = "=gt="
	atLeast operator = "=ge="
)

// Parse reads an expression over the known attributes. The empty expression
// gives the nil Filter. Errors are Invalid and say what and where.
//
// Semicolons bind closer than commas. A backslash takes the meaning off the
// character behind it. An asterisk at either end of a value stands for any
// text; in the middle it stands for itself. Parentheses in pairs may stand in
// a value as they are.
func Parse(expression string, known Attributes) (*Filter, error) {
	return parse(expression, known, false)
}

// ParseEncoded is Parse for clients that encode values once more than the
// query of a URL asks for.
func ParseEncoded(expression string, known Attributes) (*Filter, error) {
	if !strings.ContainsAny(expression, "=!") { // and some even encode all of it
		if plain, err := url.PathUnescape(expression); err == nil {
			expression = plain
		}
	}
	return parse(expression, known, true)
}

func parse(expression string, known Attributes, encoded bool) (*Filter, error) {
	if strings.TrimSpace(expression) == "" {
		return nil, nil
	}
	if len(expression) > MaxLength {
		return nil, core.Errorf(core.Invalid, "filter: at most %d bytes are read, this one has %d", MaxLength, len(expression))
	}
	p := &parser{in: expression, known: known, encoded: encoded}
	root, err := p.either(0)
	if err != nil {
		return nil, err
	}
	if p.at < len(p.in) {
		return nil, p.errorf("a ')' closes nothing; write \\) for one that belongs to a value")
	}
	return &Filter{root}, nil
}

type parser struct {
	in          string
	at          int
	constraints int
	known       Attributes
	encoded     bool // values are
}

func (p *parser) errorf(format string, args ...any) error {
	err := core.Errorf(core.Invalid, format, args...)
	err.Message = "filter, at character " + strconv.Itoa(p.at+1) + ": " + err.Message
	return err
}

// next reports whether c comes next, and steps over it.
func (p *parser) next(c byte) bool {
	if p.at < len(p.in) && p.in[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) either(depth int) (node, error) {
	return list(p, ',', func() (node, error) {
		return list(p, ';', func() (node, error) { return p.term(depth) }, func(n []node) node { return both(n) })
	}, func(n []node) node { return either(n) })
}

// list reads one or more items with separators between them.
func list(p *parser, separator byte, item func() (node, error), join func([]node) node) (node, error) {
	var nodes []node
	for {
		n, err := item()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		if !p.next(separator) {
			break
		}
	}
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	return join(nodes), nil
}

func (p *parser) term(depth int) (node, error) {
	if !p.next('(') {
		return p.constraint()
	}
	if depth >= MaxDepth {
		return nil, p.errorf("at most %d parentheses may be open at once", MaxDepth)
	}
	n, err := p.either(depth + 1)
	if err != nil {
		return nil, err
	}
	if !p.next(')') {
		return nil, p.errorf("a ')' is missing")
	}
	return n, nil
}

func (p *parser) constraint() (node, error) {
	if p.constraints++; p.constraints > MaxConstraints {
		return nil, p.errorf("at most %d comparisons are allowed", MaxConstraints)
	}
	start := p.at
	for p.at < len(p.in) && !strings.ContainsRune("=!;,()", rune(p.in[p.at])) {
		p.at++
	}
	name := p.in[start:p.at]
	op, err := p.operator(name)
	if err != nil {
		return nil, err
	}
	kind, ok := p.known[name]
	if !ok {
		p.at = start
		return nil, p.errorf("there is no attribute %q here; known are %s", name, strings.Join(slices.Sorted(maps.Keys(p.known)), ", "))
	}
	c := constraint{attribute: name, op: op, kind: kind}
	err = p.value(&c)
	return c, err
}

func (p *parser) operator(name string) (operator, error) {
	rest := p.in[p.at:]
	for _, op := range []operator{equal, unequal, less, atMost, greater, atLeast} {
		if name != "" && strings.HasPrefix(rest, string(op)) {
			p.at += len(op)
			return op, nil
		}
	}
	if name == "" {
		return "", p.errorf("a comparison such as name==value is missing")
	}
	return "", p.errorf("after %q one of == != =lt= =le= =gt= =ge= is needed", name)
}

// value reads the value of c.
func (p *parser) value(c *constraint) error {
	start := p.at
	word, err := p.word()
	if err != nil {
		return err
	}
	c.text, c.head, c.tail = word.text, word.head, word.tail
	if p.encoded {
		if c.text, err = url.PathUnescape(c.text); err != nil {
			return p.errorf("%q holds a %% that is not followed by two hexadecimal digits", word.text)
		}
	}
	end := p.at
	p.at = start // where an error is
	if err := p.typed(c, p.in[start:end]); err != nil {
		return err
	}
	p.at = end
	return nil
}

// typed gives the value of c, written as said, the type of its attribute.
func (p *parser) typed(c *constraint, said string) error {
	wild, order := c.head || c.tail, c.op != equal && c.op != unequal
	switch {
	case wild && order:
		return p.errorf("a wildcard goes with == and != only; write \\* for an asterisk")
	case c.kind == Number:
		n, err := strconv.Atoi(c.text)
		if err != nil || wild {
			return p.errorf("%s is a number, and %q is none", c.attribute, said)
		}
		c.number = n
	case c.kind == Truth:
		c.truth = strings.EqualFold(c.text, "true")
		if wild || (!c.truth && !strings.EqualFold(c.text, "false")) {
			return p.errorf("%s is true or false, and %q is neither", c.attribute, said)
		}
		if order {
			return p.errorf("%s is true or false: compare it with == or !=", c.attribute)
		}
	}
	return nil
}

type word struct {
	text       string
	head, tail bool // an asterisk stands in front, behind
}

// word reads up to the next character that ends a value.
func (p *parser) word() (word, error) {
	var b strings.Builder
	var w word
	open, start := 0, p.at
	for ; p.at < len(p.in) && !p.ends(p.at, open); p.at++ {
		switch c := p.in[p.at]; {
		case c == '\\':
			if p.at++; p.at == len(p.in) {
				return w, p.errorf("a character is missing behind the backslash; write \\\\ for a backslash")
			}
		case c == '*' && p.at == start:
			w.head = true
			continue
		case c == '*' && p.ends(p.at+1, open):
			w.tail = true
			continue
		case c == '(':
			open++
		case c == ')':
			open--
		}
		b.WriteByte(p.in[p.at])
	}
	w.text = b.String()
	return w, nil
}

// ends reports whether a value in which open parentheses are open ends in
// front of the character at i.
func (p *parser) ends(i, open int) bool {
	if i >= len(p.in) {
		return true
	}
	c := p.in[i]
	return c == ';' || c == ',' || (c == ')' && open == 0)
}
