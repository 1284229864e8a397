package cloudapi

import (
	"iter"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// find gives the entity that a name means: its own, or with that of its parent
// in front.
func (d declared[E, D]) find(x *applying, name, org string) (string, error) {
	means := d.meaning(x, name, org)
	var ids []string
	stored, err := d.stored(x, "")
	if err != nil {
		return "", err
	}
	for e := range d.everything(x, stored) {
		if id := d.id(e); means(e) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		return "", core.Errorf(core.NotFound, "there is no %s %q, here or in the set", d.noun, name)
	}
	return "", core.Errorf(core.Conflict, "%d entities are named %q; give the id of the %s: %s", len(ids), name, d.noun, strings.Join(ids[:2], ", "))
}

// stored gives the entities that there were before, below a parent or all of
// them. It reads them once in a run, and makes the run fail when another one
// comes below the parent before the commit.
func (d declared[E, D]) stored(x *applying, parent string) ([]E, error) {
	key := d.kind + "\x00" + parent
	if list, ok := x.stored[key].([]E); ok {
		return list, nil
	}
	all, list := d.table.All(x.ctx), []E{}
	if parent != "" {
		all = d.table.UnderIn(x.batch, parent)
	}
	for e, err := range all {
		if err != nil {
			return nil, err
		}
		if d.shows == nil || d.shows(x.by, e) {
			list = append(list, e)
		}
	}
	x.stored[key] = list
	return list, nil
}

// everything are the entities of the set, and those that there were.
func (d declared[E, D]) everything(x *applying, stored []E) iter.Seq[E] {
	return func(yield func(E) bool) {
		for _, m := range x.made[d.kind] {
			if e, ok := m.entity.(E); ok && !yield(e) {
				return
			}
		}
		slices.Values(stored)(yield)
	}
}

// meaning tells whether an entity is meant by a name.
func (d declared[E, D]) meaning(x *applying, name, org string) func(E) bool {
	parent, last := "", name
	if i := strings.LastIndexByte(name, '/'); i > 0 && d.parentKinds != nil {
		if id, err := x.findAny(d.parentKinds, name[:i], ""); err == nil {
			parent, last = id, name[i+1:]
		}
	}
	return func(e E) bool {
		if org != "" && d.org != nil && d.org(e) != "" && d.org(e) != org {
			return false
		}
		own := d.name(x, e)
		return own == name || d.known != nil && d.known(e, name) || parent != "" && d.parent(e) == parent && own == last
	}
}
