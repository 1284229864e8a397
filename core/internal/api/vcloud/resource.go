package vcloud

import (
	"net/http"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// spec describes how one entity looks in this API. A new entity is a new file
// with one function that returns its spec, and a line in newServer.
type spec[E any] struct {
	word   string   // in the address of one item, below /service: "apifilter"
	parent string   // the word of what it belongs to: "service"
	lists  []string // what the collection is called below its parent: "apifilters"
	root   string   // the name of the element: "ApiFilter"
	media  string   // its media type, without suffix
	prefix string   // of ids: "urn:vcloud:apiFilter:"

	id       func(E) string
	name     func(E) string // as links show it; empty for none
	revision func(E) uint64
	parentOf func(E) string // the id of what it belongs to
	// decode makes an entity of a body; parentID is what it shall belong to.
	decode func(body *vxml.Element, parentID string) (E, error)
	// encode appends the entity's own children to its element.
	encode  func(e *vxml.Element, v E)
	records records.Of[E]
}

// entity is a resource whatever its type.
type entity interface {
	// under tells what its items belong to, and what they are called there.
	under() (parent string, lists []string)
	collection(c *call, parent place) verbs
	item(c *call, uuid string) verbs
	// place finds an item that others belong to.
	place(c *call, uuid string) (place, error)
	// links are those that an item's parent shows.
	links(parentHref string) []*vxml.Element
}

// resource serves the entities of one table.
type resource[E any] struct {
	spec[E]
	table *catalog.Table[E]
}

func (r *resource[E]) under() (parent string, lists []string) { return r.parent, r.lists }

func (r *resource[E]) links(parentHref string) []*vxml.Element {
	href := parentHref + "/" + r.lists[0]
	return append(
		vxml.Links("add", href, r.media, ""),
		vxml.Links("down:"+strings.ToLower(r.root[:1])+r.root[1:]+"s", href, records.Formats()[0].Media, "")...)
}

func (r *resource[E]) collection(c *call, parent place) verbs {
	return verbs{
		http.MethodGet:  func() error { return r.list(c, parent) },
		http.MethodPost: func() error { return r.create(c, parent) },
	}
}

func (r *resource[E]) item(c *call, uuid string) verbs {
	return verbs{
		http.MethodGet:    func() error { return r.get(c, uuid) },
		http.MethodDelete: func() error { return r.remove(c, uuid) },
	}
}

func (r *resource[E]) list(c *call, parent place) error {
	return c.list(r.records.Type, rowsOf(r.table.Under(c.Request().Context(), parent.id), func(v E) (records.Row, error) {
		return r.records.Row(v), nil
	}))
}

func (r *resource[E]) create(c *call, parent place) error {
	body, err := c.body(r.root)
	if err != nil {
		return err
	}
	v, err := r.decode(body, parent.id)
	if err != nil {
		return err
	}
	if v, err = r.table.Create(c.Request().Context(), c.by, v); err != nil {
		return err
	}
	c.Response().Header().Set("Location", r.href(c, v))
	return r.show(c, http.StatusCreated, v, parent)
}

func (r *resource[E]) get(c *call, uuid string) error {
	v, parent, err := r.load(c, uuid)
	if err != nil {
		return err
	}
	return r.show(c, http.StatusOK, v, parent)
}

// remove deletes one item. The query force and recursive, which clients always
// send, changes nothing: what belongs to an item goes with it.
func (r *resource[E]) remove(c *call, uuid string) error {
	match, err := api.IfMatch(c.Request().Header)
	if err != nil {
		return err
	}
	v, _, err := r.load(c, uuid)
	if err != nil {
		return err
	}
	expect, err := match.Expect(r.revision(v))
	if err != nil {
		return err
	}
	if err := r.table.Delete(c.Request().Context(), r.id(v), expect); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// load reads an item with what it belongs to. An item of something that this
// API does not show, such as an external endpoint, is not there.
func (r *resource[E]) load(c *call, uuid string) (v E, parent place, err error) {
	if core.IsUUID(uuid) {
		v, err = r.table.Get(c.Request().Context(), r.prefix+strings.ToLower(uuid))
		if err == nil {
			parent, err = c.placeByID(r.parent, r.parentOf(v))
		}
	}
	if !core.IsUUID(uuid) || core.ErrorCode(err) == core.NotFound {
		err = core.Errorf(core.NotFound, "there is no %s %q", r.root, uuid)
	}
	return v, parent, err
}

func (r *resource[E]) place(c *call, uuid string) (place, error) {
	v, _, err := r.load(c, uuid)
	if err != nil {
		return place{}, err
	}
	return place{id: r.id(v), urn: r.id(v), href: r.href(c, v), media: r.media, name: r.name(v)}, nil
}

func (r *resource[E]) href(c *call, v E) string {
	return c.hrefs.To(servicePath, r.word, strings.TrimPrefix(r.id(v), r.prefix))
}

// show answers with one item.
func (r *resource[E]) show(c *call, status int, v E, parent place) error {
	href := r.href(c, v)
	e := vxml.Extension(r.root).
		Set("id", r.id(v)).
		Set("href", href).
		Set("type", r.media+"+xml").
		Add(vxml.Link("remove", href, "", "")).
		Add(vxml.Links("up", parent.href, parent.media, parent.name)...)
	for _, child := range c.children(r.word) {
		e.Add(child.links(href)...)
	}
	r.encode(e, v)
	c.Response().Header().Set("ETag", api.ETag(r.revision(v)))
	return c.answer(status, r.media, e)
}
