package pattern

import (
	"strconv"
	"unicode/utf8"
)

// escape reads what follows a backslash outside of a class.
func (p *parser) escape(start int) *node {
	c := p.peek()
	switch c {
	case 'A':
		p.i++
		return p.node(opBegin)
	case 'z':
		p.i++
		return p.node(opEnd)
	case 'Z':
		p.i++
		return p.dollarZ(start)
	case 'b':
		p.i++
		if p.peek() == '{' {
			p.refuse(start, "\\b{…} is not supported")
		}
		return p.node(opWord)
	case 'B':
		p.i++
		return p.node(opNotWord)
	case 'R':
		p.i++
		return &node{op: opAlt, subs: []*node{
			{op: opCat, subs: []*node{{op: opSet, set: single('\r')}, {op: opSet, set: single('\n')}}},
			{op: opSet, set: vertical()},
		}}
	case 'k':
		p.i++
		return p.namedReference(start)
	case 'G', 'X', 'N':
		p.refuse(start, "\\%c is not supported", c)
	}
	if '1' <= c && c <= '9' {
		return p.reference(start)
	}
	if s, ok := p.classEscape(start); ok {
		return p.setNode(s, "")
	}
	return p.literal(p.charEscape(start))
}

func (p *parser) dollarZ(start int) *node {
	if p.flags.unixLines {
		p.refuse(start, "\\Z under the flag (?d) is not supported")
	}
	return p.node(opDollar)
}

// reference reads a back-reference by number: further digits belong to it as
// long as there are that many groups.
func (p *parser) reference(start int) *node {
	index := int(p.peek() - '0')
	p.i++
	for isDigit(p.peek()) {
		longer := index*10 + int(p.peek()-'0')
		if longer >= len(p.groups) {
			break
		}
		index = longer
		p.i++
	}
	if index >= len(p.groups) {
		p.refuse(start, "a back-reference to group %d, which does not stand before it", index)
		return p.node(opEmpty)
	}
	return p.referTo(index, start)
}

func (p *parser) namedReference(start int) *node {
	if !p.accept('<') {
		p.refuse(start, "a \\k that is not followed by a name in <>")
	}
	first := p.i
	for isAlnum(p.peek()) {
		p.i++
	}
	name := p.since(first)
	if !p.accept('>') {
		p.refuse(start, "a \\k that is not followed by a name in <>")
	}
	for _, g := range p.groups[1:] {
		if g.name == name && name != "" {
			return p.referTo(g.index, start)
		}
	}
	p.refuse(start, "a back-reference to a group %q, which does not stand before it", name)
	return p.node(opEmpty)
}

func (p *parser) referTo(index, start int) *node {
	if p.open[index] {
		p.refuse(start, "a back-reference to the group that it stands in")
	}
	if p.flags.fold {
		p.refuse(start, "a back-reference under the flag (?i) is not supported")
	}
	p.groups[index].used = true
	return &node{op: opReference, index: index}
}

// classEscape reads an escape that stands for a set of characters, such as \d.
func (p *parser) classEscape(start int) (set, bool) {
	var s set
	c := p.peek()
	switch c {
	case 'd', 'D':
		s = digits()
	case 'w', 'W':
		s = wordChars()
	case 's', 'S':
		s = spaces()
	case 'h', 'H':
		s = horizontal()
	case 'v', 'V':
		s = vertical()
	case 'p', 'P':
		p.i++
		s = p.property(start)
		if c == 'P' {
			s = s.negate()
		}
		return s, true
	default:
		return nil, false
	}
	p.i++
	if c < 'a' {
		s = s.negate()
	}
	return s, true
}

// property reads the name behind \p or \P.
func (p *parser) property(start int) set {
	var name string
	if p.accept('{') {
		first := p.i
		for p.more() && p.peek() != '}' {
			p.i++
		}
		name = p.since(first)
		if !p.accept('}') {
			p.refuse(start, "a \\p{ that is not closed")
		}
	} else if p.more() {
		name = string(p.peek())
		p.i++
	}
	s, cased, ok := property(name)
	if !ok {
		p.refuse(start, "the character property %q is not supported", name)
	}
	if cased && p.flags.fold {
		p.refuse(start, "\\p{%s} under the flag (?i) means different things in different versions of Java", name)
	}
	return s
}

// charEscape reads an escape that stands for one character.
func (p *parser) charEscape(start int) rune {
	c := p.peek()
	p.i++
	switch c {
	case -1:
		p.refuse(start, "a '\\' with nothing behind it")
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 'f':
		return '\f'
	case 'a':
		return 0x07
	case 'e':
		return 0x1b
	case 'c':
		return p.controlEscape(start)
	case '0':
		return p.octalEscape(start)
	case 'x':
		return p.hexEscape(start)
	case 'u':
		return p.unicodeEscape(start)
	}
	if isAlnum(c) {
		p.refuse(start, "the escape \\%c, which Java does not know here", c)
	}
	return c
}

func (p *parser) controlEscape(start int) rune {
	c := p.peek()
	if c < '@' || c > '_' {
		p.refuse(start, "a \\c that is not followed by one of @, A to Z, [, \\, ], ^ and _")
	}
	p.i++
	return c ^ 64
}

// octalEscape reads one to three digits, three only up to 377.
func (p *parser) octalEscape(start int) rune {
	digit := func() bool { return '0' <= p.peek() && p.peek() <= '7' }
	if !digit() {
		p.refuse(start, "a \\0 without an octal digit")
	}
	first := p.peek()
	v := rune(0)
	for n := 0; n < 3 && digit() && (n < 2 || first <= '3'); n++ {
		v = v*8 + p.peek() - '0'
		p.i++
	}
	return v
}

func (p *parser) hexEscape(start int) rune {
	if !p.accept('{') {
		return p.hexDigits(start, 2)
	}
	n := 0
	for p.ahead(n) != '}' && p.ahead(n) >= 0 {
		n++
	}
	if n == 0 || n > 6 {
		p.refuse(start, "a \\x{…} that does not hold one to six hexadecimal digits")
	}
	v := p.hexDigits(start, n)
	if v > utf8.MaxRune || !p.accept('}') {
		p.refuse(start, "a \\x{…} that is no character")
	}
	return p.noSurrogate(v, start)
}

func (p *parser) unicodeEscape(start int) rune {
	v := p.hexDigits(start, 4)
	if v >= 0xD800 && v < 0xDC00 && p.ahead(0) == '\\' && p.ahead(1) == 'u' {
		p.i += 2
		low := p.hexDigits(start, 4)
		if low >= 0xDC00 && low <= surrogateMax {
			return (v-0xD800)<<10 + (low - 0xDC00) + 0x10000
		}
		p.refuse(start, "half a surrogate pair")
	}
	return p.noSurrogate(v, start)
}

func (p *parser) noSurrogate(v rune, start int) rune {
	if v >= surrogateMin && v <= surrogateMax {
		p.refuse(start, "half a surrogate pair")
	}
	return v
}

func (p *parser) hexDigits(start, n int) rune {
	v := rune(0)
	for range n {
		d, err := strconv.ParseUint(printable(p.peek()), 16, 8)
		if err != nil {
			p.refuse(start, "an escape that lacks hexadecimal digits")
		}
		v = v<<4 | rune(d)
		p.i++
	}
	return v
}

// printable gives c for a message, and nothing for the end of the pattern.
func printable(c rune) string {
	if c < 0 {
		return ""
	}
	return string(c)
}
