package pattern

import (
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func TestRefusalsNameTheConstructAndItsPlace(t *testing.T) {
	tests := []struct {
		name, pattern string
		want          []string
	}{
		{"a flag that is not known here", "/a(?x)b", []string{"at character 2", "flag x"}},
		{"a doubled name", "/(?<id>a)(?<id>b)", []string{"at character 9", `"id"`}},
		{"a property", `/a\p{IsLatin}`, []string{"at character 2", "IsLatin"}},
		{"an unclosed group", "/a(b", []string{"at character 2", "not closed"}},
		{"a dangling star", "*a", []string{"at character 0", "nothing to repeat"}},
		{"places behind a quote count the quote", `\Qab\E(?x)`, []string{"at character 6", "flag x"}},
		{"the end of a pattern that is only a quote", `\Qab\E(`, []string{"at character 6"}},
		{"a bad escape at the end", `ab\`, []string{"at character 2"}},
		{"a negated class with an intersection", "[^a-z&&[b]]", []string{"at character 0", "&&"}},
		{"too many characters", strings.Repeat("a", core.MaxPattern+1), []string{"1025", "1024"}},
		{"a count that is too large", "a{1001}", []string{"1000"}},
		{"repetitions that multiply", "(?:a{40}){40}", []string{"1000"}},
		{"too many instructions", strings.Repeat("(?:a{0,30}b)", 40), []string{"instructions"}},
		{"groups that nest too deep", strings.Repeat("(", 101) + strings.Repeat(")", 101), []string{"100"}},
		{"classes that nest too deep", strings.Repeat("[", 102) + "a" + strings.Repeat("]", 102), []string{"100"}},
		{"classes that are too large", strings.Repeat(`\p{L}`, 20), []string{"ranges"}},
		{"bytes that are no UTF-8", "a\xff", []string{"UTF-8"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Compile(tt.pattern)
			if core.ErrorCode(err) != core.Invalid {
				t.Fatalf("%v; want the code Invalid", err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
}

func TestTheBombOfNestedRepetitionsIsRefused(t *testing.T) {
	if _, err := Compile(strings.Repeat("((a{0,30}){0,30})", 50)); core.ErrorCode(err) != core.Invalid {
		t.Fatalf("%v; want the code Invalid", err)
	}
}

func TestPatternsMatchTheWholePath(t *testing.T) {
	tests := []struct {
		pattern   string
		yes, no   []string
		asLongAs_ string
	}{
		{pattern: "/api/backup/(?<id>[0-9]+)", yes: []string{"/api/backup/1"}, no: []string{"/api/x/api/backup/1", "/api/backup/1/", "/api/backup/1x", "x/api/backup/1", "/api/backup/", "/api/backup/1\n"}},
		{pattern: "/a|/b", yes: []string{"/a", "/b"}, no: []string{"/ab", "/a/b", "/bx", "x/a", "/a\n"}},
		{pattern: "(/a)|(/b)|", yes: []string{"/a", "/b", ""}, no: []string{"/", "/c", "/a/"}},
		{pattern: "/api/org/.*/currentTime", yes: []string{"/api/org/1/currentTime", "/api/org//currentTime", "/api/org/a/b/currentTime"}, no: []string{"/api/org/currentTime", "/api/org/1/currentTime/", "/api/org/1/currentTimex", "/api/org/\n/currentTime"}},
		{pattern: "/a.*b.*b", yes: []string{"/abb", "/axbxbb"}, no: []string{"/ab", "/abxa"}},
		{pattern: "", yes: []string{""}, no: []string{"/"}},
		{pattern: ".*", yes: []string{"", "/", "/é"}, no: []string{"\n", "a\u2028"}},
	}
	for _, tt := range tests {
		p, err := Compile(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range tt.yes {
			if ok, err := p.Match(s); !ok || err != nil {
				t.Errorf("%q on %q: %v, %v", tt.pattern, s, ok, err)
			}
		}
		for _, s := range tt.no {
			if ok, err := p.Match(s); ok || err != nil {
				t.Errorf("%q on %q: %v, %v", tt.pattern, s, ok, err)
			}
		}
	}
}

func TestCompileTail(t *testing.T) {
	for _, src := range []string{"/custom", "/custom/(.*)", "/custom/.*?", "/custom/.+", "/a/.*|/b/.*", "/a|/b/.*", "/a/.*.*", "/a/.*$", "", `/a/\.*`, "/a/.*+", `/a/\Q.*\E`, `/a/[^\n\r\x{85}\x{2028}\x{2029}]*`} {
		if _, err := CompileTail(src); core.ErrorCode(err) != core.Invalid {
			t.Errorf("%q: %v; want the code Invalid", src, err)
		}
	}
	tests := []struct{ pattern, path, head string }{
		{"/custom/.*", "/custom/a/b", "/custom/"},
		{"/custom/.*", "/custom/", "/custom/"},
		{"/custom/.*", "/custo", "-"},
		{"/custom/.*", "/custom/\n", "-"},
		{".*", "/x", ""},
		{"/a/.*/b/.*", "/a/1/b/2/b/3", "/a/1/b/2/b/"},
		{"/a/.*/b/.*", "/a/1/b/", "/a/1/b/"},
		{"/a.*b.*b.*", "/abbb", "/abbb"},
		{"/a.*b.*b.*", "/ab", "-"},
		{"/a.*ab.*", "/aababa", "/aabab"},
		{"(?:/a|/b)/.*", "/b/é/x", "/b/"},
		{"/[a-z]*.*", "/ab1", "/ab"},
		{"/[a-z]*?.*", "/ab1", "/"},
		{"/(?<id>[^/]+)/.*", "/org/x/y", "/org/"},
		{"/(?!admin)[^/]+/.*", "/user/x", "/user/"},
		{"/(?!admin)[^/]+/.*", "/admin/x", "-"},
		{"(?s)/a/.*", "/a/\n", "/a/"},
		{"(?:/a)?.*", "/ab", "/a"},
	}
	for _, tt := range tests {
		p, err := CompileTail(tt.pattern)
		if err != nil {
			t.Fatalf("%q: %v", tt.pattern, err)
		}
		off, ok, err := p.Tail(tt.path)
		if err != nil || ok != (tt.head != "-") || ok && tt.path[:off] != tt.head {
			t.Errorf("%q on %q: %d, %v, %v; want %q", tt.pattern, tt.path, off, ok, err, tt.head)
		}
		slots, prog, err := p.backtrack(tt.path)
		if err != nil || (slots != nil) != ok || ok && slots[prog.tail] != off {
			t.Errorf("%q on %q by backtracking: %v, %v; want %d", tt.pattern, tt.path, slots, err, off)
		}
	}
}

func TestGroup(t *testing.T) {
	p, err := Compile("(?:/api/(?<id>[a-z]+)|/ext/(?<other>[0-9]+))(/.*)?")
	if err != nil {
		t.Fatal(err)
	}
	if n := p.GroupNames(); !slices.Equal(n, []string{"id", "other"}) {
		t.Errorf("names %q", n)
	}
	for _, tt := range []struct {
		path, name, value string
		ok                bool
	}{
		{"/api/ab", "id", "ab", true},
		{"/api/ab/c", "id", "ab", true},
		{"/api/ab", "other", "", false},
		{"/ext/12", "other", "12", true},
		{"/ext/12", "id", "", false},
		{"/ext/12", "none", "", false},
		{"/x", "id", "", false},
	} {
		v, ok, err := p.Group(tt.path, tt.name)
		if v != tt.value || ok != tt.ok || err != nil {
			t.Errorf("%s of %s: %q, %v, %v", tt.name, tt.path, v, ok, err)
		}
	}
}

func TestLiterals(t *testing.T) {
	for src, want := range map[string]Literals{
		"/api/org/.*/currentTime":        {"/api/org/", "/currentTime", "", false},
		"/api/.*/thing12345/.*":          {"/api/", "", "/thing12345/", false},
		"/api/cse":                       {"/api/cse", "/api/cse", "", false},
		".*":                             {"", "", "", false},
		"(/api/cse)|(/api/cse/.*)":       {"/api/cse", "", "", false},
		"(/api/x)|(/api/y)|":             {"", "", "", false},
		"(?i)/api/x1.*":                  {"/", "", "/", false},
		"/a(?:bc){2}d*":                  {"/abcbc", "", "", false},
		"/a(?:bc)+d":                     {"/abc", "bcd", "", false},
		"/(?<id>[0-9]+)/long/[0-9]+/s/x": {"/", "/s/x", "/long/", false},
		".*longbutnosegment.*/a/.*":      {"", "", "/a/", false},
		"/a(?=b).*":                      {"/a", "", "", false},
		"^/a$":                           {"/a", "/a", "", false},
		`/a\Q.*\Eb`:                      {"/a.*b", "/a.*b", "", false},
		`/(a|b)\1/x`:                     {"/", "/x", "", false},
		"/é.*":                           {"/é", "", "", false},
		"/[é]x?":                         {"/é", "", "", false},
	} {
		p, err := Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		if p.Literals() != want {
			t.Errorf("%q: %+v; want %+v", src, p.Literals(), want)
		}
	}
}

// slow are patterns on which a naive engine takes exponential time.
func slow() []string {
	return []string{
		"(?=/)(?:a|aa)+/", "(?=.)(a+)+b", "(a*)*b", "(.*)(.*)(.*)(.*)(.*)[^a]", `(a+)+\1b`, "(?>a*)*b", "(?:(?=a*)a)*b",
		"(?:a?){300}a{300}", ".*(?<=a{1,200}b)", "(?:.*a){20}", "(?:a|.){0,390}b", `(.*)a\1(.*)b\2c`, "(?:(?:a?){10}){20}b", "[ab]*a[ab]{400}c",
	}
}

func TestEveryMatchEndsAfterABoundedNumberOfSteps(t *testing.T) {
	for _, src := range slow() {
		p, err := Compile(src)
		if err != nil {
			t.Errorf("%q: %v", src, err)
			continue
		}
		for _, in := range []string{strings.Repeat("a", 8192), strings.Repeat("ab", 4096), strings.Repeat("a", 60)} {
			if _, err := p.Match(in); err != nil && core.ErrorCode(err) != core.Unavailable {
				t.Errorf("%q: %v", src, err)
			}
		}
	}
	p, err := Compile(`(a+)+\1b`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Match(strings.Repeat("a", 8192)); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("%v; want the code Unavailable", err)
	}
}

func TestRealPatternsRunOnTheLongestPath(t *testing.T) {
	long := strings.Repeat("a1-/", 2040)
	for _, src := range []string{"/api/.*/x", "/api/(?<id>[-,a-g,0-9/]+)/currentTime", "/api/(?!admin).*/x", "/api/(?:vm|vapp|network|disk|media|catalog|org)(?:/[^/]*)*/x", "/api/.*/(?<id>[0-9a-f-]{1,36})/action/.*"} {
		p, err := Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Match("/api/" + long + "x"); err != nil {
			t.Errorf("%q: %v", src, err)
		}
		if _, _, err := p.Group("/api/"+long+"x", "id"); err != nil {
			t.Errorf("%q: %v", src, err)
		}
	}
}

// randomPattern makes a regular pattern of few characters, so that inputs of
// the same characters match now and then.
func randomPattern(rng *rand.Rand, depth int) string {
	var b strings.Builder
	for range 1 + rng.IntN(4) {
		switch k := rng.IntN(10); {
		case k < 4:
			b.WriteString([]string{"a", "b", "/", "é"}[rng.IntN(4)])
		case k < 6:
			b.WriteString([]string{".*", ".", "[^/]", `\w`, "[ab]+", ".*"}[rng.IntN(6)])
		case k < 7 || depth == 0:
			b.WriteString([]string{"$", "^", `\b`, "", "(?i:a)", "(?=a)"}[rng.IntN(6)])
		default:
			b.WriteString([]string{"(", "(?:", "(?>"}[rng.IntN(3)] + randomPattern(rng, depth-1) + ")" + []string{"", "*", "+", "?", "{1,2}", "*?"}[rng.IntN(6)])
		}
		if rng.IntN(8) == 0 {
			b.WriteByte('|')
		}
	}
	return b.String()
}

func randomInput(rng *rand.Rand) string {
	var b strings.Builder
	for range rng.IntN(9) {
		b.WriteString([]string{"a", "b", "/", "é", "A"}[rng.IntN(5)])
	}
	return b.String()
}

func TestTheEnginesAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	matched := 0
	for range 4000 {
		src := randomPattern(rng, 3)
		p, err := Compile(src)
		if err != nil {
			continue
		}
		tailed, tailErr := CompileTail(src + "/.*")
		for range 12 {
			in := randomInput(rng)
			got, err := p.Match(in)
			if err != nil {
				t.Fatalf("%q on %q: %v", src, in, err)
			}
			if got {
				matched++
			}
			if p.regular {
				if slots, _, err := p.backtrack(in); err != nil || (slots != nil) != got {
					t.Fatalf("%q on %q: %v; by backtracking %v, %v", src, in, got, slots, err)
				}
				if re := p.regexp().re.MatchString(in); re != got {
					t.Fatalf("%q on %q: %v; by RE2 %v", src, in, got, re)
				}
			}
			if tailErr == nil && tailed.regular {
				off, ok, _ := tailed.Tail(in)
				slots, prog, err := tailed.backtrack(in)
				if err != nil || (slots != nil) != ok || ok && slots[prog.tail] != off {
					t.Fatalf("%q on %q: tail at %d, %v; by backtracking %v, %v", tailed, in, off, ok, slots, err)
				}
			}
		}
	}
	if matched < 1000 {
		t.Errorf("only %d matches", matched)
	}
}

func TestGlobsGiveTheTailOfTheEngines(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		var b strings.Builder
		for range 1 + rng.IntN(4) {
			b.WriteString([]string{"a", "b", "/", "ab", "/a"}[rng.IntN(5)] + []string{"", ".*"}[rng.IntN(2)])
		}
		src := b.String() + "/.*"
		p, err := CompileTail(src)
		if err != nil {
			t.Fatal(err)
		}
		if p.glob == nil {
			t.Fatalf("%q is not run directly", src)
		}
		for range 10 {
			in := randomInput(rng)
			off, ok, err := p.Tail(in)
			slots, prog, _ := p.backtrack(in)
			if err != nil || ok != (slots != nil) || ok && slots[prog.tail] != off {
				t.Fatalf("%q on %q: %d, %v, %v; by backtracking %v", src, in, off, ok, err, slots)
			}
		}
	}
}

func TestPlainPatternsSkipTheParserUnnoticed(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	plain := 0
	for range 20_000 {
		var b strings.Builder
		for range rng.IntN(8) {
			b.WriteString([]string{"a", "/", "/bc/", ".*", ".*", ".", "*", "?", "é", "%", "-d/", "{2}", "$", "x/y"}[rng.IntN(14)])
		}
		src := b.String()
		g := plainGlob(src)
		if g == nil {
			continue
		}
		plain++
		tree, _, err := tree(src)
		if err != nil {
			t.Fatalf("%q: %v", src, err)
		}
		if want := globOf(tree); !slices.Equal(g, want) {
			t.Fatalf("%q: %q; want %q", src, g, want)
		}
		if got, want := g.literals(), literalsOf(tree); !slices.Equal(got, want) {
			t.Fatalf("%q: %+v; want %+v", src, got, want)
		}
		if got, want := g.endsOpen(), checkTail(tree) == nil; got != want {
			t.Fatalf("%q: ends with one .*: %v; want %v", src, got, want)
		}
		checkLimits(t, ofGlob(src, g))
	}
	if plain < 1000 {
		t.Errorf("only %d plain patterns", plain)
	}
}

// checkLimits fails unless both compiled forms keep to the limits.
func checkLimits(t *testing.T, p *Pattern) {
	t.Helper()
	prog, err := p.backtracker()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(prog.code); n > p.size+8 {
		t.Fatalf("%q: %d instructions, counted as %d", p, n, p.size)
	}
	if !p.regular {
		return
	}
	c := p.regexp()
	if c.re == nil {
		t.Fatalf("%q: package regexp refuses it", p)
	}
	tree, err := syntax.Parse(c.re.String(), syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	re2, err := syntax.Compile(tree.Simplify())
	if err != nil {
		t.Fatal(err)
	}
	if len(re2.Inst) > p.size+8 {
		t.Fatalf("%q: RE2 needs %d instructions, counted as %d", p, len(re2.Inst), p.size)
	}
}

func FuzzCompile(f *testing.F) {
	for _, v := range []string{"/api/(?<id>[-,a-g,0-9]*)", "[a-z&&[^b]]", `\Qa\E*`, "(?i)a|(?s:.)", "(?<=a{1,2})b", "(?>a*)++", `(a)\1`, "a{0,30}", `\p{L}\x{1F600}\ud83d\ude00`, "(a{0})*", "((a?){2,3}|b){4}", `a$b\Z`} {
		f.Add(v, "/api/a")
	}
	f.Fuzz(func(t *testing.T, src, in string) {
		p, err := Compile(src)
		if err != nil {
			if core.ErrorCode(err) != core.Invalid {
				t.Fatalf("%q: %v", src, err)
			}
			return
		}
		checkLimits(t, p)
		ok, err := p.Match(in)
		if err != nil && core.ErrorCode(err) != core.Unavailable {
			t.Fatalf("%q on %q: %v", src, in, err)
		}
		l := p.Literals()
		if ok && (!strings.HasPrefix(in, l.Prefix) || !strings.HasSuffix(in, l.Suffix) || !strings.Contains(in, l.Inner)) {
			t.Fatalf("%q matches %q without its literals %+v", src, in, l)
		}
		if _, _, err := p.Group(in, "id"); err != nil && core.ErrorCode(err) != core.Unavailable {
			t.Fatalf("%q on %q: %v", src, in, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, src := range []string{"/api/org/.*/currentTime", "/api/org/(?<id>[-,a-g,0-9]+)/currentTime"} {
		b.Run(src, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	const path = "/api/org/a93c9db9-7471-3192-8d09-a8f7eeda85f9/currentTime"
	for _, src := range []string{"/api/org/.*/currentTime", "/api/org/[-,a-g,0-9]+/currentTime", "/api/org/(?!x)[-,a-g,0-9]+/currentTime"} {
		p, err := Compile(src)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(src, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := p.Match(path); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

// BenchmarkSlow shows what the worst patterns cost on the longest path.
func BenchmarkSlow(b *testing.B) {
	in := strings.Repeat("ab", 4095) + "aa"
	for _, src := range slow() {
		p, err := Compile(src)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(src, func(b *testing.B) {
			for b.Loop() {
				_, _ = p.Match(in)
			}
		})
	}
}
