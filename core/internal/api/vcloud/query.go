package vcloud

import (
	"iter"
	"net/http"

	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/query"
	"github.com/annex-gateway/annex/core/internal/records"
)

// list answers with the rows of a collection that the query asks for; whole
// says that it is all of them where the query does not say how many.
func (c *call) list(t records.Type, rows iter.Seq2[records.Row, error], whole bool) error {
	q, err := query.Parse(c.Request().URL.RawQuery)
	if err != nil {
		return err
	}
	ask, err := t.Ask(q, c.choice, whole)
	if err != nil {
		return err
	}
	page, err := ask.Choose(rows)
	if err != nil {
		return err
	}
	self := c.hrefs.To(c.Request().URL.Path)
	return c.answer(http.StatusOK, ask.Format.Media, page.Element(records.AdminHrefs(api.BaseURL(c)), self))
}

// rowsOf makes rows of entities.
func rowsOf[E any](all iter.Seq2[E, error], row func(E) records.Row) iter.Seq2[records.Row, error] {
	return func(yield func(records.Row, error) bool) {
		for v, err := range all {
			var r records.Row
			if err == nil {
				r = row(v)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
