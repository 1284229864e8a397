package records

import (
	"strconv"

	"github.com/annex-gateway/annex/core/internal/api/fiql"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// Page is the rows that a query asked for.
type Page struct {
	Ask
	total int // on all pages
	rows  []Row
}

// Element shows the page. Self is the address of the collection, without a
// query; its other pages are there too.
func (p Page) Element(h Hrefs, self string) *vxml.Element {
	size, root, list := p.size, "QueryResultRecords", "record"
	if p.whole {
		size = max(p.total, defaultSize)
	}
	if p.references() {
		root, list = p.Type.Root()+"References", "reference"
	}
	e := vxml.VCloud(root).
		Set("name", p.Type.Name).
		SetInt("page", p.page).
		SetInt("pageSize", size).
		SetInt("total", p.total).
		Set("href", p.at(self, p.query.Encode())).
		Set("type", p.Format.Media+"+xml").
		Lists("link", list)
	if !p.whole && p.total > p.page*p.size {
		next := p.query.With("page", strconv.Itoa(p.page+1)).With("pageSize", strconv.Itoa(p.size))
		e.Add(vxml.Links("nextPage", p.at(self, next.Encode()), p.Format.Media, "")...)
	}
	for _, r := range p.rows {
		e.Add(p.item(h, r))
	}
	return e
}

func (p Page) references() bool { return p.Format.Name == "references" }

func (p Page) at(self, raw string) string {
	if raw == "" {
		return self
	}
	return self + "?" + raw
}

func (p Page) item(h Hrefs, r Row) *vxml.Element {
	root := p.Type.Root()
	if p.references() {
		return vxml.VCloud(root+"Reference").
			Set("href", h.Of(r.ID)).Set("id", r.ID).Set("name", r.Name).Set("type", p.Type.Media+"+xml").
			InList("reference", root+"ReferenceType")
	}
	e := vxml.VCloud(root+"Record").InList("record", "QueryResult"+root+"RecordType")
	ids := p.Format.Name == "idrecords"
	for i, c := range p.Type.columns {
		switch v := r.value(i).(type) {
		case int:
			e.SetInt(c.name, v)
		case bool:
			e.SetBool(c.name, v)
		case string:
			if c.kind == fiql.Name && v != "" && !ids {
				v = h.Of(v)
			}
			e.Set(c.name, v)
		}
	}
	switch {
	case p.Type.NoReferences:
	case ids:
		e.Set("id", r.ID)
	default:
		e.Set("href", h.Of(r.ID))
	}
	return e
}
