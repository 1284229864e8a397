package pattern

import (
	"strings"
	"unicode/utf8"
)

// maxAlternatives is how many alternatives are told apart.
const maxAlternatives = 8

// Literals are strings that tell early that a pattern cannot match: every
// match starts with Prefix, ends with Suffix and contains Inner. One that is
// not known is empty. Inner is not part of Prefix or Suffix.
type Literals struct {
	Prefix, Suffix, Inner string
	Empty                 bool // the only match is the empty string
}

// literalsOf gives the literals of the whole tree, and behind them those of
// its alternatives, if it has a few.
func literalsOf(tree *node) []Literals {
	as := func(f facts) Literals {
		return Literals{Prefix: f.prefix, Suffix: f.suffix, Inner: f.inner, Empty: f.exact && f.prefix == ""}
	}
	all := []Literals{as(literals(tree))}
	if tree.op == opAlt && len(tree.subs) <= maxAlternatives {
		for _, s := range tree.subs {
			all = append(all, as(literals(s)))
		}
	}
	return all
}

// facts is what is known about all matches of a part of a pattern.
type facts struct {
	exact          bool // every match is prefix, which is also suffix
	prefix, suffix string
	inner          string
}

// maxLiteral bounds the length of a literal that repetitions make.
const maxLiteral = 256

func exactly(s string) facts { return facts{exact: true, prefix: s, suffix: s} }

// literals gives the facts about n.
func literals(n *node) facts {
	switch n.op {
	case opSet:
		if r, ok := n.set.only(); ok && utf8.ValidRune(r) {
			return exactly(string(r))
		}
		return facts{}
	case opCat:
		return sequenceFacts(n.subs)
	case opAlt:
		f := literals(n.subs[0])
		for _, s := range n.subs[1:] {
			f = either(f, literals(s))
		}
		return f
	case opRepeat:
		return repeated(literals(n.subs[0]), n.min, n.max)
	case opGroup, opAtomic:
		return literals(n.subs[0])
	case opReference:
		return facts{}
	default:
		return exactly("")
	}
}

// sequenceFacts puts runs of single characters together at once, which is
// what patterns mostly consist of.
func sequenceFacts(subs []*node) facts {
	f := exactly("")
	var text strings.Builder
	for _, s := range subs {
		if r, ok := s.set.only(); ok && s.op == opSet && utf8.ValidRune(r) {
			text.WriteRune(r)
			continue
		}
		if text.Len() > 0 {
			f = then(f, exactly(text.String()))
			text.Reset()
		}
		f = then(f, literals(s))
	}
	if text.Len() > 0 {
		f = then(f, exactly(text.String()))
	}
	return f
}

func then(a, b facts) facts {
	if a.exact && b.exact {
		return exactly(a.prefix + b.prefix)
	}
	f := facts{prefix: a.prefix, suffix: b.suffix, inner: better(a.inner, b.inner)}
	switch {
	case a.exact:
		f.prefix += b.prefix
	case b.exact:
		f.suffix = a.suffix + f.suffix
	default:
		f.inner = better(f.inner, a.suffix+b.prefix)
	}
	return f
}

func either(a, b facts) facts {
	if a.exact && b.exact && a.prefix == b.prefix {
		return a
	}
	f := facts{}
	n := 0
	for n < min(len(a.prefix), len(b.prefix)) && a.prefix[n] == b.prefix[n] {
		n++
	}
	f.prefix = a.prefix[:n]
	n = 0
	for n < min(len(a.suffix), len(b.suffix)) && a.suffix[len(a.suffix)-1-n] == b.suffix[len(b.suffix)-1-n] {
		n++
	}
	f.suffix = a.suffix[len(a.suffix)-n:]
	if a.inner == b.inner {
		f.inner = a.inner
	}
	return f
}

func repeated(f facts, least, most int) facts {
	switch {
	case least == 0 && most == 0:
		return exactly("")
	case least == 0:
		return facts{}
	case f.exact && len(f.prefix)*least > maxLiteral:
		return facts{prefix: f.prefix, suffix: f.suffix}
	case f.exact && least == most:
		return exactly(strings.Repeat(f.prefix, least))
	case f.exact:
		s := strings.Repeat(f.prefix, least)
		return facts{prefix: s, suffix: s}
	}
	return facts{prefix: f.prefix, suffix: f.suffix, inner: f.inner}
}

// better chooses the literal that tells more: one that holds a whole path
// segment, then the longer one.
func better(a, b string) string {
	sa, sb := len(segment(a)), len(segment(b))
	if sb > sa || sb == sa && len(b) > len(a) {
		return b
	}
	return a
}

// segment gives the longest piece of s that stands between two slashes.
func segment(s string) string {
	best := ""
	_, rest, _ := strings.Cut(s, "/")
	for {
		piece, after, ok := strings.Cut(rest, "/")
		if !ok {
			return best
		}
		if len(piece) > len(best) {
			best = piece
		}
		rest = after
	}
}
