package catalog

import (
	"context"
	"errors"

	"github.com/annex-gateway/annex/storage"
)

// tx collects one change. Every key that it reads becomes a condition of the
// commit, so a decision and what it was based on stand or fall together.
type tx struct {
	ctx    context.Context //nolint:containedctx // a tx lives for one call of change
	c      *Catalog
	reads  map[string]storage.Entry
	writes map[string][]byte
	order  []string
}

func newTx(ctx context.Context, c *Catalog) *tx {
	return &tx{ctx: ctx, c: c, reads: map[string]storage.Entry{}, writes: map[string][]byte{}}
}

// get returns what stands under key, with the tx's own writes; an absent entry
// has revision 0 and a nil value.
func (t *tx) get(key string) (storage.Entry, error) {
	e, seen := t.reads[key]
	if !seen {
		var err error
		e, err = t.c.store.Get(t.ctx, key)
		if errors.Is(err, storage.ErrNotFound) {
			e = storage.Entry{Key: key}
		} else if err != nil {
			return e, storeError(err)
		}
		t.reads[key] = e
	}
	if v, written := t.writes[key]; written {
		e.Value = v
	}
	return e, nil
}

func (t *tx) put(key string, value []byte) {
	if _, twice := t.writes[key]; !twice {
		t.order = append(t.order, key)
	}
	t.writes[key] = value
}

func (t *tx) del(key string) { t.put(key, nil) }

func (t *tx) commit() storage.Commit {
	var c storage.Commit
	for _, key := range t.order {
		w := storage.Write{Key: key, Value: t.writes[key]}
		if e, ok := t.reads[key]; ok {
			w.If = storage.Rev(e.Revision)
		}
		c.Writes = append(c.Writes, w)
	}
	for key, e := range t.reads {
		if _, written := t.writes[key]; !written {
			c.Checks = append(c.Checks, storage.Check{Key: key, If: e.Revision})
		}
	}
	return c
}
