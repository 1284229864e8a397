package pattern

import (
	"strings"
	"unicode/utf8"

	"github.com/annex-gateway/annex/core"
)

// glob is a pattern of literals with .* between them, which is what most are.
// It needs no engine. The first literal stands at the start, the last one at
// the end.
type glob []string

// plainGlob gives the glob of a pattern that consists of .* and characters
// without a special meaning, or nil. It spares most patterns the parser, and
// gives what the parser would lead to.
func plainGlob(src string) glob {
	gaps := 0
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case isAlnum(rune(c)) || strings.IndexByte("/-_~:@%,;=", c) >= 0:
		case c == '.' && i+1 < len(src) && src[i+1] == '*' && (i+2 == len(src) || strings.IndexByte("*+?{", src[i+2]) < 0):
			gaps++
			i++
		default:
			return nil
		}
	}
	if len(src) > core.MaxPattern {
		return nil
	}
	g := make(glob, 0, gaps+1)
	for range gaps {
		var text string
		text, src, _ = strings.Cut(src, ".*")
		g = append(g, text)
	}
	return append(g, src)
}

// literals gives the literals of the glob.
func (g glob) literals() []Literals {
	if len(g) == 1 {
		return []Literals{{Prefix: g[0], Suffix: g[0], Empty: g[0] == ""}}
	}
	l := Literals{Prefix: g[0], Suffix: g[len(g)-1]}
	for _, text := range g[1 : len(g)-1] {
		l.Inner = better(l.Inner, text)
	}
	return []Literals{l}
}

// endsOpen reports whether the glob ends with exactly one .*.
func (g glob) endsOpen() bool {
	n := len(g)
	return n > 1 && g[n-1] == "" && (n == 2 || g[n-2] != "")
}

// globOf gives the glob of a tree, or nil.
func globOf(tree *node) glob {
	subs := tree.subs
	if tree.op != opCat {
		subs = []*node{tree}
	}
	var g glob
	var text strings.Builder
	var ends []int
	for _, n := range subs {
		if n.op == opEmpty {
			continue
		}
		if n.isDotStar() && !n.subs[0].set.has('\n') && !n.subs[0].set.has('\r') {
			ends = append(ends, text.Len())
			continue
		}
		r, ok := n.set.only()
		if n.op != opSet || !ok || !utf8.ValidRune(r) {
			return nil
		}
		text.WriteRune(r)
	}
	all, start := text.String(), 0
	for _, end := range ends {
		g = append(g, all[start:end])
		start = end
	}
	return append(g, all[start:])
}

// match reports whether s matches, provided that it holds no line end.
func (g glob) match(s string) bool {
	if len(g) == 1 {
		return s == g[0]
	}
	if !strings.HasPrefix(s, g[0]) {
		return false
	}
	s = s[len(g[0]):]
	last := g[len(g)-1]
	if !strings.HasSuffix(s, last) {
		return false
	}
	s = s[:len(s)-len(last)]
	for _, text := range g[1 : len(g)-1] {
		i := strings.Index(s, text)
		if i < 0 {
			return false
		}
		s = s[i+len(text):]
	}
	return true
}

// tail gives where the final .* starts when all the others take as much as
// they can. Then each literal stands as far to the right as the ones behind it
// allow.
func (g glob) tail(s string) (int, bool) {
	if !g.match(s) {
		return 0, false
	}
	if len(g) == 2 {
		return len(g[0]), true
	}
	text := g[len(g)-2]
	return strings.LastIndex(s, text) + len(text), true
}

// hasLineEnd reports whether s holds a character that a dot does not match.
func hasLineEnd(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= '\r' && (c == '\n' || c == '\r') || c >= utf8.RuneSelf {
			return strings.ContainsAny(s[i:], "\n\r\u0085\u2028\u2029")
		}
	}
	return false
}
