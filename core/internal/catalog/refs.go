package catalog

import (
	"slices"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// refer notes whom e names, and forgets whom old named. Writing the kids key
// of a target makes a deletion fail that has not seen the note.
func (t *Table[E]) refer(x *tx, e E, old *E) {
	if t.refs == nil {
		return
	}
	var was, is []string
	id := *t.id(&e)
	if old != nil {
		was, id = t.refs(*old), *t.id(old)
	}
	if *t.id(&e) != "" {
		is = t.refs(e)
	}
	for _, target := range was {
		if !slices.Contains(is, target) {
			x.del(refs + target + "/" + t.name + "/" + id)
		}
	}
	for _, target := range is {
		if !slices.Contains(was, target) {
			x.put(refs+target+"/"+t.name+"/"+id, present)
			x.put(kids+target, present)
		}
	}
}

// refuseIfNamed keeps what others name.
func (t *tx) refuseIfNamed(noun, id string) error {
	if _, err := t.get(kids + id); err != nil {
		return err
	}
	for e, err := range t.c.store.List(t.ctx, refs+id+"/") {
		if err != nil {
			return storeError(err)
		}
		if v, written := t.writes[e.Key]; written && v == nil {
			continue // whoever named it goes with this change
		}
		table, by, _ := strings.Cut(strings.TrimPrefix(e.Key, refs+id+"/"), "/")
		return core.Errorf(core.Conflict, "the %s %q is in use by the %s", noun, id, t.c.tables[table].describe(t, by))
	}
	return nil
}

// named reports whether anybody names the entity.
func (t *tx) named(id string) (bool, error) {
	err := t.refuseIfNamed("", id)
	if core.ErrorCode(err) == core.Conflict {
		return true, nil
	}
	return false, err
}

// describe says for people which entity has that id.
func (t *Table[E]) describe(x *tx, id string) string {
	e, err := t.Get(x.ctx, id)
	if t.label == nil || err != nil {
		return t.noun + " " + strconv.Quote(id)
	}
	return t.noun + " " + strconv.Quote(t.label(e)) + " (" + id + ")"
}
