package pattern

import (
	"bufio"
	"compress/gzip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/annex-gateway/annex/core"
)

// verdict is a pattern with what Java says about it.
type verdict struct {
	pattern string
	valid   bool
	inputs  []verdictInput
}

type verdictInput struct {
	text  string
	match bool
	id    string
	hasID bool
}

func unescapeVerdict(t *testing.T, s string) string {
	t.Helper()
	var units []uint16
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			units = append(units, uint16(s[i]))
			continue
		}
		v, err := strconv.ParseUint(s[i+2:i+6], 16, 16)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		units = append(units, uint16(v))
		i += 5
	}
	return string(utf16.Decode(units))
}

func verdicts(t *testing.T) []verdict {
	t.Helper()
	name := "testdata/verdicts.tsv.gz"
	if other := os.Getenv("ANNEX_VERDICTS"); other != "" {
		name = other // a larger table, see testdata/gen
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []verdict
	for lines := bufio.NewScanner(z); lines.Scan(); {
		w := strings.Split(lines.Text(), "\t")
		if w[0] == "P" {
			all = append(all, verdict{pattern: unescapeVerdict(t, w[1]), valid: w[2] == "1"})
			continue
		}
		v := &all[len(all)-1]
		in := verdictInput{text: unescapeVerdict(t, w[1]), match: w[2] == "1"}
		if in.hasID = w[3] != "-"; in.hasID {
			in.id = unescapeVerdict(t, w[3][1:])
		}
		v.inputs = append(v.inputs, in)
	}
	return all
}

// excepted reports whether the JDK of the table is no measure: until version
// 18, \b and \B knew the letters of all scripts, which \w never did; and a
// look-behind counts a character beyond U+FFFF as two when the pattern holds
// none, against its own documentation.
func excepted(pattern, input string) bool {
	beyond := func(limit rune) bool {
		return strings.IndexFunc(input, func(r rune) bool { return r > limit }) >= 0
	}
	boundary := strings.Contains(pattern, `\b`) || strings.Contains(pattern, `\B`)
	behind := strings.Contains(pattern, "(?<=") || strings.Contains(pattern, "(?<!")
	return boundary && beyond(0x7f) || behind && beyond(0xffff)
}

var quoted = regexp.MustCompile(`"[^"]*"|'[^']*'|[0-9]+|\(\?\S*|\\p\{\S*|\\\S+`)

// TestJavaVerdicts compares every accepted pattern with java.util.regex, on
// both engines that can run it.
func TestJavaVerdicts(t *testing.T) {
	var accepted, globs, regular, backtracked, invalid, refused, rows int
	reasons := map[string]int{}
	for _, v := range verdicts(t) {
		p, err := Compile(v.pattern)
		if err == nil && !v.valid {
			t.Errorf("%q is accepted; Java refuses it", v.pattern)
			continue
		}
		if err != nil {
			if !v.valid {
				invalid++
				continue
			}
			refused++
			_, text, _ := strings.Cut(err.Error(), "cannot be used: ")
			if _, after, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(text, "at character") {
				text = after
			}
			reasons[quoted.ReplaceAllString(text, "…")]++
			continue
		}
		accepted++
		switch {
		case p.glob != nil:
			globs++
		case p.regular:
			regular++
		default:
			backtracked++
		}
		for _, in := range v.inputs {
			if excepted(v.pattern, in.text) {
				continue
			}
			rows++
			checkVerdict(t, p, in)
		}
	}
	t.Logf("accepted %d (direct %d, RE2 %d, backtracking %d), refused %d, refused by Java too %d; %d rows", accepted, globs, regular, backtracked, refused, invalid, rows)
	if rows < 10_000 {
		t.Errorf("only %d rows", rows)
	}
	if refused > accepted {
		t.Errorf("%d of %d patterns that Java accepts are refused", refused, refused+accepted)
	}
	list := make([]string, 0, len(reasons))
	for r := range reasons {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b string) int { return reasons[b] - reasons[a] })
	for _, r := range list {
		t.Logf("refused %4d: %s", reasons[r], r)
	}
}

func checkVerdict(t *testing.T, p *Pattern, in verdictInput) {
	t.Helper()
	got, err := p.Match(in.text)
	if core.ErrorCode(err) == core.Unavailable {
		return // no verdict is not a wrong one
	}
	if err != nil || got != in.match {
		t.Errorf("%q on %q: %v, %v; Java says %v", p, in.text, got, err, in.match)
	}
	slots, prog, err := p.backtrack(in.text)
	if err != nil || (slots != nil) != in.match {
		t.Errorf("%q on %q by backtracking: %v, %v; Java says %v", p, in.text, slots, err, in.match)
	}
	id, ok, err := p.Group(in.text, "id")
	if err != nil || id != in.id || ok != in.hasID {
		t.Errorf("%q on %q: group %q, %v, %v; Java says %q, %v", p, in.text, id, ok, err, in.id, in.hasID)
	}
	if p.regular {
		i, known := prog.index[p.group("id")]
		switch {
		case slots == nil || !known || slots[i] < 0:
			if in.hasID {
				t.Errorf("%q on %q by backtracking: no group; Java says %q", p, in.text, in.id)
			}
		case !in.hasID || in.text[slots[i]:slots[i+1]] != in.id:
			t.Errorf("%q on %q by backtracking: group %q; Java says %q", p, in.text, in.text[slots[i]:slots[i+1]], in.id)
		}
	}
	if !in.match {
		return
	}
	l := p.Literals()
	if !strings.HasPrefix(in.text, l.Prefix) || !strings.HasSuffix(in.text, l.Suffix) || !strings.Contains(in.text, l.Inner) {
		t.Errorf("%q matches %q without its literals %+v", p, in.text, l)
	}
}
