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
	for e, err := range d.everything(x) {
		if err != nil {
			return "", err
		}
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

// everything are the entities of the set, and those that there were.
func (d declared[E, D]) everything(x *applying) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		for _, m := range x.made[d.kind] {
			if e, ok := m.entity.(E); ok && !yield(e, nil) {
				return
			}
		}
		for e, err := range d.table.All(x.ctx) {
			if err == nil && d.shows != nil && !d.shows(x.by, e) {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
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
