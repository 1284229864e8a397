package catalog

import (
	"context"
	"iter"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/storage"
)

// Change is one entity that came, changed or went.
type Change struct {
	Table  string // "system", "filter", …
	ID     string
	Entity any // a value of the table's core type; nil when it went
}

// Changes is one commit, or part of what stands at the (re)start.
type Changes struct {
	List     []Change
	Revision storage.Revision
	Snapshot bool // forget what you knew, unless the batch before had More set
	More     bool // the snapshot goes on
}

// Follow yields everything that is registered and then every later change, in
// order. An entity that cannot be read ends it: no picture without a rule.
func (c *Catalog) Follow(ctx context.Context) iter.Seq2[Changes, error] {
	return func(yield func(Changes, error) bool) {
		for b, err := range c.store.Watch(ctx, registry) {
			if err != nil {
				yield(Changes{}, storeError(err))
				return
			}
			changes, err := c.changes(b)
			if !yield(changes, err) || err != nil {
				return
			}
		}
	}
}

func (c *Catalog) changes(b storage.Batch) (Changes, error) {
	out := Changes{Revision: b.Revision, Snapshot: b.Snapshot, More: b.More}
	for _, e := range b.Entries {
		table, id, ok := strings.Cut(strings.TrimPrefix(e.Key, registry), "/")
		t := c.tables[table]
		if !ok || t == nil {
			return out, core.Errorf(core.Internal, "the stored key %q cannot be read", e.Key)
		}
		change := Change{Table: table, ID: id}
		if e.Value != nil {
			var err error
			if change.Entity, err = t.decodeAny(e); err != nil {
				return out, err
			}
		}
		out.List = append(out.List, change)
	}
	return out, nil
}
