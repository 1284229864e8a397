package vcloud

import (
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

const (
	mediaRecords    = "application/vnd.vmware.vcloud.query.records"
	mediaIDRecords  = "application/vnd.vmware.vcloud.query.idrecords"
	mediaReferences = "application/vnd.vmware.vcloud.query.references"

	defaultPageSize = 25
	maxPageSize     = 128
	maxPage         = 1 << 30
)

// format is how the items of a collection are shown.
type format struct{ name, media string }

func formats() []format {
	return []format{{"records", mediaRecords}, {"idrecords", mediaIDRecords}, {"references", mediaReferences}}
}

// page is one page of a collection. Without paging in the query it is all of
// it: real clients read the first answer only.
type page struct {
	*call
	root         string // the element of one item
	format       format
	query        api.Query
	number, size int
	whole        bool
	total        int
	rows         []row
}

// row is an item as a collection shows it.
type row struct {
	id, href, media string
	// describe sets the item's own attributes; of gives how it refers to
	// another one.
	describe func(e *vxml.Element, of func(place) string)
}

// page reads what the query asks for.
func (c *call) page(root string) (*page, error) {
	q, err := api.Params(c.Request().URL.RawQuery)
	if err != nil {
		return nil, err
	}
	p := &page{call: c, root: root, query: q, whole: !q.Has("page") && !q.Has("pageSize")}
	if p.number, err = positive(q, "page", 1, maxPage); err != nil {
		return nil, err
	}
	if p.size, err = positive(q, "pageSize", defaultPageSize, maxPageSize); err != nil {
		return nil, err
	}
	if q.Get("filter") != "" {
		return nil, core.Errorf(core.Invalid, "query: a filter is not understood on this collection; leave it out")
	}
	p.format, err = c.format(q)
	return p, err
}

// positive reads a number; what is above most counts as most.
func positive(q api.Query, name string, otherwise, most int) (int, error) {
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
func (c *call) format(q api.Query) (format, error) {
	name, err := q.One("format")
	if err != nil {
		return format{}, err
	}
	for _, f := range formats() {
		if f.name == name || name == "" && c.choice.Names(f.media) {
			return f, nil
		}
	}
	if name != "" {
		return format{}, core.Errorf(core.Invalid, "query: format=%s: records, idrecords or references is needed", name)
	}
	return formats()[0], nil
}

// add counts an item, and takes it in if it is on the page.
func (p *page) add(item func() row) {
	if p.whole || p.total/p.size == p.number-1 {
		p.rows = append(p.rows, item())
	}
	p.total++
}

// element shows the page.
func (p *page) element() *vxml.Element {
	kind := strings.ToLower(p.root[:1]) + p.root[1:]
	size, root, list := p.size, "QueryResultRecords", "record"
	if p.whole {
		size = max(p.total, defaultPageSize)
	}
	if p.format.media == mediaReferences {
		root, list = p.root+"References", "reference"
	}
	e := vxml.VCloud(root).
		Set("name", kind).
		SetInt("page", p.number).
		SetInt("pageSize", size).
		SetInt("total", p.total).
		Set("href", p.self(p.query)).
		Set("type", p.format.media+"+xml").
		Lists("link", list)
	if !p.whole && p.total > p.number*p.size {
		next := p.query.With("page", strconv.Itoa(p.number+1)).With("pageSize", strconv.Itoa(p.size))
		e.Add(vxml.Links("nextPage", p.self(next), p.format.media, "")...)
	}
	for _, r := range p.rows {
		e.Add(p.item(r))
	}
	return e
}

func (p *page) self(q api.Query) string {
	href := p.hrefs.To(p.Request().URL.Path)
	if len(q) > 0 {
		href += "?" + q.Encode()
	}
	return href
}

func (p *page) item(r row) *vxml.Element {
	switch p.format.media {
	case mediaReferences:
		return vxml.VCloud(p.root+"Reference").
			Set("href", r.href).Set("id", r.id).Set("type", r.media+"+xml").
			InList("reference", p.root+"ReferenceType")
	case mediaIDRecords:
		e := vxml.VCloud(p.root + "Record")
		r.describe(e, func(other place) string { return other.urn })
		return e.Set("id", r.id).InList("record", "QueryResult"+p.root+"RecordType")
	}
	e := vxml.VCloud(p.root + "Record")
	r.describe(e, func(other place) string { return other.href })
	return e.Set("href", r.href).InList("record", "QueryResult"+p.root+"RecordType")
}
