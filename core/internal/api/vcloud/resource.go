package vcloud

import (
	"context"
	"net/http"
	"slices"
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
	word      string   // in the address of one item, below /service: "apifilter"
	parent    string   // the word of what it belongs to: "service"
	lists     []string // what the collection is called below its parent: "apifilters"
	container string   // the element that holds such items in their parent: "ApiFilters"
	root      string   // the name of the element: "ApiFilter"
	media     string   // its media type, without suffix
	prefix    string   // of ids: "urn:vcloud:apiFilter:"
	fields    []string // the element's own children, but for containers

	id       func(E) string
	meta     func(*E) *core.Meta
	parentOf func(E) string // the id of what it belongs to
	// named tells the name and the description of an entity that has them;
	// nil for one that has not.
	named func(E) (name, description string)
	// decode makes an entity of a body; parentID is what it shall belong to.
	decode func(body *vxml.Element, parentID string) (E, error)
	// encode appends the entity's own children to its element.
	encode func(c *call, e *vxml.Element, v E) error
	rows   rowing[E]
}

// rowing is how entities become the rows of their collection.
type rowing[E any] struct {
	typ records.Type
	// under makes what turns one item of that parent into a row.
	under func(c *call, parentID string) (func(E) records.Row, error)
}

// alone is for entities whose rows show nothing of their parents.
func alone[E any](of records.Of[E]) rowing[E] {
	return rowing[E]{of.Type, func(*call, string) (func(E) records.Row, error) { return of.Row, nil }}
}

// entity is a resource whatever its type.
type entity interface {
	// under tells what its items belong to, and what they are called there.
	under() (parent string, lists []string)
	collection(c *call, parent place) verbs
	item(c *call, uuid string) verbs
	// place finds an item that others belong to.
	place(c *call, uuid string) (place, error)
	nested
}

// nested is what an item's parent knows of it.
type nested interface {
	// links are those that the parent shows.
	links(parentHref string) []*vxml.Element
	// holder is the element of the parent's body that holds new items.
	holder() string
	// createAll creates the items that stand in a parent's body.
	createAll(c *call, b *catalog.Batch, holder *vxml.Element, parentID string) error
}

// resource serves the entities of one table.
type resource[E any] struct {
	spec[E]
	table *catalog.Table[E]
}

func (r *resource[E]) under() (parent string, lists []string) { return r.parent, r.lists }

func (r *resource[E]) holder() string { return r.container }

func (r *resource[E]) links(parentHref string) []*vxml.Element {
	href := parentHref + "/" + r.lists[0]
	return append(
		vxml.Links("down:"+strings.ToLower(r.container[:1])+r.container[1:], href, records.Formats()[0].Media, ""),
		vxml.Links("add", href, r.media, "")...)
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
	row, err := r.rows.under(c, parent.id)
	if err != nil {
		return err
	}
	return c.list(r.rows.typ, rowsOf(r.table.Under(c.ctx(), parent.id), row), true)
}

// create makes an item and all that stands in it, in one commit.
func (r *resource[E]) create(c *call, parent place) error {
	body, err := c.body(r.root)
	if err != nil {
		return err
	}
	var v E
	err = c.Catalog.Batch(c.ctx(), c.by, func(b *catalog.Batch) error {
		v, err = r.createIn(c, b, body, parent.id)
		return err
	})
	if err != nil {
		return err
	}
	if v, err = r.table.Get(c.ctx(), r.id(v)); err != nil {
		return err
	}
	c.Response().Header().Set("Location", r.href(c, v))
	return r.show(c, http.StatusCreated, v, parent)
}

// createIn makes one item with what stands in it. What an operation key gives
// back has all that already.
func (r *resource[E]) createIn(c *call, b *catalog.Batch, body *vxml.Element, parentID string) (v E, err error) {
	children := c.children(r.word)
	known := slices.Clone(r.fields)
	for _, child := range children {
		known = append(known, child.holder())
	}
	if r.named != nil {
		known = append(known, "Description", "Tasks")
	}
	if err := body.Only(known...); err != nil {
		return v, err
	}
	if v, err = r.decode(body, parentID); err != nil {
		return v, err
	}
	r.meta(&v).OperationKey = body.Attr("operationKey")
	if v, err = r.table.CreateIn(b, v); err != nil || r.meta(&v).Revision != 0 {
		return v, err
	}
	return v, c.createNested(b, children, body, r.id(v))
}

func (r *resource[E]) createAll(c *call, b *catalog.Batch, holder *vxml.Element, parentID string) error {
	items, err := holder.All(r.root)
	if err != nil {
		return err
	}
	for _, item := range items {
		if _, err := r.createIn(c, b, item, parentID); err != nil {
			return core.WrapError(core.ErrorCode(err), err, "%s: %s", r.container, core.ErrorMessage(err))
		}
	}
	return nil
}

// createNested makes what stands in the body of a new item.
func (c *call) createNested(b *catalog.Batch, children []entity, body *vxml.Element, parentID string) error {
	for _, child := range children {
		if holder := body.Child(child.holder()); holder != nil {
			if err := child.createAll(c, b, holder, parentID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *resource[E]) get(c *call, uuid string) error {
	v, parent, err := r.load(c, uuid)
	if err != nil {
		return err
	}
	return r.show(c, http.StatusOK, v, parent)
}

func (r *resource[E]) remove(c *call, uuid string) error {
	v, _, err := r.load(c, uuid)
	if err != nil {
		return err
	}
	return c.delete(r.meta(&v).Revision, func(ctx context.Context, expect *uint64) error {
		return r.table.Delete(ctx, r.id(v), expect)
	})
}

// load reads an item with what it belongs to. An item of something that this
// API does not show, such as an external endpoint, is not there.
func (r *resource[E]) load(c *call, uuid string) (v E, parent place, err error) {
	id := strings.ToLower(uuidOf(r.prefix, uuid))
	if core.IsUUID(id) {
		v, err = r.table.Get(c.ctx(), r.prefix+id)
		if err == nil {
			parent, err = c.placeByID(r.parent, r.parentOf(v))
		}
	}
	if !core.IsUUID(id) || core.ErrorCode(err) == core.NotFound {
		err = core.Errorf(core.NotFound, "there is no %s %q", r.root, uuid)
	}
	return v, parent, err
}

// uuidOf takes the prefix off an id in an address, if a client put the whole
// URN there.
func uuidOf(prefix, id string) string {
	if len(id) > len(prefix) && strings.EqualFold(id[:len(prefix)], prefix) {
		return id[len(prefix):]
	}
	return id
}

func (r *resource[E]) place(c *call, uuid string) (place, error) {
	v, _, err := r.load(c, uuid)
	if err != nil {
		return place{}, err
	}
	p := place{id: r.id(v), href: r.href(c, v), media: r.media}
	if r.named != nil {
		p.name, _ = r.named(v)
	}
	return p, nil
}

func (r *resource[E]) href(c *call, v E) string {
	return c.hrefs.To(servicePath, r.word, strings.TrimPrefix(r.id(v), r.prefix))
}

// element is an item without its links and its own children.
func (r *resource[E]) element(c *call, v E) *vxml.Element {
	e := vxml.Extension(r.root)
	if r.named != nil {
		name, _ := r.named(v)
		e.Set("name", name)
	}
	return e.
		Set("id", r.id(v)).
		Set("href", r.href(c, v)).
		Set("type", r.media+"+xml").
		Set("operationKey", r.meta(&v).OperationKey)
}

// show answers with one item.
func (r *resource[E]) show(c *call, status int, v E, parent place) error {
	href := r.href(c, v)
	e := r.element(c, v).
		Add(vxml.Link("remove", href, "", "")).
		Add(vxml.Links("up", parent.href, parent.media, parent.name)...)
	for _, child := range c.children(r.word) {
		e.Add(child.links(href)...)
	}
	if r.named != nil {
		_, description := r.named(v)
		e.Description(description)
	}
	if err := r.encode(c, e, v); err != nil {
		return err
	}
	c.Response().Header().Set("ETag", api.ETag(r.meta(&v).Revision))
	return c.answer(status, r.media, e)
}

// delete removes an item that is at that revision, if the request allows it.
// The query force and recursive, which clients always send, changes nothing:
// what belongs to an item goes with it.
func (c *call) delete(revision uint64, remove func(ctx context.Context, expect *uint64) error) error {
	expect, err := c.expect(revision)
	if err != nil {
		return err
	}
	if err := remove(c.ctx(), expect); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// expect tells what revision an item must be at, by the request's If-Match.
func (c *call) expect(revision uint64) (*uint64, error) {
	match, err := api.IfMatch(c.Request().Header)
	if err != nil {
		return nil, err
	}
	return match.Expect(revision)
}
