package wasm

import (
	"fmt"
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

	room  *region
	size  uint64
	state atomic.Int64 // who runs in it, and once it is to go freed as well
}

// freed is what state has more once the memory is to go, gone when it is not
// there any more.
const (
	freed = 1 << 40
	gone  = 1 << 41
)

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

// Reallocate gives the memory its new size, or nil where that is too much. It
// is for whoever runs in it.
func (m *linearMemory) Reallocate(size uint64) []byte {
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
	if m.state.Add(1) < freed {
		return true
	}
	m.done()
	return false
}

// done is for whoever has called use.
func (m *linearMemory) done() {
	if m.state.Add(-1) == freed {
		m.letGo()
	}
}

// Free lets go of the memory. It can be called again.
func (m *linearMemory) Free() {
	if m.state.Or(freed) == 0 {
		m.letGo()
	}
}

// letGo is for whoever has seen that nobody runs in it. Somebody may just
// find out that there is none.
func (m *linearMemory) letGo() {
	if m.state.CompareAndSwap(freed, freed|gone) {
		m.room.free()
		m.held.Add(-int64(m.size))
		m.size = 0
	}
}
