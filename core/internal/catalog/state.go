package catalog

import (
	"context"
	"errors"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/storage"
)

// states holds what systems remember: state/<system id>/<key>. It is not
// followed; only its own system reads it.
const states = "state/"

// State is the memory of one system.
func (c *Catalog) State(systemID string) core.State {
	return systemState{c.store, states + systemID + "/"}
}

type systemState struct {
	store  storage.Store
	prefix string
}

// Get returns the value of key and its revision.
func (s systemState) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	e, err := s.store.Get(ctx, s.prefix+key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, 0, nil
	} else if err != nil {
		return nil, 0, storeError(err)
	}
	return e.Value, uint64(e.Revision), nil
}

// Put stores value if key is still at revision.
func (s systemState) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	rev, err := s.store.Commit(ctx, storage.Commit{Writes: []storage.Write{
		{Key: s.prefix + key, Value: value, If: storage.Rev(storage.Revision(revision))},
	}})
	var conflict *storage.ConflictError
	switch {
	case errors.As(err, &conflict):
		return 0, core.Errorf(core.Stale, "the state %q has changed since", key)
	case err != nil:
		return 0, storeError(err)
	case value == nil:
		return 0, nil
	}
	return uint64(rev), nil
}

func (t *tx) dropState(systemID string) error {
	for e, err := range t.c.store.List(t.ctx, states+systemID+"/") {
		if err != nil {
			return storeError(err)
		}
		t.del(e.Key)
	}
	return nil
}
