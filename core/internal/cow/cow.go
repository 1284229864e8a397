// Package cow has a map of which pictures can be taken: copy on write, in
// shards, so that views may share it without a lock.
package cow

import (
	"hash/maphash"
	"iter"
	"maps"
)

// Map is a map of which pictures can be taken: a copy of the struct shows for
// ever what the map held at that moment, provided that changes after it are
// made with another batch. One change among 100,000 entries copies a few
// hundred, many changes of one batch copy each shard once. The zero Map is
// empty. Pictures may be read by many; a Map is changed by one at a time.
type Map[K comparable, V any] struct {
	table *table[K, V]
	size  int
}

const shardCount = 256

type table[K comparable, V any] struct {
	owner  *Batch
	shards [shardCount]shard[K, V]
}

type shard[K comparable, V any] struct {
	owner *Batch
	m     map[K]V
}

// Batch marks what was copied since the last picture and may be changed in
// place until the next.
type Batch struct{ _ byte }

// seed is chosen once per process: keys come from strangers.
var seed = maphash.MakeSeed()

func shardOf[K comparable](key K) int { return int(maphash.Comparable(seed, key) % shardCount) }

// Get returns the value of key.
func (m Map[K, V]) Get(key K) (V, bool) {
	if m.table == nil {
		var none V
		return none, false
	}
	v, ok := m.table.shards[shardOf(key)].m[key]
	return v, ok
}

// Len is the number of entries.
func (m Map[K, V]) Len() int { return m.size }

// All yields all entries, in no order.
func (m Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if m.table == nil {
			return
		}
		for i := range m.table.shards {
			for k, v := range m.table.shards[i].m {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

// writable returns the shard of key, fit to be changed in batch b.
func (m *Map[K, V]) writable(b *Batch, key K) map[K]V {
	switch {
	case m.table == nil:
		m.table = &table[K, V]{owner: b}
	case m.table.owner != b:
		c := *m.table
		c.owner = b
		m.table = &c
	}
	s := &m.table.shards[shardOf(key)]
	if s.owner != b {
		s.owner, s.m = b, maps.Clone(s.m)
	}
	if s.m == nil {
		s.m = map[K]V{}
	}
	return s.m
}

// Set stores v under key.
func (m *Map[K, V]) Set(b *Batch, key K, v V) {
	s := m.writable(b, key)
	if _, had := s[key]; !had {
		m.size++
	}
	s[key] = v
}

// Delete removes key, if it is there.
func (m *Map[K, V]) Delete(b *Batch, key K) {
	if _, ok := m.Get(key); ok {
		delete(m.writable(b, key), key)
		m.size--
	}
}
