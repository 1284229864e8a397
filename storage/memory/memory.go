// Package memory keeps a store in memory, for tests. Nothing outlives Close.
package memory

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/internal/feed"
)

// Store is a storage.Store in memory.
type Store struct {
	feed *feed.Feed

	mu       sync.RWMutex
	entries  map[string]storage.Entry
	revision storage.Revision
	closed   bool
}

var _ storage.Store = (*Store)(nil)

// New makes an empty store.
func New() *Store {
	return &Store{feed: feed.New(feed.Options{}), entries: map[string]storage.Entry{}}
}

// Get returns the entry of key.
func (s *Store) Get(ctx context.Context, key string) (storage.Entry, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return storage.Entry{}, err
	}
	e, ok := s.entries[key]
	if !ok {
		return storage.Entry{}, storage.ErrNotFound
	}
	return e, nil
}

// List yields the entries below prefix as they are when the loop begins.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		entries, _, err := s.picture(ctx, prefix)
		if err != nil {
			yield(storage.Entry{}, err)
			return
		}
		each(ctx, entries)(yield)
	}
}

// Commit applies all of c or nothing.
func (s *Store) Commit(ctx context.Context, c storage.Commit) (storage.Revision, error) {
	if err := c.Validate(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	if err := s.conflict(c); err != nil {
		return 0, err
	}
	s.revision++
	batch := storage.Batch{Revision: s.revision}
	for _, w := range c.Writes {
		e := storage.Entry{Key: w.Key, Value: bytes.Clone(w.Value), Revision: s.revision}
		if w.Value == nil {
			delete(s.entries, w.Key)
		} else {
			s.entries[w.Key] = e
		}
		batch.Entries = append(batch.Entries, e)
	}
	s.feed.Announce(batch)
	return s.revision, nil
}

// Watch follows the store.
func (s *Store) Watch(ctx context.Context, prefix string) iter.Seq2[storage.Batch, error] {
	return s.feed.Follow(ctx, prefix, func(ctx context.Context, prefix string, use func(storage.Revision, iter.Seq2[storage.Entry, error]) error) error {
		entries, at, err := s.picture(ctx, prefix)
		if err != nil {
			return err
		}
		return use(at, each(ctx, entries))
	})
}

// Close ends all watches and forgets everything.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.entries = nil
	s.feed.Close()
	return nil
}

// usable is called with mu held.
func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return storage.ErrClosed
	}
	return ctx.Err()
}

func (s *Store) conflict(c storage.Commit) error {
	for _, w := range c.Writes {
		if w.If == nil {
			continue
		}
		if err := storage.Conflict(w.Key, *w.If, s.entries[w.Key].Revision); err != nil {
			return err
		}
	}
	for _, k := range c.Checks {
		if err := storage.Conflict(k.Key, k.If, s.entries[k.Key].Revision); err != nil {
			return err
		}
	}
	return nil
}

// picture returns the entries below prefix in key order, and when they were so.
func (s *Store) picture(ctx context.Context, prefix string) ([]storage.Entry, storage.Revision, error) {
	if err := storage.ValidatePrefix(prefix); err != nil {
		return nil, 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, 0, err
	}
	var entries []storage.Entry
	for _, key := range slices.Sorted(maps.Keys(s.entries)) {
		if strings.HasPrefix(key, prefix) {
			entries = append(entries, s.entries[key])
		}
	}
	return entries, s.revision, nil
}

// each yields entries for as long as ctx lasts.
func each(ctx context.Context, entries []storage.Entry) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				yield(storage.Entry{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}
