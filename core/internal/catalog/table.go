package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/storage"
)

// The places of the key space. Only what lies below registry/ is followed.
const (
	registry = "registry/" // <table>/<id>: the entities
	under    = "under/"    // <parent id>/<table>/<id>: who is whose child
	kids     = "kids/"     // <parent id>: written whenever a child comes
	unique   = "unique/"   // <table>/<what>: the id that holds it
	refs     = "refs/"     // <id>/<table>/<id>: who names whom, and keeps it
	opKeys   = "opkey/"    // <table>/<parent id>/<operation key>: the id that was created with it
)

// present is the value of keys that say all by being there.
var present = []byte("+")

// Table is the registrations of one entity.
type Table[E any] struct {
	c *Catalog
	rules[E]
}

// rules is what is special to an entity. Functions that an entity has no use
// for stay nil.
type rules[E any] struct {
	name   string // of the table, in keys
	noun   string // for people
	prefix string // of ids that the catalog gives; empty when the caller does
	id     func(*E) *string
	label  func(E) string // its name, for people
	meta   func(*E) *core.Meta
	parent func(E) string // the id of the entity that takes this one along when it goes
	family string         // the parent's table
	adopts func(E) string // the parent's table, where it is not always the same
	unique func(E) []string
	refs   func(E) []string // ids of what this one names, and keeps from being deleted
	// prepare completes and checks e before anything is read for the commit;
	// it may take its time.
	prepare func(ctx context.Context, e *E) error
	// check judges e against other entities; old is nil for a new one.
	check func(t *tx, e, old *E) error
	// keep copies what an update cannot change.
	keep func(e *E, old E)
	// drop judges whether e may go, and takes along what is not its child.
	drop func(t *tx, e E) error
}

// anyTable is what a table can do without knowing its entity.
type anyTable interface {
	dropByID(t *tx, id string) error
	describe(t *tx, id string) string // with noun and name, for people
	decodeAny(e storage.Entry) (any, error)
}

func addTable[E any](c *Catalog, r rules[E]) *Table[E] {
	t := &Table[E]{c: c, rules: r}
	c.tables[r.name] = t
	return t
}

func (t *Table[E]) key(id string) string { return registry + t.name + "/" + id }

func (t *Table[E]) decode(e storage.Entry) (E, error) {
	var v E
	if err := json.Unmarshal(e.Value, &v); err != nil {
		return v, core.WrapError(core.Internal, err, "a stored %s cannot be read", t.noun)
	}
	t.meta(&v).Revision = uint64(e.Revision)
	return v, nil
}

func (t *Table[E]) decodeAny(e storage.Entry) (any, error) { return t.decode(e) }

func (t *Table[E]) encode(v E) ([]byte, error) {
	t.meta(&v).Revision = 0
	b, err := json.Marshal(v)
	if err != nil {
		return nil, core.WrapError(core.Internal, err, "a %s cannot be stored", t.noun)
	}
	return b, nil
}

func (t *Table[E]) missing(id string) error {
	return core.Errorf(core.NotFound, "there is no %s %q", t.noun, id)
}

// Get returns the entity, or NotFound.
func (t *Table[E]) Get(ctx context.Context, id string) (E, error) {
	e, err := t.c.store.Get(ctx, t.key(id))
	if err != nil {
		var none E
		if errors.Is(err, storage.ErrNotFound) {
			return none, t.missing(id)
		}
		return none, storeError(err)
	}
	return t.decode(e)
}

// All yields every entity, by id.
func (t *Table[E]) All(ctx context.Context) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		for e, err := range t.c.store.List(ctx, t.key("")) {
			var v E
			if err != nil {
				err = storeError(err)
			} else {
				v, err = t.decode(e)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Under yields the entities whose parent has that id.
func (t *Table[E]) Under(ctx context.Context, parent string) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		for e, err := range t.c.store.List(ctx, under+parent+"/"+t.name+"/") {
			var v E
			if err != nil {
				err = storeError(err)
			} else if v, err = t.Get(ctx, e.Key[strings.LastIndexByte(e.Key, '/')+1:]); core.ErrorCode(err) == core.NotFound && err != nil {
				continue // gone since the listing
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Create registers e in the name of by and returns it as stored. An id that
// is taken, or anything unique in it, is a Conflict.
func (t *Table[E]) Create(ctx context.Context, by string, e E) (E, error) {
	if t.prefix != "" && *t.id(&e) == "" {
		*t.id(&e) = t.prefix + core.NewUUID()
	}
	if t.prepare != nil {
		if err := t.prepare(ctx, &e); err != nil {
			return e, err
		}
	}
	now := t.c.opts.Now().UTC()
	*t.meta(&e) = core.Meta{Created: now, CreatedBy: by, Modified: now, ModifiedBy: by, OperationKey: t.meta(&e).OperationKey}
	id := *t.id(&e)
	rev, err := t.c.change(ctx, func(x *tx) error {
		if done, err := t.repeated(x, &e); done || err != nil {
			return err
		}
		have, err := x.get(t.key(id))
		if err != nil {
			return err
		}
		if have.Value != nil {
			return core.Errorf(core.Conflict, "the %s %q exists already", t.noun, id)
		}
		return t.write(x, &e, nil)
	})
	if rev != 0 {
		t.meta(&e).Revision = rev
	}
	return e, err
}

// Update replaces the entity by what change makes of it, in the name of by.
// A non-nil expect is the revision that it must still have, else Stale.
func (t *Table[E]) Update(ctx context.Context, by, id string, expect *uint64, change func(E) (E, error)) (E, error) {
	var done E
	rev, err := t.c.change(ctx, func(x *tx) error {
		old, err := t.current(x, id, expect)
		if err != nil {
			return err
		}
		if done, err = change(old); err != nil {
			return err
		}
		*t.id(&done) = id
		if t.keep != nil {
			t.keep(&done, old)
		}
		if t.prepare != nil {
			if err := t.prepare(ctx, &done); err != nil {
				return err
			}
		}
		m := *t.meta(&old)
		m.Modified, m.ModifiedBy = t.c.opts.Now().UTC(), by
		*t.meta(&done) = m
		return t.write(x, &done, &old)
	})
	t.meta(&done).Revision = rev
	return done, err
}

// current reads an entity that is about to change.
func (t *Table[E]) current(x *tx, id string, expect *uint64) (E, error) {
	e, err := x.get(t.key(id))
	if err != nil {
		var none E
		return none, err
	}
	if e.Value == nil {
		var none E
		return none, t.missing(id)
	}
	v, err := t.decode(e)
	if err == nil && expect != nil && *expect != uint64(e.Revision) {
		err = core.Errorf(core.Stale, "the %s %q has changed since; read it again", t.noun, id)
	}
	return v, err
}

// write puts e with its place in the family and what is unique in it.
func (t *Table[E]) write(x *tx, e, old *E) error {
	if t.check != nil {
		if err := t.check(x, e, old); err != nil {
			return err
		}
	}
	if err := t.place(x, *e, old); err != nil {
		return err
	}
	if err := t.claim(x, *e, old); err != nil {
		return err
	}
	t.refer(x, *e, old)
	b, err := t.encode(*e)
	if err == nil {
		x.put(t.key(*t.id(e)), b)
	}
	return err
}

func (t *Table[E]) place(x *tx, e E, old *E) error {
	if t.parent == nil {
		return nil
	}
	id, parent := *t.id(&e), t.parent(e)
	if old != nil {
		if t.parent(*old) == parent {
			return nil
		}
		x.del(t.underKey(t.parent(*old), id))
	}
	if parent == "" {
		return nil
	}
	family := t.family
	if t.adopts != nil {
		family = t.adopts(e)
	}
	p, err := x.get(registry + family + "/" + parent)
	if err != nil {
		return err
	}
	if p.Value == nil {
		return core.Errorf(core.Invalid, "the %s %q that this %s belongs to does not exist", family, parent, t.noun)
	}
	x.put(t.underKey(parent, id), present)
	x.put(kids+parent, present)
	return nil
}

func (t *Table[E]) underKey(parent, id string) string {
	return under + parent + "/" + t.name + "/" + id
}

func (t *Table[E]) claim(x *tx, e E, old *E) error {
	if t.unique == nil {
		return nil
	}
	id := *t.id(&e)
	if old != nil {
		for _, u := range t.unique(*old) {
			x.del(unique + t.name + "/" + u)
		}
	}
	for _, u := range t.unique(e) {
		key := unique + t.name + "/" + u
		have, err := x.get(key)
		if err != nil {
			return err
		}
		if have.Value != nil && string(have.Value) != id {
			what, _, _ := strings.Cut(u, "/")
			return core.Errorf(core.Conflict, "another %s has the same %s", t.noun, what)
		}
		x.put(key, []byte(id))
	}
	return nil
}

// ByUnique returns the entity that holds the given unique word, or NotFound.
func (t *Table[E]) ByUnique(ctx context.Context, word string) (E, error) {
	e, err := t.c.store.Get(ctx, unique+t.name+"/"+word)
	if err != nil {
		var none E
		if errors.Is(err, storage.ErrNotFound) {
			return none, t.missing(word)
		}
		return none, storeError(err)
	}
	return t.Get(ctx, string(e.Value))
}

// Delete removes the entity and all that belongs to it. A non-nil expect is
// the revision that it must still have, else Stale.
func (t *Table[E]) Delete(ctx context.Context, id string, expect *uint64) error {
	_, err := t.c.change(ctx, func(x *tx) error {
		e, err := t.current(x, id, expect)
		if err != nil {
			return err
		}
		if err := x.refuseIfNamed(t.noun, id); err != nil {
			return err
		}
		return t.remove(x, e)
	})
	return err
}

func (t *Table[E]) dropByID(x *tx, id string) error {
	e, err := x.get(t.key(id))
	if err != nil || e.Value == nil {
		return err
	}
	v, err := t.decode(e)
	if err != nil {
		return err
	}
	return t.remove(x, v)
}

func (t *Table[E]) remove(x *tx, e E) error {
	if t.drop != nil {
		if err := t.drop(x, e); err != nil {
			return err
		}
	}
	id := *t.id(&e)
	if t.parent != nil && t.parent(e) != "" {
		x.del(t.underKey(t.parent(e), id))
	}
	if t.unique != nil {
		for _, u := range t.unique(e) {
			x.del(unique + t.name + "/" + u)
		}
	}
	t.refer(x, *new(E), &e)
	if key, err := t.operation(e); key != "" && err == nil {
		x.del(key)
	}
	x.del(t.key(id))
	return x.removeKids(id)
}

// removeKids takes the children along. Reading the kids key makes the commit
// fail, and start again, when a child comes in between.
func (t *tx) removeKids(parent string) error {
	k, err := t.get(kids + parent)
	if err != nil || k.Revision == 0 {
		return err
	}
	t.del(kids + parent)
	for e, err := range t.c.store.List(t.ctx, under+parent+"/") {
		if err != nil {
			return storeError(err)
		}
		table, id, ok := strings.Cut(strings.TrimPrefix(e.Key, under+parent+"/"), "/")
		child := t.c.tables[table]
		if !ok || child == nil {
			return core.Errorf(core.Internal, "the stored key %q cannot be read", e.Key)
		}
		t.del(e.Key)
		if err := child.dropByID(t, id); err != nil {
			return err
		}
	}
	return nil
}
