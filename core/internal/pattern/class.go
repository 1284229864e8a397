package pattern

// operand is what stands on one side of && in a class.
type operand struct {
	set          set
	plain, inner bool // holds plain members; holds nested classes
}

// class reads a character class behind its opening bracket.
func (p *parser) class(start, depth int) set {
	if depth > maxDepth {
		p.refuse(start, "character classes that nest deeper than %d", maxDepth)
	}
	negative := p.accept('^')
	all := p.members(start, depth)
	sum := all.set
	several := false
	for p.peek() == '&' && p.ahead(1) == '&' {
		p.i += 2
		several = true
		right := p.members(start, depth)
		if right.plain && right.inner {
			p.refuse(start, "a class whose && is followed by both characters and a class; put them into one [ ]")
		}
		sum = sum.intersect(right.set)
	}
	p.i++ // members stops at the closing bracket
	if !negative {
		return sum
	}
	if several || all.inner {
		p.refuse(start, "a negated class with && or a class in it, which means different things in different versions of Java; negate a class of its own")
	}
	return sum.negate()
}

// members reads up to a && or to the closing bracket, and at least one member.
func (p *parser) members(start, depth int) operand {
	var o operand
	var spans []span
	for {
		at := p.i
		c := p.peek()
		empty := !o.plain && !o.inner
		switch {
		case c < 0:
			p.refuse(start, "a '[' that is not closed")
			return o
		case c == ']' && !empty:
			o.set = setOf(spans...)
			return o
		case c == '&' && p.ahead(1) == '&':
			if empty {
				p.refuse(at, "a && in a class with nothing on its left")
			}
			if p.ahead(2) == '&' || p.ahead(2) == ']' {
				p.refuse(at, "a && in a class with nothing on its right")
			}
			o.set = setOf(spans...)
			return o
		case c == '[':
			p.i++
			spans, o.inner = append(spans, p.class(at, depth+1)...), true
		default:
			spans, o.plain = append(spans, p.member(at)...), true
		}
		if p.spans+len(spans) > maxSpans {
			p.refuse(start, "the character classes of the pattern hold more than %d ranges", maxSpans)
		}
	}
}

// member reads one character, range or escape of a class.
func (p *parser) member(at int) set {
	c := p.peek()
	p.i++
	if c == '\\' {
		if v := p.peek(); v == 'v' && p.ahead(1) == '-' {
			p.refuse(at, "\\v at the start of a range")
		}
		if s, ok := p.classEscape(at); ok {
			return s
		}
		c = p.charEscape(at)
	}
	hi := c
	if p.peek() == '-' && p.ahead(1) >= 0 && p.ahead(1) != '[' && p.ahead(1) != ']' {
		p.i++
		hi = p.rangeEnd(at)
		if hi < c {
			p.refuse(at, "a range in a class whose ends are in the wrong order")
		}
	}
	s := set{{c, hi}}
	if p.flags.fold {
		s = s.foldASCII()
	}
	return s
}

func (p *parser) rangeEnd(at int) rune {
	c := p.peek()
	p.i++
	if c != '\\' {
		return c
	}
	switch p.peek() {
	case 'd', 'D', 'w', 'W', 's', 'S', 'h', 'H', 'v', 'V', 'p', 'P':
		p.refuse(at, "a range in a class that ends with a class")
	}
	return p.charEscape(at)
}
