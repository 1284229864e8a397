package cloudapi

import (
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/api/fiql"
	"github.com/annex-gateway/annex/core/internal/query"
)

// The sizes of pages.
const (
	defaultPageSize = 25
	maxPageSize     = 128
)

// page is one part of a collection. Values is never null: clients refuse a
// page without it.
type page[D any] struct {
	ResultTotal  int  `json:"resultTotal"`
	PageCount    int  `json:"pageCount"`
	Page         int  `json:"page"`
	PageSize     int  `json:"pageSize"`
	Associations *int `json:"associations"` // always null
	Values       []D  `json:"values"`
}

// attributes read what lists can be filtered and sorted by: a string, an int,
// a bool, or nil where the entity has none.
type attributes[E any] map[string]attribute[E]

type attribute[E any] struct {
	kind fiql.Kind
	get  func(E) any
}

func text[E any](get func(E) string) attribute[E] {
	return attribute[E]{fiql.Text, func(e E) any { return get(e) }}
}

func number[E any](get func(E) int) attribute[E] {
	return attribute[E]{fiql.Number, func(e E) any { return get(e) }}
}

func truth[E any](get func(E) bool) attribute[E] {
	return attribute[E]{fiql.Truth, func(e E) any { return get(e) }}
}

func (as attributes[E]) kinds() fiql.Attributes {
	out := make(fiql.Attributes, len(as))
	for name, a := range as {
		out[name] = a.kind
	}
	return out
}

// selection is what the query of a list asks for.
type selection[E any] struct {
	query      query.Query
	page, size int
	filter     *fiql.Filter
	order      func(a, b E) int // nil: by id, as the catalog lists
}

func (as attributes[E]) selection(rawQuery string) (s selection[E], err error) {
	if s.query, err = query.Parse(rawQuery); err != nil {
		return s, err
	}
	if s.page, err = whole(s.query, "page", 1, 1<<20); err != nil {
		return s, err
	}
	if s.size, err = whole(s.query, "pageSize", defaultPageSize, maxPageSize); err != nil {
		return s, err
	}
	expression, err := s.query.One("filter")
	if err != nil {
		return s, err
	}
	if s.filter, err = fiql.Parse(expression, as.kinds()); err != nil {
		return s, err
	}
	s.order, err = as.order(s.query)
	return s, err
}

// whole reads a parameter that is a number from 1 to most.
func whole(q query.Query, name string, otherwise, most int) (int, error) {
	value, err := q.One(name)
	if err != nil || !q.Has(name) {
		return otherwise, err
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, core.Errorf(core.Invalid, "query: %s=%q: a whole number from 1 to %d is needed", name, value, most)
	}
	return n, nil
}

func (as attributes[E]) order(q query.Query) (func(a, b E) int, error) {
	up, err := q.One("sortAsc")
	if err != nil {
		return nil, err
	}
	down, err := q.One("sortDesc")
	switch {
	case err != nil:
		return nil, err
	case up != "" && down != "":
		return nil, core.Errorf(core.Invalid, "query: sortAsc and sortDesc exclude each other; give one of them")
	case up == "" && down == "":
		return nil, nil
	}
	a, ok := as[up+down]
	if !ok {
		return nil, core.Errorf(core.Invalid, "query: there is no attribute %q to sort by; known are %s", up+down, strings.Join(slices.Sorted(maps.Keys(as)), ", "))
	}
	if down != "" {
		return func(x, y E) int { return query.Compare(a.get(y), a.get(x)) }, nil
	}
	return func(x, y E) int { return query.Compare(a.get(x), a.get(y)) }, nil
}

func (h handler[E, D]) list(c echo.Context) error {
	by, ctx := actorOf(c), c.Request().Context()
	all := h.table.All(ctx)
	if h.all != nil {
		all = h.all(ctx, by)
	}
	return h.answerPage(c, h.path, all)
}

// answerPage answers with the page, of those entities that the caller sees,
// that the query asks for. Path is where the other pages are.
func (h handler[E, D]) answerPage(c echo.Context, path string, all iter.Seq2[E, error]) error {
	s, err := h.attributes.selection(c.Request().URL.RawQuery)
	if err != nil {
		return err
	}
	entities, total, err := h.choose(all, actorOf(c), s)
	if err != nil {
		return err
	}
	p := page[D]{ResultTotal: total, PageCount: (total + s.size - 1) / s.size, Page: s.page, PageSize: s.size, Values: make([]D, 0, len(entities))}
	for _, e := range entities {
		out, err := h.shown(c.Request().Context(), e)
		if err != nil {
			return err
		}
		p.Values = append(p.Values, out)
	}
	if l := pageLinks(api.NewHrefs(api.BaseURL(c)).To(path), s.query, p.Page, p.PageSize, p.PageCount); l != "" {
		c.Response().Header().Set("Link", l)
	}
	return answer(c, http.StatusOK, p)
}

// choose gives the entities of the page, and how many there are on all pages.
// Only when it has to sort them it keeps those of other pages in memory.
func (h handler[E, D]) choose(all iter.Seq2[E, error], by actor, s selection[E]) (chosen []E, total int, err error) {
	first := (s.page - 1) * s.size
	for e, err := range all {
		if err != nil {
			return nil, 0, err
		}
		if !h.seen(by, e) || !s.filter.Match(func(name string) any { return h.attributes[name].get(e) }) {
			continue
		}
		if s.order != nil || total >= first && total < first+s.size {
			chosen = append(chosen, e)
		}
		total++
	}
	if s.order != nil {
		slices.SortStableFunc(chosen, s.order)
		chosen = chosen[min(first, total):min(first+s.size, total)]
	}
	return chosen, total, nil
}

// pageLinks is the Link header of a page. Clients follow nextPage as it
// stands, and some split the header at its commas.
func pageLinks(href string, q query.Query, at, size, count int) string {
	if count < 2 && at < 2 {
		return ""
	}
	var links []string
	add := func(rel string, to int) {
		raw := q.With("page", strconv.Itoa(to)).With("pageSize", strconv.Itoa(size)).Encode()
		links = append(links, fmt.Sprintf(`<%s?%s>;rel="%s";type="application/json"`, href, raw, rel))
	}
	last := max(count, 1)
	add("firstPage", 1)
	if at > 1 {
		add("previousPage", min(at-1, last))
	}
	if at < last {
		add("nextPage", at+1)
	}
	add("lastPage", last)
	return strings.Join(links, ", ")
}
