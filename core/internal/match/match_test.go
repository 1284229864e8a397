package match

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func urlFilter(id, pattern string, scope core.Scope) core.Filter {
	return core.Filter{ID: id, System: "s", Stage: core.OnDispatch, Scope: scope, URLPattern: pattern}
}

func typeFilter(id, contentType string) core.Filter {
	return core.Filter{ID: id, System: "s", Stage: core.OnResponse, ResponseContentType: contentType}
}

func rulesOf(tb testing.TB, tail bool, filters ...core.Filter) Table {
	tb.Helper()
	var table Table
	for _, f := range filters {
		r, err := Compile(f, tail)
		if err != nil {
			tb.Fatal(err)
		}
		table = table.With(r)
	}
	return table
}

func ids(hits []Hit) []string {
	list := []string{}
	for _, h := range hits {
		list = append(list, h.Filter.ID)
	}
	return list
}

func TestByURL(t *testing.T) {
	table := rulesOf(t, false,
		urlFilter("5", "/api/org/.*/currentTime", core.ScopeAPI), urlFilter("4", "/api/org/.*", core.ScopeAPI), urlFilter("3", ".*", core.ScopeAPI),
		urlFilter("2", "/api/.*/thing1/.*", core.ScopeAPI), urlFilter("1", "/api/cse", core.ScopeAPI), urlFilter("6", "(/api/cse)|(/api/cse/.*)|", core.ScopeAPI),
		urlFilter("7", "/api/[a-z]+/[0-9]+", core.ScopeAPI), urlFilter("8", "/api/.*x1.*|/api/.*y22.*", core.ScopeAPI), urlFilter("9", ".*", core.ScopeExtAPI),
		urlFilter("a", "/api/(?!org).*", core.ScopeAPI))
	if table.Len() != 10 {
		t.Errorf("%d filters", table.Len())
	}
	for path, want := range map[string][]string{
		"/api/org/1/currentTime": {"3", "4", "5"},
		"/api/cse":               {"1", "3", "6", "a"},
		"/api/cse/x":             {"3", "6", "a"},
		"/api/csex":              {"3", "a"},
		"/api/a/thing1/b":        {"2", "3", "a"},
		"/api/thing1/b":          {"3", "a"},
		"/api/org/12":            {"3", "4", "7"},
		"/api/ax1":               {"3", "8", "a"},
		"/api/ay22/x1":           {"3", "8", "a"},
		"/other":                 {"3"},
		"":                       {},
	} {
		hits, err := table.ByURL(nil, core.OnDispatch, core.ScopeAPI, path)
		if err != nil || !slices.Equal(ids(hits), want) {
			t.Errorf("%q: %q, %v; want %q", path, ids(hits), err, want)
		}
		for _, h := range hits {
			if h.Offset != -1 {
				t.Errorf("%q: offset %d", path, h.Offset)
			}
		}
	}
	if hits, _ := table.ByURL(nil, core.OnArrival, core.ScopeAPI, "/api/cse"); len(hits) != 0 {
		t.Errorf("another stage: %q", ids(hits))
	}
	if hits, _ := table.ByURL(nil, core.OnDispatch, core.ScopeExtAPI, "/x"); !slices.Equal(ids(hits), []string{"9"}) {
		t.Errorf("another scope: %q", ids(hits))
	}
	if hits, _ := table.ByURL(nil, core.OnDispatch, core.ScopeExtAPI, ""); len(hits) != 0 {
		t.Errorf("an empty rest matches %q", ids(hits))
	}
	mine := []Hit{{Offset: 7}}
	hits, err := table.ByURL(mine, core.OnDispatch, core.ScopeAPI, "/api/cse/x")
	if err != nil || len(hits) != 4 || hits[0].Offset != 7 {
		t.Errorf("hits are not appended: %v, %v", hits, err)
	}
}

func TestTailsOfEndpoints(t *testing.T) {
	table := rulesOf(t, true, urlFilter("1", "/custom/.*", core.ScopeExtAPI), urlFilter("2", "/[a-z]+/test/.*", core.ScopeExtAPI))
	hits, err := table.ByURL(nil, core.OnDispatch, core.ScopeExtAPI, "/custom/test/a")
	if err != nil || len(hits) != 2 || hits[0].Offset != len("/custom/") || hits[1].Offset != len("/custom/test/") {
		t.Errorf("%v, %v", hits, err)
	}
	if _, err := Compile(urlFilter("1", "/custom", core.ScopeExtAPI), true); core.ErrorCode(err) != core.Invalid {
		t.Errorf("a pattern without .* at its end: %v", err)
	}
	if _, err := Compile(urlFilter("1", "/custom", core.ScopeExtAPI), false); err != nil {
		t.Error(err)
	}
}

func TestAPatternThatTakesTooLongIsAnError(t *testing.T) {
	table := rulesOf(t, false, urlFilter("1", `/(a+)+\1b`, core.ScopeAPI), urlFilter("2", ".*", core.ScopeAPI))
	if _, err := table.ByURL(nil, core.OnDispatch, core.ScopeAPI, "/"+strings.Repeat("a", 8000)+"cb"); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("%v; want the code Unavailable", err)
	}
}

func TestWithAndWithout(t *testing.T) {
	a, b := urlFilter("1", "/a/.*", core.ScopeAPI), typeFilter("2", "text/plain")
	empty := Table{}
	one := rulesOf(t, false, a)
	two := one.With(compile(t, b))
	again := two.With(compile(t, a)).With(compile(t, b))
	if empty.Len() != 0 || one.Len() != 1 || two.Len() != 2 || again.Len() != 2 {
		t.Errorf("%d, %d, %d, %d filters", empty.Len(), one.Len(), two.Len(), again.Len())
	}
	left := two.Without(a)
	if hits, _ := left.ByURL(nil, core.OnDispatch, core.ScopeAPI, "/a/b"); len(hits) != 0 || left.Len() != 1 {
		t.Errorf("%q, %d", ids(hits), left.Len())
	}
	if hits, _ := two.ByURL(nil, core.OnDispatch, core.ScopeAPI, "/a/b"); len(hits) != 1 {
		t.Error("removing a filter changed another table")
	}
	if left.Without(a).Len() != 1 || left.Without(b).Len() != 0 || left.Without(b).Without(b).Len() != 0 || empty.Without(a).Len() != 0 {
		t.Error("removing what is not there changes the table")
	}
	if got := left.Without(urlFilter("3", "(", core.ScopeAPI)); got.Len() != 1 {
		t.Error("removing what cannot be there changes the table")
	}
}

func compile(tb testing.TB, f core.Filter) Rule {
	tb.Helper()
	r, err := Compile(f, false)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestByContentType(t *testing.T) {
	tests := []struct {
		name, filter, answer string
		want                 bool
	}{
		{"the same type", "text/plain", "text/plain", true},
		{"another type", "text/plain", "text/html", false},
		{"another case", "Text/Plain", "TEXT/plain", true},
		{"spaces around", " text/plain ", "\ttext/plain ", true},
		{"no parameters ask for none", "text/plain", "text/plain; charset=utf-8", true},
		{"a parameter that is there", "application/json;version=38.0", "application/json; charset=utf-8; version=38.0", true},
		{"a parameter that is missing", "application/json;version=38.0", "application/json", false},
		{"another value", "application/json;version=38.0", "application/json;version=37.0", false},
		{"parameters in another order", "a/b;x=1;y=2", "a/b;y=2;x=1", true},
		{"one of two parameters missing", "a/b;x=1;y=2", "a/b;y=2", false},
		{"quotes do not count", `a/b;x="1"`, "a/b;x=1", true},
		{"a quoted semicolon", `a/b;x="1;y=2"`, `a/b; x="1;y=2"; z=3`, true},
		{"a quoted semicolon hides no parameter", `a/b;y=2`, `a/b; x="1;y=2"`, false},
		{"an escaped quote", `a/b;x="1\"2"`, `a/b; x="1\"2"`, true},
		{"case of parameters", "a/b;Charset=UTF-8", "a/b;charset=utf-8", true},
		{"spaces around the equals sign", "a/b;x=1", "a/b; x = 1 ", true},
		{"junk in an answer is left out", "a/b;x=1", "a/b;;junk;x=1", true},
		{"an answer that is only junk", "a/b", ";;", false},
		{"no content type", "a/b", "", false},
		{"nine parameters", "a/b;i=9", "a/b;a=1;b=2;c=3;d=4;e=5;f=6;g=7;h=8;i=9", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hits := rulesOf(t, false, typeFilter("1", tt.filter)).ByContentType(nil, core.OnResponse, tt.answer)
			if (len(hits) == 1) != tt.want {
				t.Errorf("%q for %q: %v", tt.filter, tt.answer, ids(hits))
			}
		})
	}
	table := rulesOf(t, false, typeFilter("2", "a/b"), typeFilter("1", "a/b;x=1"), typeFilter("3", "a/c"))
	if hits := table.ByContentType(nil, core.OnResponse, "a/b;x=1"); !slices.Equal(ids(hits), []string{"1", "2"}) {
		t.Errorf("%q", ids(hits))
	}
	for _, s := range []string{"a/b;x", `a/b;x="1`, "a/b;=1", `a/b;x="1"2`} {
		if _, err := Compile(typeFilter("1", s), false); core.ErrorCode(err) != core.Invalid {
			t.Errorf("%q: %v; want the code Invalid", s, err)
		}
	}
}

func TestSplitScope(t *testing.T) {
	type split struct {
		scope        core.Scope
		tenant, rest string
	}
	for path, want := range map[string]split{
		"/":                          {core.ScopeAPI, "", "/"},
		"/api/org":                   {core.ScopeAPI, "", "/api/org"},
		"/ext-apix/a":                {core.ScopeAPI, "", "/ext-apix/a"},
		"/ext-uix":                   {core.ScopeAPI, "", "/ext-uix"},
		"/api/ext-api/a":             {core.ScopeAPI, "", "/api/ext-api/a"},
		"/ext-api/custom/a":          {core.ScopeExtAPI, "", "/custom/a"},
		"/ext-api/":                  {core.ScopeExtAPI, "", "/"},
		"/ext-api":                   {core.ScopeExtAPI, "", ""},
		"/ext-ui/provider/x":         {core.ScopeProvider, "", "/x"},
		"/ext-ui/provider":           {core.ScopeProvider, "", ""},
		"/ext-ui/tenant/acme/x/y":    {core.ScopeTenant, "acme", "/x/y"},
		"/ext-ui/tenant/acme":        {core.ScopeTenant, "acme", ""},
		"/ext-ui/tenant/a b/":        {core.ScopeTenant, "a b", "/"},
		"/ext-ui/tenant":             {},
		"/ext-ui/tenant/":            {},
		"/ext-ui":                    {},
		"/ext-ui/":                   {},
		"/ext-ui/other/x":            {},
		"/ext-ui/providerx":          {},
		"/ext-ui/tenants/acme/x":     {},
		"/Ext-Api/custom":            {core.ScopeAPI, "", "/Ext-Api/custom"},
		"/ext-ui/tenant/ext-api/x/y": {core.ScopeTenant, "ext-api", "/x/y"},
	} {
		scope, tenant, rest, n := SplitScope(path)
		if got := (split{scope, tenant, rest}); got != want || path[n:] != rest {
			t.Errorf("%q: %+v, %d; want %+v", path, got, n, want)
		}
	}
}

// randomURLPattern makes patterns of few words, so that prefixes, suffixes and
// segments meet often.
func randomURLPattern(rng *rand.Rand) string {
	part := func() string {
		var b strings.Builder
		for range 1 + rng.IntN(4) {
			b.WriteString([]string{"/a", "/ab", "/b", "/.*", "/[ab]+", "b", ".*", "/é", "(?:/a|/b)", "/(?!a)[^/]*", "(?i:/a)", "/"}[rng.IntN(12)])
		}
		return b.String()
	}
	p := part()
	for rng.IntN(6) == 0 {
		p += "|" + []string{part(), ""}[rng.IntN(2)]
	}
	return p
}

func randomPath(rng *rand.Rand) string {
	var b strings.Builder
	for range 1 + rng.IntN(5) {
		b.WriteString([]string{"/a", "/ab", "/b", "/A", "/é", "b", "/"}[rng.IntN(7)])
	}
	return b.String()
}

// TestIndexFindsWhatAScanFinds adds and removes filters at random and compares
// the index with trying every rule.
func TestIndexFindsWhatAScanFinds(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for round := range 60 {
		var table Table
		rules := map[string]Rule{}
		for step := range 150 {
			id := fmt.Sprint(rng.IntN(60))
			if r, ok := rules[id]; ok {
				table = table.Without(*r.Filter())
				delete(rules, id)
			}
			if rng.IntN(4) > 0 {
				f := urlFilter(id, randomURLPattern(rng), []core.Scope{core.ScopeAPI, core.ScopeExtAPI}[rng.IntN(2)])
				r, err := Compile(f, rng.IntN(2) == 0)
				if err != nil {
					if r, err = Compile(f, false); err != nil {
						t.Fatal(err)
					}
				}
				rules[id] = r
				table = table.With(r)
			}
			if table.Len() != len(rules) {
				t.Fatalf("round %d, step %d: %d filters; want %d", round, step, table.Len(), len(rules))
			}
			path := randomPath(rng)
			want := scan(t, rules, core.ScopeAPI, path)
			got, err := table.ByURL(nil, core.OnDispatch, core.ScopeAPI, path)
			if err != nil || len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
				t.Fatalf("round %d, step %d: %q gives %q, %v; want %q", round, step, path, ids(got), err, ids(want))
			}
		}
		for _, r := range rules {
			table = table.Without(*r.Filter())
		}
		for _, l := range table.lanes {
			if table.Len() != 0 || l.urls != nil {
				t.Fatalf("round %d: something is left of an empty table", round)
			}
		}
	}
}

func scan(t *testing.T, rules map[string]Rule, scope core.Scope, path string) []Hit {
	t.Helper()
	var hits []Hit
	for _, r := range rules {
		if r.filter.Scope != scope {
			continue
		}
		var err error
		if hits, err = r.try(hits, path); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(hits, func(a, b Hit) int { return strings.Compare(a.Filter.ID, b.Filter.ID) })
	return hits
}

func TestRadixIsAMap(t *testing.T) {
	for _, d := range []direction{forward, backward} {
		rng := rand.New(rand.NewPCG(9, 10))
		var tree *radix[*int]
		model := map[string]*int{}
		for range 20_000 {
			key := strings.Repeat("a", rng.IntN(3)) + strings.Repeat("b", rng.IntN(3)) + []string{"", "a", "c", "ab"}[rng.IntN(4)]
			v := new(int)
			if rng.IntN(2) == 0 {
				v = nil
				delete(model, key)
			} else {
				model[key] = v
			}
			tree = tree.update(d, key, func(*int) *int { return v })
			probe := strings.Repeat("a", rng.IntN(4)) + strings.Repeat("b", rng.IntN(4)) + []string{"", "c"}[rng.IntN(2)]
			found := 0
			for n, rest := tree, probe; n != nil; n, rest = n.next(d, rest) {
				if n.value == nil {
					continue
				}
				found++
				if model[d.keep(probe, len(probe)-len(rest))] != n.value {
					t.Fatalf("%q: a value of another key at %q", probe, rest)
				}
			}
			want := 0
			for k := range model {
				if d.starts(probe, k) {
					want++
				}
			}
			if found != want {
				t.Fatalf("%q: %d keys found; want %d", probe, found, want)
			}
			if d == forward && tree.get(key) != v {
				t.Fatalf("%q: wrong value", key)
			}
		}
		for key := range model {
			tree = tree.update(d, key, func(*int) *int { return nil })
		}
		if tree != nil {
			t.Errorf("something is left of an empty tree: %+v", tree)
		}
	}
}

// TestHammerReadersDuringChanges checks that a table in use does not change
// while others are made from it.
func TestHammerReadersDuringChanges(t *testing.T) {
	const readers, changes = 8, 400
	var current atomic.Pointer[Table]
	base := rulesOf(t, false, urlFilter("x", "/api/fix/.*", core.ScopeAPI), urlFilter("y", "/api/.*/fix/.*", core.ScopeAPI))
	current.Store(&base)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			var room [64]Hit
			for {
				select {
				case <-done:
					return
				default:
				}
				table := current.Load()
				first, err := table.ByURL(room[:0:32], core.OnDispatch, core.ScopeAPI, "/api/fix/fix/1")
				second, err2 := table.ByURL(room[32:32], core.OnDispatch, core.ScopeAPI, "/api/fix/fix/1")
				if err != nil || err2 != nil || len(first) < 2 || !slices.Equal(ids(first), ids(second)) {
					t.Errorf("%q, then %q; %v, %v", ids(first), ids(second), err, err2)
					return
				}
			}
		})
	}
	for i := range changes {
		f := urlFilter(fmt.Sprint("n", i%20), []string{"/api/fix/.*", "/api/[a-z]+/fix/.*", "/api/.*/fix/.*", "/other/.*"}[i%4], core.ScopeAPI)
		next := current.Load().With(compile(t, f))
		current.Store(&next)
		if i >= 40 {
			less := next.Without(f)
			current.Store(&less)
		}
	}
	close(done)
	wg.Wait()
}

func FuzzMediaType(f *testing.F) {
	f.Add(`a/b; x="1\"2";y=3`)
	f.Add(`;;=;"`)
	f.Fuzz(func(t *testing.T, s string) {
		m, whole := parseMediaType(nil, s)
		if whole && strings.Contains(m.name, "/") && !m.covers(m) {
			t.Fatalf("%q does not cover itself", s)
		}
	})
}
