package cloudapi

import (
	"context"
	"iter"
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
	fixed bool // has no DELETE
	table *catalog.Table[E]
	id    func(E) string
	meta  func(E) core.Meta
	// all gives the entities of which some may be shown; nil for the whole
	// table.
	all func(ctx context.Context, by actor) iter.Seq2[E, error]
	// shows tells whether a caller sees an entity; nil for every one.
	shows func(by actor, e E) bool
	// permits judges a change: old is nil for a new entity, next for one that
	// shall go, and both are when nothing else is known yet. A nil permits lets
	// system administrators change everything, and nobody else anything.
	permits func(by actor, old, next *E) error
	// attributes are what lists can be filtered and sorted by.
	attributes attributes[E]
	encode     func(E) D
	// names fills in what others that the form refers to are called; may be nil.
	names func(ctx context.Context, out *D) error
	// now fills in, where one entity is answered, how it is at the moment, which
	// is no part of it; may be nil.
	now func(out *D)
	// links adds header fields to the answer of a GET by id; may be nil.
	links func(c echo.Context, e E)
	// notes adds header fields to all answers with one entity; may be nil.
	notes func(c echo.Context, e E)
	// prepare completes a form with what takes its time; may be nil.
	prepare func(ctx context.Context, in *D) error
	// build makes what a POST asks for.
	build func(by actor, in D) (E, error)
	// create, instead of build, registers what a POST asks for, and gives the
	// form in which it is answered.
	create func(c echo.Context) (E, D, error)
	// merge makes what a PUT asks for out of what is stored.
	merge func(in D, old E) (E, error)
	// changed does what follows from a PUT; may be nil.
	changed func(ctx context.Context, old, now E) error
	// removing judges the query of a DELETE; may be nil.
	removing func(c echo.Context, e E) error
}

// mount serves a resource.
func mount[E, D any](a *cloud, e *echo.Echo, r resource[E, D]) {
	h := handler[E, D]{a, r}
	collection := verbs{http.MethodGet: h.list}
	item := verbs{http.MethodGet: h.get, http.MethodDelete: h.delete}
	if r.create == nil && r.build != nil {
		h.create = h.register
	}
	if h.create != nil {
		collection[http.MethodPost] = h.post
	}
	if r.merge != nil {
		item[http.MethodPut] = h.put
	}
	if r.fixed {
		delete(item, http.MethodDelete)
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
func (h handler[E, D]) find(ctx context.Context, by actor, id string) (E, error) {
	e, err := h.table.Get(ctx, id)
	if err == nil && !h.seen(by, e) {
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

func (h handler[E, D]) seen(by actor, e E) bool { return h.shows == nil || h.shows(by, e) }

func (h handler[E, D]) permitted(by actor, old, next *E) error {
	switch {
	case h.permits != nil:
		return h.permits(by, old, next)
	case by.Provider():
		return nil
	}
	return core.Errorf(core.Forbidden, "only system administrators may change a %s", h.noun)
}

// hidden is the error of an entity that does not exist for the caller.
func (h handler[E, D]) hidden(id string) error {
	return core.Errorf(core.NotFound, "there is no %s %q", h.noun, id)
}

func (h handler[E, D]) get(c echo.Context) error {
	id := itemID(c)
	e, err := h.find(c.Request().Context(), actorOf(c), id)
	if err != nil {
		return h.missing(err, id)
	}
	if h.links != nil {
		h.links(c, e)
	}
	return h.show(c, e)
}

func (h handler[E, D]) post(c echo.Context) error {
	if err := h.permitted(actorOf(c), nil, nil); err != nil {
		return err
	}
	e, out, err := h.create(c)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Location", api.NewHrefs(api.BaseURL(c)).To(h.path, h.id(e)))
	return h.answer(c, http.StatusCreated, e, out)
}

// register is the create function of a resource that is made of its form
// alone.
func (h handler[E, D]) register(c echo.Context) (e E, out D, err error) {
	by := actorOf(c)
	in, err := h.form(c)
	if err != nil {
		return e, out, err
	}
	if e, err = h.build(by, in); err != nil {
		return e, out, err
	}
	if err = h.permitted(by, nil, &e); err != nil {
		return e, out, err
	}
	if e, err = h.table.Create(c.Request().Context(), by.UserID, e); err != nil {
		return e, out, err
	}
	out, err = h.shown(c.Request().Context(), e)
	return e, out, err
}

// form reads and completes the body.
func (h handler[E, D]) form(c echo.Context) (D, error) {
	in, err := decode[D](h.cloud, c)
	if err == nil && h.prepare != nil {
		err = h.prepare(c.Request().Context(), &in)
	}
	return in, err
}

func (h handler[E, D]) put(c echo.Context) error {
	id := itemID(c)
	expect, err := h.expect(c, id)
	if err != nil {
		return err
	}
	in, err := h.form(c)
	if err != nil {
		return err
	}
	e, err := h.update(c, id, expect, func(old E) (E, error) { return h.merge(in, old) })
	if err != nil {
		return err
	}
	return h.show(c, e)
}

// shown is an entity as it is shown.
func (h handler[E, D]) shown(ctx context.Context, e E) (D, error) {
	out := h.encode(e)
	if h.names == nil {
		return out, nil
	}
	return out, h.names(ctx, &out)
}

func (h handler[E, D]) show(c echo.Context, e E) error {
	out, err := h.shown(c.Request().Context(), e)
	if err != nil {
		return err
	}
	return h.answer(c, http.StatusOK, e, out)
}

// update changes an entity that the caller sees as far as that is permitted.
func (h handler[E, D]) update(c echo.Context, id string, expect *uint64, change func(E) (E, error)) (E, error) {
	by, ctx := actorOf(c), c.Request().Context()
	var before E
	e, err := h.table.Update(ctx, by.UserID, id, expect, func(old E) (E, error) {
		before = old
		if !h.seen(by, old) {
			return old, h.hidden(id)
		}
		next, err := change(old)
		if err == nil {
			err = h.permitted(by, &old, &next)
		}
		return next, err
	})
	if err == nil && h.changed != nil {
		err = h.changed(ctx, before, e)
	}
	return e, h.missing(err, id)
}

func (h handler[E, D]) delete(c echo.Context) error {
	id := itemID(c)
	expect, err := h.expect(c, id)
	if err != nil {
		return err
	}
	if err := h.table.Delete(c.Request().Context(), id, expect); err != nil {
		return h.missing(err, id)
	}
	return noContent(c)
}

// expect makes sure that the caller sees the entity and may do with it what
// the method says, and turns the If-Match header into the revision that it
// must be at while it is changed.
func (h handler[E, D]) expect(c echo.Context, id string) (*uint64, error) {
	by := actorOf(c)
	e, err := h.find(c.Request().Context(), by, id)
	if err != nil {
		return nil, h.missing(err, id)
	}
	next := &e
	if c.Request().Method == http.MethodDelete {
		next = nil
	}
	if err := h.permitted(by, &e, next); err != nil {
		return nil, err
	}
	if next == nil && h.removing != nil {
		if err := h.removing(c, e); err != nil {
			return nil, err
		}
	}
	p, err := api.IfMatch(c.Request().Header)
	if err != nil {
		return nil, err
	}
	return p.Expect(h.meta(e).Revision)
}

func (h handler[E, D]) answer(c echo.Context, code int, e E, out D) error {
	c.Response().Header().Set("ETag", api.ETag(h.meta(e).Revision))
	if h.notes != nil {
		h.notes(c, e)
	}
	if h.now != nil {
		h.now(&out)
	}
	return answer(c, code, out)
}
