// Package match finds the filters of a call: by its URL or by the content type
// of its answer. A [Table] never changes, so that a call can keep the one it
// started with; one more filter among 100,000 copies a few nodes only.
package match

import (
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/pattern"
)

// Hit is a filter that matches.
type Hit struct {
	Filter *core.Filter // not to be changed
	// Offset is where in the matched path the part starts that the final .*
	// of an endpoint's pattern matched; -1 for other filters.
	Offset int
}

// Table is an immutable set of rules. The zero Table is empty. It is safe for
// concurrent use.
type Table struct {
	lanes []lane
	n     int
}

// lane holds the rules of one stage and scope.
type lane struct {
	stage core.Stage
	scope core.Scope
	urls  *urls
	types *radix[*typeRules]
}

type typeRules struct{ entries entries }

// Len returns the number of filters.
func (t Table) Len() int { return t.n }

// With returns t with r. It replaces a rule of the same filter, provided that
// stage, scope, pattern and content type are the same; when they are not, the
// filter as it was has to be removed first with Without.
func (t Table) With(r Rule) Table {
	added := false
	put := func(es entries) entries {
		es, isNew := es.with(r.rule)
		added = added || isNew
		return es
	}
	result := t.replace(&r.filter, func(l lane) lane {
		if !r.filter.ByURL() {
			l.types = changeTypes(l.types, r.media.name, put)
			return l
		}
		for _, p := range places(r.pattern) {
			l.urls = change(l.urls, p, put)
		}
		return l
	})
	if added {
		result.n++
	}
	return result
}

// Without returns t without the rule of f, which is found by the id of f at
// the place where its other fields put it.
func (t Table) Without(f core.Filter) Table {
	removed := false
	drop := func(es entries) entries {
		es, was := es.without(f.ID)
		removed = removed || was
		return es
	}
	result := t.replace(&f, func(l lane) lane {
		if !f.ByURL() {
			if m, err := parseFilterType(f.ResponseContentType); err == nil {
				l.types = changeTypes(l.types, m.name, drop)
			}
			return l
		}
		if p, err := pattern.Parse(f.URLPattern); err == nil {
			for _, place := range places(p) {
				l.urls = change(l.urls, place, drop)
			}
		}
		return l
	})
	if !removed {
		return t
	}
	result.n--
	return result
}

// replace gives a table in which the lane of f is what change makes of it.
func (t Table) replace(f *core.Filter, change func(lane) lane) Table {
	i := t.lane(f.Stage, f.Scope)
	lanes := slices.Clone(t.lanes)
	if i < 0 {
		i = len(lanes)
		lanes = append(lanes, lane{stage: f.Stage, scope: f.Scope})
	}
	lanes[i] = change(lanes[i])
	return Table{lanes: lanes, n: t.n}
}

func (t Table) lane(stage core.Stage, scope core.Scope) int {
	for i := range t.lanes {
		if t.lanes[i].stage == stage && t.lanes[i].scope == scope {
			return i
		}
	}
	return -1
}

// ByURL appends the filters of that stage and scope whose pattern matches
// path, by filter id. An empty path matches nothing. It fails with Unavailable
// when a pattern that may match takes too long; then the call must not go on
// as if it did not match.
func (t Table) ByURL(hits []Hit, stage core.Stage, scope core.Scope, path string) ([]Hit, error) {
	i := t.lane(stage, scope)
	if i < 0 || path == "" {
		return hits, nil
	}
	before := len(hits)
	hits, err := lookup(t.lanes[i].urls, hits, path)
	if err != nil || len(hits)-before < 2 {
		return hits, err
	}
	found := hits[before:]
	slices.SortFunc(found, func(a, b Hit) int { return strings.Compare(a.Filter.ID, b.Filter.ID) })
	found = slices.CompactFunc(found, func(a, b Hit) bool { return a.Filter == b.Filter })
	return hits[:before+len(found)], nil
}

// ByContentType appends the filters of that stage that ask for answers of that
// content type, by filter id. Types compare without case and with parameters
// in any order; a filter asks for the parameters that it names and for no
// others.
func (t Table) ByContentType(hits []Hit, stage core.Stage, contentType string) []Hit {
	i := t.lane(stage, "")
	if i < 0 {
		return hits
	}
	var room [8]param
	answer, _ := parseMediaType(room[:0], contentType)
	rules := t.lanes[i].types.get(answer.name)
	if rules == nil {
		return hits
	}
	for _, e := range rules.entries {
		if e.media.covers(answer) {
			hits = append(hits, Hit{Filter: &e.filter, Offset: -1})
		}
	}
	return hits
}

func changeTypes(types *radix[*typeRules], name string, f func(entries) entries) *radix[*typeRules] {
	return types.update(forward, name, func(r *typeRules) *typeRules {
		var es entries
		if r != nil {
			es = r.entries
		}
		if es = f(es); len(es) == 0 {
			return nil
		}
		return &typeRules{es}
	})
}
