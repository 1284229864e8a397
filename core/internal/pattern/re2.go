package pattern

import (
	"regexp"
	"strconv"
	"strings"
)

// re2Writer writes a regular tree in the syntax of package regexp. It uses no
// flags and no predefined classes, so that nothing depends on what they mean.
type re2Writer struct {
	strings.Builder
	last  int
	index map[int]int // group of the pattern: group of the regexp
}

// compileRE2 compiles a regular tree, matched at both ends. With tail set, the
// final .* becomes the last group. It gives nil if the package has a limit
// that the checks here do not know.
func compileRE2(tree *node, tail bool) (re *regexp.Regexp, index map[int]int) {
	w := re2Writer{index: map[int]int{}}
	w.WriteString(`\A(?:`)
	if tail {
		last := len(tree.subs) - 1
		for _, s := range tree.subs[:last] {
			w.node(s)
		}
		w.WriteByte('(')
		w.node(tree.subs[last])
		w.WriteByte(')')
	} else {
		w.node(tree)
	}
	w.WriteString(`)\z`)
	re, err := regexp.Compile(w.String())
	if err != nil {
		return nil, nil
	}
	return re, w.index
}

func (w *re2Writer) node(n *node) {
	switch n.op {
	case opSet:
		w.set(n.set)
	case opCat:
		for _, s := range n.subs {
			w.node(s)
		}
	case opAlt:
		w.WriteString("(?:")
		for i, s := range n.subs {
			if i > 0 {
				w.WriteByte('|')
			}
			w.node(s)
		}
		w.WriteByte(')')
	case opRepeat:
		w.repeat(n)
	case opGroup:
		if n.used {
			w.last++
			w.index[n.index] = w.last
			w.WriteByte('(')
		} else {
			w.WriteString("(?:")
		}
		w.node(n.subs[0])
		w.WriteByte(')')
	case opBegin:
		w.WriteString(`\A`)
	case opEnd:
		w.WriteString(`\z`)
	case opWord:
		w.WriteString(`\b`)
	case opNotWord:
		w.WriteString(`\B`)
	default:
	}
}

func (w *re2Writer) repeat(n *node) {
	if n.max == 0 {
		return
	}
	w.WriteString("(?:")
	w.node(n.subs[0])
	w.WriteByte(')')
	switch {
	case n.min == 0 && n.max == 1:
		w.WriteByte('?')
	case n.min == 0 && n.max < 0:
		w.WriteByte('*')
	case n.min == 1 && n.max < 0:
		w.WriteByte('+')
	case n.max < 0:
		w.WriteString("{" + strconv.Itoa(n.min) + ",}")
	default:
		w.WriteString("{" + strconv.Itoa(n.min) + "," + strconv.Itoa(n.max) + "}")
	}
	if n.mode == lazy {
		w.WriteByte('?')
	}
}

func (w *re2Writer) set(s set) {
	if r, ok := s.only(); ok {
		w.rune(r)
		return
	}
	if len(s) == 0 {
		w.WriteString(`[^\x00-\x{10FFFF}]`)
		return
	}
	w.WriteByte('[')
	for _, sp := range s {
		w.rune(sp.lo)
		if sp.hi > sp.lo {
			w.WriteByte('-')
			w.rune(sp.hi)
		}
	}
	w.WriteByte(']')
}

func (w *re2Writer) rune(r rune) {
	if isAlnum(r) || r == '/' || r == '_' {
		w.WriteByte(byte(r))
		return
	}
	w.WriteString(`\x{`)
	w.WriteString(strconv.FormatInt(int64(r), 16))
	w.WriteByte('}')
}
