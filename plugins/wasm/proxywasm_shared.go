package wasm

import (
	"context"
	"slices"
	"sync"
)

const (
	maxQueues     = 64
	maxQueueItems = 4096
)

// shared is what all guests of one system have in common: data and queues. It
// lasts as long as the system stays as it is registered.
type shared struct {
	limit int64 // bytes of data and queued items together

	mu     sync.Mutex
	bytes  int64
	data   map[string]sharedValue
	queues []*queue // by id - 1
	cas    uint32
}

type sharedValue struct {
	value []byte
	cas   uint32
}

type queue struct {
	name  string
	owner *proxyVM // who is told of new items: who registered it last
	items [][]byte
}

func newShared(limit int64) *shared {
	return &shared{limit: limit, data: map[string]sharedValue{}}
}

func (h *shared) get(key string) (sharedValue, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.data[key]
	return v, ok
}

// set stores a value, if cas is 0 or that of the value which is there.
func (h *shared) set(key string, value []byte, cas uint32) status {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, ok := h.data[key]
	if cas != 0 && was.cas != cas {
		return statusMismatch
	}
	more := int64(len(value) - len(was.value))
	if !ok {
		more += int64(len(key)) + 64
	}
	if h.bytes+more > h.limit {
		return statusInternalFailure
	}
	if h.cas++; h.cas == 0 {
		h.cas = 1
	}
	h.bytes += more
	h.data[key] = sharedValue{value, h.cas}
	return statusOK
}

// register opens a queue for a guest, or resolves it, where owner is nil.
func (h *shared) register(name string, owner *proxyVM) (uint32, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.queues, func(q *queue) bool { return q.name == name })
	switch {
	case i >= 0 && owner != nil:
		h.queues[i].owner = owner
	case i < 0 && (owner == nil || len(h.queues) >= maxQueues):
		return 0, false
	case i < 0:
		h.queues = append(h.queues, &queue{name: name, owner: owner})
		i = len(h.queues) - 1
	}
	return uint32(i + 1), true
}

func (h *shared) queue(id uint32) *queue {
	if id == 0 || uint64(id) > uint64(len(h.queues)) {
		return nil
	}
	return h.queues[id-1]
}

func (h *shared) push(id uint32, item []byte) (*proxyVM, status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queue(id)
	switch {
	case q == nil:
		return nil, statusNotFound
	case len(q.items) >= maxQueueItems || h.bytes+int64(len(item)) > h.limit:
		return nil, statusInternalFailure
	}
	h.bytes += int64(len(item))
	q.items = append(q.items, item)
	return q.owner, statusOK
}

func (h *shared) pop(id uint32) ([]byte, status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queue(id)
	switch {
	case q == nil:
		return nil, statusNotFound
	case len(q.items) == 0:
		return nil, statusEmpty
	}
	item := q.items[0]
	q.items = q.items[1:]
	h.bytes -= int64(len(item))
	return item, statusOK
}

func (v *proxyVM) getShared(ctx context.Context, p params) status {
	key, ok := v.text(p, 0)
	if !ok || !v.writable(p.u32(2), p.u32(3), p.u32(4)) {
		return statusMemory
	}
	value, found := v.fleet.shared.get(key)
	if !found {
		return statusNotFound
	}
	if st := v.give(ctx, value.value, p.u32(2), p.u32(3)); st != statusOK {
		return st
	}
	return v.putU32(p.u32(4), value.cas)
}

func (v *proxyVM) setShared(_ context.Context, p params) status {
	key, ok := v.text(p, 0)
	value, okay := v.read(p.u32(2), p.u32(3))
	if !ok || !okay {
		return statusMemory
	}
	return v.fleet.shared.set(key, value, p.u32(4))
}

func (v *proxyVM) registerQueue(_ context.Context, p params) status {
	name, ok := v.text(p, 0)
	if !ok || !v.writable(p.u32(2)) {
		return statusMemory
	}
	id, ok := v.fleet.shared.register(name, v)
	if !ok {
		return statusInternalFailure
	}
	v.listens.Store(true)
	return v.putU32(p.u32(2), id)
}

// resolveQueue finds a queue of this system. Those of others are not found:
// systems share nothing.
func (v *proxyVM) resolveQueue(_ context.Context, p params) status {
	vm, ok := v.text(p, 0)
	name, okay := v.text(p, 2)
	if !ok || !okay || !v.writable(p.u32(4)) {
		return statusMemory
	}
	id, found := v.fleet.shared.register(name, nil)
	if !found || vm != "" && vm != v.guest.pool.set.triplet {
		return statusNotFound
	}
	return v.putU32(p.u32(4), id)
}

// enqueue adds an item, and tells who registered the queue when it is its
// turn.
func (v *proxyVM) enqueue(_ context.Context, p params) status {
	item, ok := v.read(p.u32(1), p.u32(2))
	if !ok {
		return statusMemory
	}
	id := p.u32(0)
	owner, st := v.fleet.shared.push(id, item)
	if st != statusOK || !owner.has("proxy_on_queue_ready") {
		return st
	}
	v.fleet.later(func() error { //nolint:contextcheck // when it is its turn, after this callback
		return owner.enter(context.Background(), nil, func(ctx context.Context) error {
			_, err := owner.invoke(ctx, "proxy_on_queue_ready", 0, rootID, id)
			return err
		})
	})
	return st
}

func (v *proxyVM) dequeue(ctx context.Context, p params) status {
	if !v.writable(p.u32(1), p.u32(2)) {
		return statusMemory
	}
	item, st := v.fleet.shared.pop(p.u32(0))
	if st != statusOK {
		return st
	}
	return v.give(ctx, item, p.u32(1), p.u32(2))
}
