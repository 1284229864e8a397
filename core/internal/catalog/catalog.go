// Package catalog keeps every registration: it knows the rules across
// entities, gives ids, cascades deletions and counts revisions. All writers go
// through it; the road reads what it stored through [Catalog.Follow].
package catalog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/storage"
)

// Catalog is the thick type over a thin store. It is safe for concurrent use.
type Catalog struct {
	Systems  *Table[core.System]
	Filters  *Table[core.Filter]
	Tokens   *Table[core.Token]
	Orgs     *Table[core.Org]
	Users    *Table[core.User]
	Roles    *Table[core.Role]
	Rights   *Table[core.Right]
	Sessions *Table[core.Session]
	Keys     *Table[core.SigningKey]
	Issuers  *Table[core.Issuer]

	Classes     *Table[core.ResourceClass]
	Actions     *Table[core.ResourceClassAction]
	Resources   *Table[core.ServiceResource]
	Rules       *Table[core.ACLRule]
	Links       *Table[core.Link]
	Definitions *Table[core.APIDefinition]
	Files       *Table[core.FileDescriptor]
	Modules     *Table[core.Module]
	Trusted     *Table[core.TrustedCertificate]

	store  storage.Store
	opts   Options
	kinds  map[string]core.Kind
	tables map[string]anyTable
}

// Options are what a Catalog can be told.
type Options struct {
	// Now is the clock; time.Now by default.
	Now func() time.Time
	// Published is called after each commit and before the method that made
	// it returns: the gateway waits here until its view holds the revision.
	Published func(ctx context.Context, r storage.Revision) error
}

// schemaVersion is the version of the stored forms. A store written by a
// newer program is refused.
const schemaVersion = "1"

const schemaKey = "schema"

// Open makes a Catalog over store and checks the version of what is stored.
func Open(ctx context.Context, store storage.Store, opts Options) (*Catalog, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	c := &Catalog{store: store, opts: opts, kinds: map[string]core.Kind{}, tables: map[string]anyTable{}}
	c.declare()
	e, err := store.Get(ctx, schemaKey)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		_, err = store.Commit(ctx, storage.Commit{Writes: []storage.Write{{Key: schemaKey, Value: []byte(schemaVersion)}}})
		if err != nil {
			return nil, fmt.Errorf("write the schema version: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("read the schema version: %w", err)
	case string(e.Value) != schemaVersion:
		return nil, fmt.Errorf("the data was written with schema version %s and this program knows version %s: use the program that wrote it, or a newer one", e.Value, schemaVersion)
	}
	return c, nil
}

// Use tells which kinds there are. It is called once, before the first
// registration; systems of other kinds are refused.
func (c *Catalog) Use(kinds []core.Kind) error {
	for _, k := range kinds {
		if _, twice := c.kinds[k.Name()]; twice {
			return fmt.Errorf("two kinds are named %q", k.Name())
		}
		c.kinds[k.Name()] = k
	}
	return nil
}

// Kind returns the kind of that name.
func (c *Catalog) Kind(name string) (core.Kind, bool) {
	k, ok := c.kinds[name]
	return k, ok
}

// Kinds yields the kinds, in no order.
func (c *Catalog) Kinds() iter.Seq[core.Kind] { return maps.Values(c.kinds) }

// attempts bounds how often a change is tried again after another writer came
// first.
const attempts = 16

// change runs build on a fresh transaction and commits it, again from the
// start when another writer came in between. It gives the commit's revision.
func (c *Catalog) change(ctx context.Context, build func(*tx) error) (uint64, error) {
	for range attempts {
		t := newTx(ctx, c)
		if err := build(t); err != nil {
			return 0, err
		}
		if len(t.order) == 0 {
			return 0, nil
		}
		rev, err := c.store.Commit(ctx, t.commit())
		var conflict *storage.ConflictError
		switch {
		case errors.As(err, &conflict):
			continue
		case err != nil:
			return 0, storeError(err)
		}
		return uint64(rev), c.publish(ctx, rev)
	}
	return 0, core.Errorf(core.Conflict, "others are changing this at the same time; read it again and repeat the call")
}

func (c *Catalog) publish(ctx context.Context, rev storage.Revision) error {
	if c.opts.Published == nil {
		return nil
	}
	if err := c.opts.Published(ctx, rev); err != nil {
		return core.WrapError(core.Unavailable, err, "the change is stored but not yet in effect; look at it again in a moment")
	}
	return nil
}

// storeError turns what the store says into what a caller may read.
func storeError(err error) error {
	switch {
	case errors.Is(err, storage.ErrReadOnly):
		return core.WrapError(core.ReadOnly, err, "the gateway's disk is nearly full: registrations are read-only until space is freed")
	case errors.Is(err, storage.ErrClosed):
		return core.WrapError(core.Unavailable, err, "the gateway is stopping")
	case errors.Is(err, storage.ErrInvalid):
		return core.WrapError(core.TooLarge, err, "the change is too large to be stored at once")
	case errors.Is(err, storage.ErrUnknown):
		return core.WrapError(core.Unavailable, err, "it is not known whether the change was stored: look before you repeat it")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return core.WrapError(core.Unavailable, err, "the gateway's store does not work at the moment; its log says why")
}
