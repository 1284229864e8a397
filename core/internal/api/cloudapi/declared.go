package cloudapi

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
)

// declaredKind is what an apply call can do with one kind of object.
type declaredKind interface {
	word() string
	apply(x *applying, at string, object jsontext.Value) error
	prune(x *applying) error
	find(x *applying, name, org string) (string, error)
}

// declared describes how an entity E, in the JSON form D of its resource, is
// applied.
type declared[E, D any] struct {
	resource[E, D]
	kind string
	// refs are what the form refers to: by id, or else by a name that is looked
	// up.
	refs func(in *D) []refTo
	// name is what the entity is called, in its parent or at all; known, if set,
	// tells of other names that it is found by.
	name  func(x *applying, e E) string
	known func(e E, name string) bool
	// parent is the id of what the entity belongs to, and parentKinds of which
	// kinds that can be; nil for those that stand alone.
	parent      func(E) string
	parentKinds []string
	// org is the organisation that the entity belongs to; nil for none.
	org func(E) string
	// same tells whether an entity that exists is the one that is declared.
	same func(have, declared E) bool
	// given is the id that the form itself names.
	given func(D) string
	// kept tells whether pruning leaves the entity alone; nil: no.
	kept func(E) bool
	// make makes a new entity, merging changes one; nil: as the resource does.
	make    func(x *applying, in D) (E, error)
	merging func(x *applying, in D, old E) (E, error)
	// secrets are the members that are never shown and have become others; may
	// be nil.
	secrets func(old, now E) []string
	// done does what follows from a change once all is committed; may be nil.
	done func(ctx context.Context, old, now E) error
}

// refTo is a place in a form that refers to another entity.
type refTo struct {
	field string
	to    *reference
	kinds []string
	org   *reference // the organisation where a name is looked up; nil: anywhere
}

func (d declared[E, D]) word() string { return d.kind }

// apply makes one object as it is declared.
func (d declared[E, D]) apply(x *applying, at string, object jsontext.Value) error {
	in, err := d.read(x, object)
	if err != nil {
		return within(at, d.kind, err)
	}
	id, err := d.existing(x, in)
	switch {
	case err != nil:
	case id == "":
		id, err = d.create(x, in)
	default:
		err = d.update(x, id, in)
	}
	if err == nil {
		err = x.once(at, id)
	}
	if err != nil {
		return within(at, d.kind, err)
	}
	return nil
}

// within says where an object is that an error is about.
func within(at, kind string, err error) error {
	if c := core.ErrorCode(err); c == core.Internal || c == core.Unavailable {
		return err
	}
	return core.WrapError(core.ErrorCode(err), err, "%s: %s: %s", at, kind, strings.TrimPrefix(core.ErrorMessage(err), "body: "))
}

// once refuses an object that is declared twice.
func (x *applying) once(at, id string) error {
	if before, twice := x.seen[id]; twice {
		return core.Errorf(core.Conflict, "the same object is declared at %s already", before)
	}
	x.seen[id] = at
	return nil
}

// read reads the form, and looks up what it names.
func (d declared[E, D]) read(x *applying, object jsontext.Value) (in D, err error) {
	if err = api.DecodeJSON(object, &in); err != nil || d.refs == nil {
		return in, err
	}
	for _, r := range d.refs(&in) {
		if r.to == nil || r.to.ID != "" {
			continue
		}
		if r.to.Name == "" {
			return in, core.Errorf(core.Invalid, "%s: a name or an id is needed", r.field)
		}
		org := ""
		if r.org != nil {
			org = r.org.ID
		}
		if r.to.ID, err = x.findAny(r.kinds, r.to.Name, org); err != nil {
			return in, core.WrapError(core.Invalid, err, "%s: %s", r.field, core.ErrorMessage(err))
		}
	}
	return in, nil
}

// fresh is what the form makes where nothing is yet.
func (d declared[E, D]) fresh(x *applying, in D) (E, error) {
	if d.make != nil {
		return d.make(x, in)
	}
	return d.build(x.by, in)
}

// existing gives the id of the entity that the form means; empty when there
// is none yet.
func (d declared[E, D]) existing(x *applying, in D) (string, error) {
	if id := d.given(in); id != "" {
		switch have, err := d.table.GetIn(x.batch, id); {
		case err == nil && d.shows != nil && !d.shows(x.by, have):
			return "", core.Errorf(core.Invalid, "id: %q is no %s of this API", id, d.noun)
		case err == nil:
			return id, nil
		case core.ErrorCode(err) != core.NotFound:
			return "", err
		}
	}
	e, err := d.fresh(x, in)
	if err != nil || d.same == nil {
		return "", err
	}
	return d.alike(x, e)
}

// alike gives the id of the entity that is the declared one, made before or by
// the set itself.
func (d declared[E, D]) alike(x *applying, e E) (string, error) {
	parent := ""
	if d.parent != nil {
		parent = d.parent(e)
	}
	stored, err := d.stored(x, parent)
	if err != nil {
		return "", err
	}
	for _, have := range stored {
		if d.same(have, e) {
			return d.id(have), nil
		}
	}
	for _, m := range x.made[d.kind] {
		have, ok := m.entity.(E)
		if ok && d.same(have, e) && (d.parent == nil || d.parent(have) == d.parent(e)) {
			return m.id, nil // it is given twice
		}
	}
	return "", nil
}

func (d declared[E, D]) create(x *applying, in D) (string, error) {
	if d.prepare != nil {
		if err := d.prepare(x.ctx, &in); err != nil {
			return "", err
		}
	}
	e, err := d.fresh(x, in)
	if err != nil {
		return "", err
	}
	if err := (handler[E, D]{x.cloud, d.resource}).permitted(x.by, nil, &e); err != nil {
		return "", err
	}
	if e, err = d.table.CreateIn(x.batch, e); err != nil {
		return "", err
	}
	id := d.id(e)
	x.made[d.kind] = append(x.made[d.kind], madeEntity{id, e})
	x.changes = append(x.changes, changeForm{Change: changeCreate, Kind: d.kind, Name: d.label(x, e), ID: id})
	return id, nil
}

func (d declared[E, D]) update(x *applying, id string, in D) error {
	var old E
	now, changed, err := d.table.UpdateIn(x.batch, id, func(have E) (E, error) {
		old = have
		next, err := d.next(x, in, have)
		if err == nil {
			err = handler[E, D]{x.cloud, d.resource}.permitted(x.by, &old, &next)
		}
		return next, err
	})
	if err != nil {
		return err
	}
	x.made[d.kind] = append(x.made[d.kind], madeEntity{id, now})
	c := changeForm{Change: changeNone, Kind: d.kind, Name: d.label(x, now), ID: id}
	if changed {
		c.Change = changeUpdate
		if c.Differences, err = d.differences(x, old, now); err != nil {
			return err
		}
		if d.done != nil {
			x.after = append(x.after, func(ctx context.Context) error { return d.done(ctx, old, now) })
		}
	}
	x.changes = append(x.changes, c)
	return nil
}

func (d declared[E, D]) next(x *applying, in D, old E) (E, error) {
	if d.merging != nil {
		return d.merging(x, in, old)
	}
	return d.merge(in, old)
}

// differences are the members that an update makes others.
func (d declared[E, D]) differences(x *applying, old, now E) ([]differenceForm, error) {
	from, err := d.membersOf(x, old)
	if err != nil {
		return nil, err
	}
	to, err := d.membersOf(x, now)
	if err != nil {
		return nil, err
	}
	list := []differenceForm{}
	names := slices.Concat(slices.Collect(maps.Keys(from)), slices.Collect(maps.Keys(to)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !bytes.Equal(from[name], to[name]) {
			list = append(list, differenceForm{name, from[name], to[name]})
		}
	}
	if d.secrets != nil {
		for _, name := range d.secrets(old, now) {
			list = append(list, differenceForm{Member: name})
		}
	}
	return list, nil
}

func (d declared[E, D]) membersOf(x *applying, e E) (map[string]jsontext.Value, error) {
	form, err := handler[E, D]{x.cloud, d.resource}.shown(x.ctx, e)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(form, json.Deterministic(true)) // what has no order shall make no difference
	if err != nil {
		return nil, err
	}
	var m map[string]jsontext.Value
	return m, json.Unmarshal(b, &m)
}

// label is what people call an entity: with its parent's name in front.
func (d declared[E, D]) label(x *applying, e E) string {
	if d.parent == nil || d.parentKinds == nil {
		return d.name(x, e)
	}
	return x.labelOf(d.parentKinds, d.parent(e)) + "/" + d.name(x, e)
}

// labelOf is the label of an entity that has been looked at in this run.
func (x *applying) labelOf(kinds []string, id string) string {
	for _, k := range x.kinds {
		if l, ok := k.(interface {
			labelByID(x *applying, id string) (string, bool)
		}); ok && slices.Contains(kinds, k.word()) {
			if s, ok := l.labelByID(x, id); ok {
				return s
			}
		}
	}
	return id
}

func (d declared[E, D]) labelByID(x *applying, id string) (string, bool) {
	e, err := d.table.GetIn(x.batch, id)
	if err != nil {
		return "", false
	}
	return d.label(x, e), true
}

// prune deletes what belongs to an object of the set and is not in it.
func (d declared[E, D]) prune(x *applying) error {
	if d.parentKinds == nil {
		return nil
	}
	for _, kind := range d.parentKinds {
		for _, parent := range x.made[kind] {
			if err := d.pruneUnder(x, parent.id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d declared[E, D]) pruneUnder(x *applying, parent string) error {
	stored, err := d.stored(x, parent)
	if err != nil {
		return err
	}
	for _, e := range stored {
		id := d.id(e)
		if _, declared := x.seen[id]; declared || d.kept != nil && d.kept(e) {
			continue
		}
		c := changeForm{Change: changeDelete, Kind: d.kind, Name: d.label(x, e), ID: id}
		err := d.table.DeleteIn(x.batch, id)
		if core.ErrorCode(err) == core.NotFound && err != nil {
			continue // gone with its parent
		}
		if err != nil {
			return err
		}
		x.changes = append(x.changes, c)
	}
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }
