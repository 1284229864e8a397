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
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	if cut {
		b.WriteString("…")
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
