package live

import (
	"hash/maphash"
	"iter"
	"maps"
)

// sharded is a map of which pictures can be taken: a copy of the struct shows
// for ever what the map held at that moment, provided that changes after it
// are made with another batch. One change among 100,000 entries copies a few
// hundred, many changes of one batch copy each shard once, and readers need
// no lock. The zero sharded is empty.
type sharded[V any] struct {
	table *shards[V]
	size  int
}

const shardCount = 256

type shards[V any] struct {
	owner *batch
	of    [shardCount]shard[V]
}

type shard[V any] struct {
	owner *batch
	m     map[string]V
}

// batch marks what was copied since the last picture and may be changed in
// place until the next.
type batch struct{ _ byte }

// seed is chosen once per process: keys come from strangers.
var seed = maphash.MakeSeed()

func shardOf(key string) int { return int(maphash.String(seed, key) % shardCount) }

func (m sharded[V]) get(key string) (V, bool) {
	if m.table == nil {
		var none V
		return none, false
	}
	v, ok := m.table.of[shardOf(key)].m[key]
	return v, ok
}

func (m sharded[V]) len() int { return m.size }

func (m sharded[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if m.table == nil {
			return
		}
		for i := range m.table.of {
			for k, v := range m.table.of[i].m {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

// shard returns the shard of key, fit to be changed in batch b.
func (m *sharded[V]) shard(b *batch, key string) map[string]V {
	switch {
	case m.table == nil:
		m.table = &shards[V]{owner: b}
	case m.table.owner != b:
		c := *m.table
		c.owner = b
		m.table = &c
	}
	s := &m.table.of[shardOf(key)]
	if s.owner != b {
		s.owner, s.m = b, maps.Clone(s.m)
	}
	if s.m == nil {
		s.m = map[string]V{}
	}
	return s.m
}

func (m *sharded[V]) set(b *batch, key string, v V) {
	s := m.shard(b, key)
	if _, had := s[key]; !had {
		m.size++
	}
	s[key] = v
}

func (m *sharded[V]) del(b *batch, key string) {
	if _, ok := m.get(key); ok {
		delete(m.shard(b, key), key)
		m.size--
	}
}
