package pattern

// group reads what follows an opening parenthesis.
func (p *parser) group(start int) *node {
	p.depth++
	if p.depth > maxDepth {
		p.refuse(start, "groups that nest deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	outer := p.flags
	n := &node{}
	switch {
	case !p.accept('?'):
		p.capture(n, "")
	case p.accept(':'):
		n.op = opCat
	case p.accept('='):
		n.op = opAhead
	case p.accept('!'):
		n.op, n.negative = opAhead, true
	case p.accept('>'):
		n.op = opAtomic
	case p.accept('<'):
		switch {
		case p.accept('='):
			n.op = opBehind
		case p.accept('!'):
			n.op, n.negative = opBehind, true
		default:
			p.capture(n, p.groupName(start))
		}
	default:
		if p.inlineFlags(start) {
			return nil
		}
		n.op = opCat
	}
	n.subs = []*node{p.alternatives()}
	if !p.accept(')') {
		p.refuse(start, "a '(' that is not closed")
	}
	p.flags = outer
	if n.op == opGroup {
		delete(p.open, n.index)
	}
	if n.op == opBehind {
		p.checkBehind(n, start)
	}
	return n
}

func (p *parser) capture(n *node, name string) {
	n.op, n.name, n.index = opGroup, name, len(p.groups)
	n.used = name != ""
	p.groups = append(p.groups, n)
	if p.open == nil {
		p.open = make(map[int]bool)
	}
	p.open[n.index] = true
}

// groupName reads a name and its closing bracket.
func (p *parser) groupName(start int) string {
	first := p.i
	if !isAlpha(p.peek()) {
		p.refuse(start, "a group name that does not start with a letter a-z or A-Z")
	}
	for isAlnum(p.peek()) {
		p.i++
	}
	name := p.since(first)
	if !p.accept('>') {
		p.refuse(start, "a group name that is not closed with '>'; names hold letters and digits only")
	}
	for _, g := range p.groups[1:] {
		if g.name == name {
			p.refuse(start, "a second group named %q", name)
		}
	}
	return name
}

// inlineFlags reads flags and reports whether they stand alone, as in (?i).
func (p *parser) inlineFlags(start int) bool {
	on := true
	for n := 0; p.err == nil; n++ {
		c := p.peek()
		p.i++
		switch c {
		case 'i':
			p.flags.fold = on
		case 's':
			p.flags.dotAll = on
		case 'm':
			p.flags.multiLine = on
		case 'd':
			p.flags.unixLines = on
		case '-':
			if !on {
				p.refuse(start, "a group that starts with flags that cannot be read")
			}
			on = false
		case ')', ':':
			if n == 0 {
				p.refuse(start, "a group (?) without flags")
			}
			return c == ')'
		case 'x':
			p.refuse(start, "the flag x (comments) is not supported")
		case 'u', 'U', 'c':
			p.refuse(start, "the flag %c is not supported: case and classes are those of ASCII", c)
		default:
			p.refuse(start, "a group that starts with (?%s is none that Java knows", printable(c))
		}
	}
	return true
}

// checkBehind refuses look-behinds that Java refuses, or in which the two
// directions of reading could differ.
func (p *parser) checkBehind(n *node, start int) {
	if _, most := n.subs[0].width(); most < 0 {
		p.refuse(start, "a look-behind without an obvious greatest length")
	}
	n.subs[0].walk(func(m *node) bool {
		switch m.op {
		case opAhead, opBehind, opAtomic, opReference:
			p.refuse(start, "a look-behind that holds a look-around, an atomic group or a back-reference")
		case opRepeat:
			if m.mode == possessive || m.max < 0 || m.subs[0].op != opSet && m.max > 1 {
				p.refuse(start, "a look-behind that holds a possessive, unlimited or group repetition")
			}
		}
		return true
	})
}
