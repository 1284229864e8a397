package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/storage"
)

// Module bytes lie outside the registry, in chunks that fit any store:
// blob/<digest>/<chunk number>. They are written before the module's entry and
// are of no account without it.
const (
	blobs     = "blob/"
	chunkSize = 1 << 20
)

func (c *Catalog) moduleRules() rules[core.Module] {
	return rules[core.Module]{
		name: "module", noun: "WASM module",
		id:   func(m *core.Module) *string { return &m.Digest },
		meta: func(m *core.Module) *core.Meta { return &m.Meta },
		drop: func(x *tx, m core.Module) error {
			if _, err := x.get(kids + m.Digest); err != nil {
				return err
			}
			for s, err := range c.Systems.All(x.ctx) {
				if err != nil {
					return err
				}
				set, err := core.DecodeSettings[core.WASMSettings](s)
				if s.Kind == core.KindWASM && err == nil && set.Module == m.Digest {
					return core.Errorf(core.Conflict, "module %s is in use by %s", m.Digest, s.ID)
				}
			}
			for n := int64(0); n*chunkSize < m.Size; n++ {
				x.del(chunkKey(m.Digest, n))
			}
			return nil
		},
	}
}

func chunkKey(digest string, n int64) string { return fmt.Sprintf("%s%s/%06d", blobs, digest, n) }

// AddModule stores a module under its digest. Adding the same bytes again
// gives the entry that is there.
func (c *Catalog) AddModule(ctx context.Context, by string, module []byte) (core.Module, error) {
	sum := sha256.Sum256(module)
	m := core.Module{Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(module))}
	if have, err := c.Modules.Get(ctx, m.Digest); err == nil && c.holdsModule(ctx, m.Digest) {
		return have, nil
	}
	for n := int64(0); n*chunkSize < m.Size; n++ {
		chunk := module[n*chunkSize : min((n+1)*chunkSize, m.Size)]
		_, err := c.store.Commit(ctx, storage.Commit{Writes: []storage.Write{{Key: chunkKey(m.Digest, n), Value: chunk}}})
		if err != nil {
			return m, storeError(err)
		}
	}
	stored, err := c.Modules.Create(ctx, by, m)
	if core.ErrorCode(err) == core.Conflict {
		stored, err = c.Modules.Get(ctx, m.Digest)
	}
	if err == nil && !c.holdsModule(ctx, m.Digest) {
		err = core.Errorf(core.Conflict, "module %s was deleted at the same time: upload it again", m.Digest)
	}
	return stored, err
}

// holdsModule reports whether the bytes are all there.
func (c *Catalog) holdsModule(ctx context.Context, digest string) bool {
	r, err := c.OpenModule(ctx, digest)
	if err != nil {
		return false
	}
	return r.Close() == nil
}

// OpenModule gives the bytes of a module, checked against the digest.
func (c *Catalog) OpenModule(ctx context.Context, digest string) (io.ReadCloser, error) {
	m, err := c.Modules.Get(ctx, digest)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, m.Size)
	for n := int64(0); n*chunkSize < m.Size; n++ {
		e, err := c.store.Get(ctx, chunkKey(digest, n))
		if errors.Is(err, storage.ErrNotFound) {
			return nil, core.Errorf(core.Internal, "module %s is stored incompletely: upload it again", digest)
		} else if err != nil {
			return nil, storeError(err)
		}
		b = append(b, e.Value...)
	}
	if sum := sha256.Sum256(b); "sha256:"+hex.EncodeToString(sum[:]) != digest {
		return nil, core.Errorf(core.Internal, "module %s is damaged in the store: upload it again", digest)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}
