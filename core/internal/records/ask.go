package records

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api/fiql"
	"github.com/annex-gateway/annex/core/internal/query"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// The sizes of pages.
const (
	defaultSize = 25
	maxSize     = 128
	maxPage     = 1 << 30
)

// Format is how rows are shown.
type Format struct {
	Name  string // "records"
	Media string // its media type, without suffix
}

// Formats returns the formats; the first is the default.
func Formats() []Format {
	const media = "application/vnd.vmware.vcloud.query."
	return []Format{{"records", media + "records"}, {"idrecords", media + "idrecords"}, {"references", media + "references"}}
}

// Ask is what a query asks for.
type Ask struct {
	Type   Type
	Format Format

	query      query.Query
	page, size int
	whole      bool // all rows on one page
	filter     *fiql.Filter
	order      func(a, b Row) int // nil: as they come
}

// Ask reads a query about records of the type. A whole collection is shown on
// one page unless the query says otherwise: real clients read the first answer
// only. The choice tells what the Accept header asked for.
func (t Type) Ask(q query.Query, choice vxml.Choice, whole bool) (Ask, error) {
	a := Ask{Type: t, query: q, whole: whole && !q.Has("page") && !q.Has("pageSize")}
	var err error
	if a.page, err = positive(q, "page", 1, maxPage); err != nil {
		return a, err
	}
	if a.size, err = positive(q, "pageSize", defaultSize, maxSize); err != nil {
		return a, err
	}
	if a.Format, err = t.format(q, choice); err != nil {
		return a, err
	}
	if a.filter, err = t.filter(q, choice); err != nil {
		return a, err
	}
	a.order, err = t.order(q)
	return a, err
}

// positive reads a number; what is above most counts as most.
func positive(q query.Query, name string, otherwise, most int) (int, error) {
	text, err := q.One(name)
	if err != nil || text == "" {
		return otherwise, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, core.Errorf(core.Invalid, "query: %s=%s: a number from 1 on is needed", name, text)
	}
	return min(n, most), nil
}

// format is the one that the query names, else the Accept header, else
// records.
func (t Type) format(q query.Query, choice vxml.Choice) (Format, error) {
	name, err := q.One("format")
	if err != nil {
		return Format{}, err
	}
	formats := Formats()
	if t.NoReferences {
		formats = formats[:2]
	}
	var known []string
	for _, f := range formats {
		if f.Name == name || name == "" && choice.Names(f.Media) {
			return f, nil
		}
		known = append(known, f.Name)
	}
	if name != "" {
		return Format{}, core.Errorf(core.Invalid, "query: format=%s: one of %s is needed", name, strings.Join(known, ", "))
	}
	return formats[0], nil
}

// encodedBefore is the first version whose clients encode a filter's values
// once only.
const encodedBefore = 35

func (t Type) filter(q query.Query, choice vxml.Choice) (*fiql.Filter, error) {
	expression, err := q.One("filter")
	if err != nil {
		return nil, err
	}
	major, _, _ := strings.Cut(choice.Version, ".")
	if n, err := strconv.Atoi(major); q.Get("filterEncoded") == "true" && err == nil && n < encodedBefore {
		return fiql.ParseEncoded(expression, t.attributes())
	}
	return fiql.Parse(expression, t.attributes())
}

func (t Type) order(q query.Query) (func(a, b Row) int, error) {
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
	value := func(r Row) any { return r.ID }
	if name := up + down; name != "id" && name != "href" {
		i := t.index(name)
		if i < 0 {
			return nil, core.Errorf(core.Invalid, "query: there is no attribute %q to sort by; known are %s", name,
				strings.Join(slices.Sorted(maps.Keys(t.attributes())), ", "))
		}
		value = func(r Row) any { return r.value(i) }
	}
	if down != "" {
		return func(a, b Row) int { return query.Compare(value(b), value(a)) }, nil
	}
	return func(a, b Row) int { return query.Compare(value(a), value(b)) }, nil
}

// Choose gives the page, of those rows, that the query asks for. Only when it
// has to sort them it keeps rows of other pages in memory.
func (a Ask) Choose(rows iter.Seq2[Row, error]) (Page, error) {
	p := Page{Ask: a}
	first, behind := (a.page-1)*a.size, a.page*a.size
	for r, err := range rows {
		if err != nil {
			return p, err
		}
		if !a.filter.Match(func(name string) any { return a.Type.valueOf(r, name) }) {
			continue
		}
		if a.whole || a.order != nil || p.total >= first && p.total < behind {
			p.rows = append(p.rows, r)
		}
		p.total++
	}
	if a.order != nil {
		slices.SortStableFunc(p.rows, a.order)
		if !a.whole {
			p.rows = p.rows[min(first, p.total):min(behind, p.total)]
		}
	}
	return p, nil
}

func (t Type) valueOf(r Row, name string) any {
	if name == "id" || name == "href" {
		return r.ID
	}
	return r.value(t.index(name)) // filters name known attributes only
}
