package match

import (
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/pattern"
)

// Rule is a compiled filter.
type Rule struct{ *rule }

type rule struct {
	filter  core.Filter
	pattern *pattern.Pattern // of a filter by URL
	tail    bool
	media   mediaType // of a filter by content type
}

// Compile checks f and makes a rule of it. With tail set, the pattern has to
// be that of an endpoint: hits then tell where its final .* starts. Errors
// have the code Invalid.
func Compile(f core.Filter, tail bool) (Rule, error) {
	r := &rule{filter: f, tail: tail && f.ByURL()}
	var err error
	switch {
	case !f.ByURL():
		r.media, err = parseFilterType(f.ResponseContentType)
	case tail:
		r.pattern, err = pattern.ParseTail(f.URLPattern)
	default:
		r.pattern, err = pattern.Parse(f.URLPattern)
	}
	if err != nil {
		return Rule{}, err
	}
	return Rule{r}, nil
}

// Filter returns the filter that the rule was made of.
func (r Rule) Filter() *core.Filter { return &r.filter }

// try appends a hit if the rule matches path.
func (r *rule) try(hits []Hit, path string) ([]Hit, error) {
	offset, ok, err := -1, false, error(nil)
	if r.tail {
		offset, ok, err = r.pattern.Tail(path)
	} else {
		ok, err = r.pattern.Match(path)
	}
	if ok && err == nil {
		hits = append(hits, Hit{Filter: &r.filter, Offset: offset})
	}
	return hits, err
}

// entries is a list of rules sorted by filter id. It is never changed.
type entries []*rule

func (es entries) try(hits []Hit, path string) ([]Hit, error) {
	var err error
	for _, r := range es {
		if hits, err = r.try(hits, path); err != nil {
			return hits, err
		}
	}
	return hits, nil
}

func (es entries) search(id string) (int, bool) {
	return slices.BinarySearchFunc(es, id, func(r *rule, id string) int { return strings.Compare(r.filter.ID, id) })
}

// with adds r, or puts it in the place of the rule of the same filter.
func (es entries) with(r *rule) (result entries, added bool) {
	i, ok := es.search(r.filter.ID)
	if ok {
		result = slices.Clone(es)
		result[i] = r
		return result, false
	}
	result = make(entries, 0, len(es)+1)
	result = append(result, es[:i]...)
	result = append(result, r)
	return append(result, es[i:]...), true
}

func (es entries) without(id string) (result entries, removed bool) {
	i, ok := es.search(id)
	if !ok {
		return es, false
	}
	if len(es) == 1 {
		return nil, true
	}
	return slices.Concat(es[:i], es[i+1:]), true
}
