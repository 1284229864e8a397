package pattern

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// set is a set of characters: sorted ranges that neither touch nor overlap.
// Sets are never changed once made. Surrogates are in no set: a string of
// UTF-8 holds none.
type set []span

type span struct{ lo, hi rune }

const (
	surrogateMin = 0xD800
	surrogateMax = 0xDFFF
)

// setOf makes the set of the given spans, which may overlap.
func setOf(spans ...span) set {
	s := slices.Clone(spans)
	slices.SortFunc(s, func(a, b span) int { return int(a.lo - b.lo) })
	out := s[:0]
	for _, sp := range s {
		if n := len(out); n > 0 && sp.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, sp.hi)
		} else {
			out = append(out, sp)
		}
	}
	return out
}

func single(r rune) set { return set{{r, r}} }

func (s set) has(r rune) bool {
	for _, sp := range s {
		if r <= sp.hi {
			return r >= sp.lo
		}
	}
	return false
}

func (s set) union(o set) set {
	switch {
	case len(s) == 0:
		return o
	case len(o) == 0:
		return s
	}
	return setOf(slices.Concat(s, o)...)
}

func (s set) negate() set {
	var out set
	next := rune(0)
	for _, sp := range s.union(set{{surrogateMin, surrogateMax}}) {
		if sp.lo > next {
			out = append(out, span{next, sp.lo - 1})
		}
		next = sp.hi + 1
	}
	if next <= utf8.MaxRune {
		out = append(out, span{next, utf8.MaxRune})
	}
	return out
}

func (s set) intersect(o set) set { return s.negate().union(o.negate()).negate() }

// foldASCII adds the other case of each ASCII letter: what Java's
// case-insensitive mode does unless UNICODE_CASE is on.
func (s set) foldASCII() set {
	out := s
	for _, sp := range s {
		if lo, hi := max(sp.lo, 'a'), min(sp.hi, 'z'); lo <= hi {
			out = out.union(set{{lo - 'a' + 'A', hi - 'a' + 'A'}})
		}
		if lo, hi := max(sp.lo, 'A'), min(sp.hi, 'Z'); lo <= hi {
			out = out.union(set{{lo - 'A' + 'a', hi - 'A' + 'a'}})
		}
	}
	return out
}

// only gives the one character of the set.
func (s set) only() (rune, bool) {
	if len(s) == 1 && s[0].lo == s[0].hi {
		return s[0].lo, true
	}
	return 0, false
}

func fromTable(t *unicode.RangeTable) set {
	var spans []span
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			spans = append(spans, span{lo, hi})
			return
		}
		for r := lo; r <= hi; r += stride {
			spans = append(spans, span{r, r})
		}
	}
	for _, r := range t.R16 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range t.R32 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	return setOf(spans...)
}

// The predefined classes of java.util.regex, without UNICODE_CHARACTER_CLASS.
func digits() set    { return set{{'0', '9'}} }
func wordChars() set { return set{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}} }
func spaces() set    { return set{{'\t', '\r'}, {' ', ' '}} }
func vertical() set  { return set{{'\n', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}} }
func lineEnds() set  { return set{{'\n', '\n'}, {'\r', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}} }
func anyChar() set   { return set(nil).negate() }
func horizontal() set {
	return set{
		{'\t', '\t'},
		{' ', ' '},
		{0xA0, 0xA0},
		{0x1680, 0x1680},
		{0x180e, 0x180e},
		{0x2000, 0x200a},
		{0x202f, 0x202f},
		{0x205f, 0x205f},
		{0x3000, 0x3000},
	}
}

// property gives the set of a \p{name}, if it has one meaning in every
// version of Java that matters. cased tells that case-insensitive mode has
// changed its meaning between versions.
func property(name string) (s set, cased, ok bool) {
	switch name {
	case "Lower":
		return set{{'a', 'z'}}, true, true
	case "Upper":
		return set{{'A', 'Z'}}, true, true
	case "ASCII":
		return set{{0, 0x7f}}, false, true
	case "Alpha":
		return set{{'A', 'Z'}, {'a', 'z'}}, false, true
	case "Digit":
		return digits(), false, true
	case "Alnum":
		return set{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}, false, true
	case "Punct":
		return set{{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}, false, true
	case "Graph":
		return set{{'!', '~'}}, false, true
	case "Print":
		return set{{' ', '~'}}, false, true
	case "Blank":
		return set{{'\t', '\t'}, {' ', ' '}}, false, true
	case "Cntrl":
		return set{{0, 0x1f}, {0x7f, 0x7f}}, false, true
	case "XDigit":
		return set{{'0', '9'}, {'A', 'F'}, {'a', 'f'}}, false, true
	case "Space":
		return spaces(), false, true
	}
	return category(name)
}

func category(name string) (s set, cased, ok bool) {
	if len(name) > 2 && name[:2] == "Is" {
		name = name[2:]
	}
	switch name {
	case "L", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No",
		"P", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So",
		"Z", "Zs", "Zl", "Zp", "Cc", "Cf":
		return fromTable(unicode.Categories[name]), false, true
	case "Lu", "Ll", "Lt":
		return fromTable(unicode.Categories[name]), true, true
	}
	return nil, false, false
}
