package wasm

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

// linearMemory is the memory of one guest. It stands outside of the Go heap
// where the system allows that: it grows in place, so that a guest has what
// its memory is long and no more, and goes back to the system with the guest.
//
// The engine lets go of a memory when the instance is closed, and whoever has
// a slice of it would be killed by the next look at it. So it goes only when
// nobody runs in it: whoever does holds it with use.
type linearMemory struct {
	held  *atomic.Int64 // bytes of all guests of the system
	limit uint64
	short bool // the guest asked for more than that; belongs to whoever runs it

	mu    sync.Mutex
	room  *region
	size  uint64
	users int
	freed bool
}

// newMemory makes a memory that can grow up to limit bytes, a multiple of a
// page, whatever the module declares. Held counts its bytes.
func newMemory(limit, initial uint64, held *atomic.Int64) (*linearMemory, error) {
	room, err := reserve(limit)
	if err != nil {
		return nil, fmt.Errorf("no address space of %d bytes for the memory of a guest: %w", limit, err)
	}
	if room.grow(initial) == nil {
		room.free()
		return nil, fmt.Errorf("no %d bytes for the memory of a guest", initial)
	}
	return &linearMemory{held: held, limit: limit, room: room}, nil
}

// Allocate gives the memory to the one instance that it is for.
func (m *linearMemory) Allocate(uint64, uint64) experimental.LinearMemory { return m }

// Reallocate gives the memory its new size, or nil where that is too much.
func (m *linearMemory) Reallocate(size uint64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.room.grow(size)
	if b == nil {
		m.short = m.short || size > m.limit
		return nil
	}
	m.held.Add(int64(size - m.size))
	m.size = size
	return b
}

// use keeps the memory where it is until done. It reports whether there is
// one still.
func (m *linearMemory) use() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.freed {
		return false
	}
	m.users++
	return true
}

// done is for whoever has called use.
func (m *linearMemory) done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users--
	m.letGo()
}

// Free lets go of the memory. It can be called again.
func (m *linearMemory) Free() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.freed = true
	m.letGo()
}

func (m *linearMemory) letGo() {
	if !m.freed || m.users > 0 || m.room == nil {
		return
	}
	m.room.free()
	m.room = nil
	m.held.Add(-int64(m.size))
	m.size = 0
}
