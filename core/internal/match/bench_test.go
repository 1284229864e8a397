package match

import (
	"fmt"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// families are ways in which the patterns of many filters resemble each other,
// each with a path that one of them matches.
func families() map[string]struct {
	pattern func(i int) string
	path    string
} {
	type family = struct {
		pattern func(i int) string
		path    string
	}
	of := func(path, format string) family {
		return family{func(i int) string { return fmt.Sprintf(format, i) }, path}
	}
	mixed := []string{"/api/org/.*/name%d", "/api/.*/thing%d/.*", "/ext%d/.*", "/api/ext%d/(?<id>[-a-f0-9]+)/action", "/api/cse%d"}
	return map[string]family{
		"exact":         of("/api/cse7", "/api/cse%d"),
		"prefix":        of("/api/ext7/vm/12", "/api/ext%d/.*"),
		"samePrefix":    of("/api/org/1234/name7", "/api/org/.*/name%d"),
		"inner":         of("/api/vdc/thing7/status", "/api/.*/thing%d/.*"),
		"class":         of("/api/ext7/0a1b-2c/action", "/api/ext%d/(?<id>[-a-f0-9]+)/action"),
		"alternatives":  of("/api/ext7/vm", "(/api/ext%[1]d)|(/api/ext%[1]d/.*)|"),
		"mixedAndAll":   {func(i int) string { return mixedPattern(mixed, i) }, "/api/org/1234/name5"},
		"partialLetter": of("/api/vdc/x-thing7-y", "/api/[a-z]+/x-thing%d-[a-z]"),
	}
}

// mixedPattern has one filter for everything among all the others.
func mixedPattern(formats []string, i int) string {
	if i == 0 {
		return ".*"
	}
	return fmt.Sprintf(formats[i%len(formats)], i)
}

// grown adds the filters of a family until there are n.
func grown(b *testing.B, table Table, pattern func(i int) string, n int) Table {
	b.Helper()
	for i := table.Len(); i < n; i++ {
		r, err := Compile(urlFilter(fmt.Sprintf("urn:vcloud:apiFilter:%08d", i), pattern(i), core.ScopeAPI), false)
		if err != nil {
			b.Fatal(err)
		}
		table = table.With(r)
	}
	return table
}

func BenchmarkByURL(b *testing.B) {
	for name, family := range families() {
		b.Run(name, func(b *testing.B) {
			var table Table
			for _, n := range []int{10, 1000, 10_000, 100_000} {
				table = grown(b, table, family.pattern, n)
				b.Run(fmt.Sprint(n), func(b *testing.B) {
					var room [4]Hit
					b.ReportAllocs()
					for b.Loop() {
						hits, err := table.ByURL(room[:0], core.OnDispatch, core.ScopeAPI, family.path)
						if err != nil || len(hits) == 0 {
							b.Fatal(hits, err)
						}
					}
				})
			}
			b.Run("With", func(b *testing.B) {
				r, err := Compile(urlFilter("urn:vcloud:apiFilter:new", family.pattern(100_001), core.ScopeAPI), false)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if table.With(r).Len() != 100_001 {
						b.Fatal("not added")
					}
				}
			})
		})
	}
}

// BenchmarkLoad compiles and adds 100,000 filters, as a start does.
func BenchmarkLoad(b *testing.B) {
	family := families()["samePrefix"]
	b.ReportAllocs()
	for b.Loop() {
		grown(b, Table{}, family.pattern, 100_000)
	}
}

func BenchmarkByContentType(b *testing.B) {
	var table Table
	for i := range 10_000 {
		table = table.With(compile(b, typeFilter(fmt.Sprint(i), fmt.Sprintf("application/vnd.%d+json;version=1", i))))
	}
	var room [4]Hit
	b.ReportAllocs()
	for b.Loop() {
		if hits := table.ByContentType(room[:0], core.OnResponse, "application/vnd.77+json; charset=utf-8; version=1"); len(hits) != 1 {
			b.Fatal(hits)
		}
	}
}
