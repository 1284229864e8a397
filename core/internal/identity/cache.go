package identity

import (
	"sync"
	"sync/atomic"
)

// cache remembers up to limit values in two generations: when the young one
// is full it becomes the old one, and what was not asked for since is
// forgotten. Readers take no lock.
type cache[V any] struct {
	half int64
	gen  atomic.Pointer[generations]
	turn sync.Mutex
}

type generations struct {
	young, old *sync.Map
	size       *atomic.Int64 // of young
}

func newCache[V any](limit int) *cache[V] {
	c := &cache[V]{half: int64(max(limit/2, 1))}
	c.gen.Store(&generations{new(sync.Map), new(sync.Map), new(atomic.Int64)})
	return c
}

func (c *cache[V]) get(key string) (*V, bool) {
	g := c.gen.Load()
	if v, ok := g.young.Load(key); ok {
		return v.(*V), true
	}
	v, ok := g.old.Load(key)
	if !ok {
		return nil, false
	}
	c.put(key, v.(*V))
	return v.(*V), true
}

// put remembers v, which must not be changed afterwards.
func (c *cache[V]) put(key string, v *V) {
	g := c.gen.Load()
	if g.size.Load() >= c.half {
		g = c.age(g)
	}
	if _, had := g.young.Swap(key, v); !had {
		g.size.Add(1)
	}
}

// age starts a new generation unless another goroutine just did.
func (c *cache[V]) age(full *generations) *generations {
	c.turn.Lock()
	defer c.turn.Unlock()
	if g := c.gen.Load(); g != full {
		return g
	}
	g := &generations{new(sync.Map), full.young, new(atomic.Int64)}
	c.gen.Store(g)
	return g
}
