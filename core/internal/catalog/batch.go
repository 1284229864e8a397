package catalog

import (
	"bytes"
	"context"
	"iter"

	"github.com/annex-gateway/annex/core"
)

// Batch is a set of changes that stand or fall together: one commit. It lives
// for one call of [Catalog.Batch].
type Batch struct {
	x  *tx
	by string
}

// Batch makes all changes of build in the name of by, or none of them. Build
// runs again from the start when another writer came in between, so it must
// keep nothing from an earlier run.
func (c *Catalog) Batch(ctx context.Context, by string, build func(*Batch) error) error {
	_, err := c.change(ctx, func(x *tx) error { return build(&Batch{x, by}) })
	return err
}

// GetIn returns the entity as the batch sees it, and makes the batch fail when
// it changes before the commit.
func (t *Table[E]) GetIn(b *Batch, id string) (E, error) { return t.current(b.x, id, nil) }

// CreateIn is [Table.Create] in a batch. An entity that an operation key gave
// back has its revision; a new one has none before the commit.
func (t *Table[E]) CreateIn(b *Batch, e E) (E, error) {
	if t.prefix != "" && *t.id(&e) == "" {
		*t.id(&e) = t.prefix + core.NewUUID()
	}
	if t.prepare != nil {
		if err := t.prepare(b.x.ctx, &e); err != nil {
			return e, err
		}
	}
	now := t.c.opts.Now().UTC()
	*t.meta(&e) = core.Meta{Created: now, CreatedBy: b.by, Modified: now, ModifiedBy: b.by, OperationKey: t.meta(&e).OperationKey}
	if done, err := t.repeated(b.x, &e); done || err != nil {
		return e, err
	}
	have, err := b.x.get(t.key(*t.id(&e)))
	if err == nil && have.Value != nil {
		err = core.Errorf(core.Conflict, "the %s %q exists already", t.noun, *t.id(&e))
	}
	if err != nil {
		return e, err
	}
	return e, t.write(b.x, &e, nil)
}

// DeleteIn is [Table.Delete] in a batch.
func (t *Table[E]) DeleteIn(b *Batch, id string) error {
	e, err := t.current(b.x, id, nil)
	if err != nil {
		return err
	}
	if err := b.x.refuseIfNamed(t.noun, id); err != nil {
		return err
	}
	return t.remove(b.x, e)
}

// UpdateIn is [Table.Update] in a batch. It reports whether change made
// anything another than it was; what stays the same is not written.
func (t *Table[E]) UpdateIn(b *Batch, id string, change func(E) (E, error)) (now E, changed bool, err error) {
	old, err := t.current(b.x, id, nil)
	if err != nil {
		return now, false, err
	}
	if now, err = change(old); err != nil {
		return now, false, err
	}
	*t.id(&now), *t.meta(&now) = id, *t.meta(&old)
	if t.keep != nil {
		t.keep(&now, old)
	}
	if same, err := t.same(now, old); same || err != nil {
		return now, false, err
	}
	if t.prepare != nil {
		if err := t.prepare(b.x.ctx, &now); err != nil {
			return now, false, err
		}
	}
	if same, err := t.same(now, old); same || err != nil {
		return now, false, err
	}
	t.meta(&now).Modified, t.meta(&now).ModifiedBy = t.c.opts.Now().UTC(), b.by
	return now, true, t.write(b.x, &now, &old)
}

// same reports whether two entities are stored alike.
func (t *Table[E]) same(a, b E) (bool, error) {
	x, err := t.encode(a)
	if err != nil {
		return false, err
	}
	y, err := t.encode(b)
	return bytes.Equal(x, y), err
}

// UnderIn yields the entities whose parent has that id, and makes the batch
// fail when another one comes before the commit. What the batch itself made is
// not among them.
func (t *Table[E]) UnderIn(b *Batch, parent string) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		if _, err := b.x.get(kids + parent); err != nil {
			yield(*new(E), err)
			return
		}
		t.Under(b.x.ctx, parent)(yield)
	}
}
