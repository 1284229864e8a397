package cloudapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/catalog"
)

// resource describes an entity E and its JSON form D once; one handler serves
// all of them. A nil function means that the API has no such verb.
type resource[E, D any] struct {
	path  string
	noun  string
	table *catalog.Table[E]
	id    func(E) string
	meta  func(E) core.Meta
	// shows tells whether a caller sees an entity; nil for every one.
	shows func(core.Caller, E) bool
	// attributes are what lists can be filtered and sorted by.
	attributes attributes[E]
	encode     func(E) D
	// links adds header fields to the answer of a GET by id; may be nil.
	links func(c echo.Context, e E)
	// create registers what a POST asks for, and gives the form in which it is
	// answered.
	create func(c echo.Context) (E, D, error)
	// merge makes what a PUT asks for out of what is stored.
	merge func(in D, old E) (E, error)
}

// mount serves a resource.
func mount[E, D any](a *cloud, e *echo.Echo, r resource[E, D]) {
	h := handler[E, D]{a, r}
	collection := verbs{http.MethodGet: h.list}
	item := verbs{http.MethodGet: h.get, http.MethodDelete: h.delete}
	if r.create != nil {
		collection[http.MethodPost] = h.post
	}
	if r.merge != nil {
		item[http.MethodPut] = h.put
	}
	a.route(e, r.path, collection)
	a.route(e, r.path+"/:id", item)
}

type handler[E, D any] struct {
	*cloud
	resource[E, D]
}

func itemID(c echo.Context) string { return strings.TrimSuffix(c.Param("id"), "/") }

// find gives the entity if the caller sees it, else NotFound.
func (h handler[E, D]) find(ctx context.Context, caller core.Caller, id string) (E, error) {
	e, err := h.table.Get(ctx, id)
	if err == nil && !h.seen(caller, e) {
		err = h.hidden(id)
	}
	return e, err
}

// missing turns what does not exist into what the caller may not see: clients
// take nothing but 403 for an object that is gone. Both look the same.
func (h handler[E, D]) missing(err error, id string) error {
	if core.ErrorCode(err) == core.NotFound {
		return missing(h.hidden(id))
	}
	return err
}

func (h handler[E, D]) seen(caller core.Caller, e E) bool {
	return h.shows == nil || h.shows(caller, e)
}

// hidden is the error of an entity that does not exist for the caller.
func (h handler[E, D]) hidden(id string) error {
	return core.Errorf(core.NotFound, "there is no %s %q", h.noun, id)
}

func (h handler[E, D]) get(c echo.Context) error {
	id := itemID(c)
	e, err := h.find(c.Request().Context(), api.Caller(c), id)
	if err != nil {
		return h.missing(err, id)
	}
	if h.links != nil {
		h.links(c, e)
	}
	return h.answer(c, http.StatusOK, e, h.encode(e))
}

func (h handler[E, D]) post(c echo.Context) error {
	e, out, err := h.create(c)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Location", api.NewHrefs(api.BaseURL(c)).To(h.path, h.id(e)))
	return h.answer(c, http.StatusCreated, e, out)
}

func (h handler[E, D]) put(c echo.Context) error {
	id := itemID(c)
	expect, err := h.expect(c, id)
	if err != nil {
		return h.missing(err, id)
	}
	in, err := decode[D](h.cloud, c)
	if err != nil {
		return err
	}
	caller := api.Caller(c)
	e, err := h.table.Update(c.Request().Context(), caller.UserID, id, expect, func(old E) (E, error) {
		if !h.seen(caller, old) {
			return old, h.hidden(id)
		}
		return h.merge(in, old)
	})
	if err != nil {
		return h.missing(err, id)
	}
	return h.answer(c, http.StatusOK, e, h.encode(e))
}

func (h handler[E, D]) delete(c echo.Context) error {
	id := itemID(c)
	expect, err := h.expect(c, id)
	if err != nil {
		return h.missing(err, id)
	}
	if err := h.table.Delete(c.Request().Context(), id, expect); err != nil {
		return h.missing(err, id)
	}
	return noContent(c)
}

// expect makes sure that the caller sees the entity, and turns the If-Match
// header into the revision that it must be at while it is changed.
func (h handler[E, D]) expect(c echo.Context, id string) (*uint64, error) {
	e, err := h.find(c.Request().Context(), api.Caller(c), id)
	if err != nil {
		return nil, err
	}
	p, err := api.IfMatch(c.Request().Header)
	if err != nil {
		return nil, err
	}
	return p.Expect(h.meta(e).Revision)
}

func (h handler[E, D]) answer(c echo.Context, code int, e E, out D) error {
	c.Response().Header().Set("ETag", api.ETag(h.meta(e).Revision))
	return answer(c, code, out)
}

// creating is the create function of a resource that is made of its JSON form
// alone.
func creating[E, D any](a *cloud, table *catalog.Table[E], build func(in D) (E, error), encode func(E) D) func(echo.Context) (E, D, error) {
	return func(c echo.Context) (e E, out D, err error) {
		in, err := decode[D](a, c)
		if err != nil {
			return e, out, err
		}
		if e, err = build(in); err != nil {
			return e, out, err
		}
		if e, err = table.Create(c.Request().Context(), api.Caller(c).UserID, e); err != nil {
			return e, out, err
		}
		return e, encode(e), nil
	}
}
