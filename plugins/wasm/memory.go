package wasm

import "github.com/tetratelabs/wazero/experimental"

// memoryLimit is the allocator of one guest's linear memory: it grows as far
// as the registration allows and no farther, whatever the module declares.
type memoryLimit struct {
	bytes uint64
	short *bool // set when more is asked for
}

// Allocate makes the memory of one guest.
func (l memoryLimit) Allocate(capacity, _ uint64) experimental.LinearMemory {
	return &linearMemory{memoryLimit: l, b: make([]byte, 0, min(capacity, l.bytes))}
}

type linearMemory struct {
	memoryLimit
	b []byte
}

// Reallocate gives the memory its new size, or nil where that is too much.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > m.bytes {
		*m.short = true
		return nil
	}
	if size > uint64(cap(m.b)) {
		// A quarter more than asked for, so that growing page by page does not
		// copy each time.
		grown := make([]byte, size, min(size+size/4, m.bytes))
		copy(grown, m.b)
		m.b = grown
		return m.b
	}
	m.b = m.b[:size]
	return m.b
}

// Free lets go of the memory.
func (m *linearMemory) Free() { m.b = nil }
