package wasm

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	maxQueues     = 64
	maxQueueItems = 4096
	maxSharedKey  = 4 << 10 // of the name of a queue as well
	entryBytes    = 256     // about what an entry takes beside its key and value
)

// shared is what guests have in common: data and queues, each of one machine.
// A system has them for itself, unless its registration names a vmId: then all
// systems of the same vendor that name one have them together. They last as
// long as a registration of their machine stands.
type shared struct {
	limit int64 // bytes of data and queued items together

	mu        sync.Mutex
	bytes     int64
	data      map[sharedKey]sharedValue
	queues    map[uint32]*queue
	lastQueue uint32
	cas       uint32
	users     map[string]int // fleets, by their machine
}

// sharedKey is a name of one machine.
type sharedKey struct{ vm, name string }

type sharedValue struct {
	value []byte
	cas   uint32
}

type queue struct {
	sharedKey
	readers []*proxyVM // who registered it; the last one that lives is told of new items
	items   [][]byte
	teller  *proxyVM // reader that is being told, and of how many items
	untold  int
}

func newShared(limit int64) *shared {
	return &shared{limit: limit, data: map[sharedKey]sharedValue{}, queues: map[uint32]*queue{}, users: map[string]int{}}
}

// trial is a copy to try a plugin with: it finds what others have, and what it
// does is seen by nobody.
func (h *shared) trial() *shared {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := newShared(h.limit)
	c.bytes, c.lastQueue, c.cas, c.data = h.bytes, h.lastQueue, h.cas, maps.Clone(h.data)
	for id, q := range h.queues {
		c.queues[id] = &queue{sharedKey: q.sharedKey}
	}
	return c
}

// join counts a fleet that uses the machine vm.
func (h *shared) join(vm string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.users[vm]++
}

// leave ends what join began.
func (h *shared) leave(vm string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.users[vm]--
}

// drop gives up what a machine has, if nobody uses it. It reports whether
// there is no machine left.
func (h *shared) drop(vm string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users[vm] > 0 {
		return false
	}
	delete(h.users, vm)
	for key, v := range h.data {
		if key.vm == vm {
			h.bytes -= costOf(key, v.value)
			delete(h.data, key)
		}
	}
	for id, q := range h.queues {
		if q.vm == vm {
			for _, item := range q.items {
				h.bytes -= int64(len(item))
			}
			delete(h.queues, id)
		}
	}
	return len(h.users) == 0
}

func (h *shared) get(key sharedKey) (sharedValue, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.data[key]
	return v, ok
}

func costOf(key sharedKey, value []byte) int64 { return int64(len(key.name)+len(value)) + entryBytes }

// set stores a value, if cas is 0 or that of the value which is there. With
// keep, a value that is there stays.
func (h *shared) set(key sharedKey, value []byte, cas uint32, keep bool) status {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, ok := h.data[key]
	switch {
	case cas != 0 && was.cas != cas:
		return statusMismatch
	case ok && keep:
		return statusOK
	}
	more := costOf(key, value)
	if ok {
		more = int64(len(value) - len(was.value))
	}
	if h.bytes+more > h.limit {
		return statusInternalFailure
	}
	if h.cas++; h.cas == 0 {
		h.cas = 1
	}
	h.bytes += more
	h.data[key] = sharedValue{bytes.Clone(value), h.cas}
	return statusOK
}

// register opens a queue for a guest.
func (h *shared) register(key sharedKey, reader *proxyVM) (uint32, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id, ok := h.find(key)
	if !ok {
		if len(h.queues) >= maxQueues {
			return 0, false
		}
		h.lastQueue++
		id = h.lastQueue
		h.queues[id] = &queue{sharedKey: key}
	}
	q := h.queues[id]
	q.readers = append(slices.DeleteFunc(q.readers, func(v *proxyVM) bool { return v == reader || v.ended() }), reader)
	return id, true
}

// resolve finds a queue.
func (h *shared) resolve(key sharedKey) (uint32, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.find(key)
}

func (h *shared) find(key sharedKey) (uint32, bool) {
	for id, q := range h.queues {
		if q.sharedKey == key {
			return id, true
		}
	}
	return 0, false
}

// push adds an item. It gives who is to be told, or nil where nobody is, or
// somebody is at it already.
func (h *shared) push(id uint32, item []byte) (*proxyVM, status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queues[id]
	switch {
	case q == nil:
		return nil, statusNotFound
	case len(q.items) >= maxQueueItems || h.bytes+int64(len(item)) > h.limit:
		return nil, statusInternalFailure
	}
	h.bytes += int64(len(item))
	q.items = append(q.items, bytes.Clone(item))
	for _, v := range slices.Backward(q.readers) {
		switch {
		case v.ended():
			continue
		case v == q.teller:
			q.untold = min(q.untold+1, maxQueueItems)
			return nil, statusOK
		}
		q.teller, q.untold = v, 1
		return v, statusOK
	}
	return nil, statusOK
}

// told notes that a reader knows of one item more. It reports whether there
// are others, and ends the telling where there are none.
func (h *shared) told(id uint32, reader *proxyVM) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queues[id]
	if q == nil || q.teller != reader {
		return false
	}
	if q.untold--; q.untold == 0 || reader.ended() {
		q.teller = nil
	}
	return q.teller != nil
}

func (h *shared) pop(id uint32) ([]byte, status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queues[id]
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

// sharedBook has what the systems of each vendor share.
type sharedBook struct {
	mu       sync.Mutex
	byVendor map[string]*shared
}

// join gives what a fleet shares with others, and counts it.
func (b *sharedBook) join(set *settings, limit int64) *shared {
	if set.vmID == "" {
		return newShared(limit)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.byVendor[set.vendor]
	if h == nil {
		h = newShared(limit)
		if b.byVendor == nil {
			b.byVendor = map[string]*shared{}
		}
		b.byVendor[set.vendor] = h
	}
	h.join(set.machine())
	return h
}

// leave ends what join began. What the machine has stays for a while: a
// registration that is replaced may be closed before its successor is there.
func (b *sharedBook) leave(set *settings, h *shared, linger time.Duration) {
	if set.vmID == "" {
		return
	}
	h.leave(set.machine())
	time.AfterFunc(linger, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if h.drop(set.machine()) && b.byVendor[set.vendor] == h {
			delete(b.byVendor, set.vendor)
		}
	})
}

// machine is the id of a plugin's machine.
func (s *settings) machine() string {
	if s.vmID != "" {
		return s.vmID
	}
	return s.triplet
}
