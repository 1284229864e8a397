package telemetry

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean gives a text of strangers in a form that can be looked at: at most
// limit bytes of it, and what does not print as an escape.
func clean(s string, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
	}
	if plain(s) && !cut {
		return s
	}
	s = escape(s, unprintable)
	if cut {
		s += "…"
	}
	return s
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// escape writes what is hidden, and what is no UTF-8, as escapes.
func escape(s string, hidden func(rune) bool) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case hidden(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// Clean is for texts of others in what an operator reads.
func Clean(s string) string { return clean(s, maxPath) }

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
