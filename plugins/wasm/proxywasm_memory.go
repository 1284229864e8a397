package wasm

import (
	"bytes"
	"context"
)

// What guests give is refused before it is copied where it is too long to be
// of use: a guest's memory is large, and copying it takes the host's time.

// maxMapBytes is how long a map of header fields may be, as a guest writes it.
const maxMapBytes = 2 << 20

// view gives the bytes that the two parameters at i point to, if there are no
// more than most. They are the memory itself.
func (v *proxyVM) view(p params, i int, most int64) ([]byte, status) {
	n := p.u32(i + 1)
	if n == 0 {
		return nil, statusOK
	}
	b, ok := v.mem.Read(p.u32(i), n)
	switch {
	case !ok:
		return nil, statusMemory
	case int64(n) > most:
		return nil, statusInternalFailure
	}
	return b, statusOK
}

// read gives a copy of them.
func (v *proxyVM) read(p params, i int, most int64) ([]byte, status) {
	b, st := v.view(p, i, most)
	return bytes.Clone(b), st
}

// text gives them as a string.
func (v *proxyVM) text(p params, i int, most int64) (string, status) {
	b, st := v.view(p, i, most)
	return string(b), st
}

// writable reports whether 4-byte numbers can be written at all of the
// addresses. It is asked before anything is done that cannot be undone.
func (v *proxyVM) writable(at ...uint32) bool {
	for _, a := range at {
		if _, ok := v.mem.Read(a, 4); !ok {
			return false
		}
	}
	return true
}

func (v *proxyVM) putU32(at, value uint32) status {
	if !v.mem.WriteUint32Le(at, value) {
		return statusMemory
	}
	return statusOK
}

func (v *proxyVM) putU64(at uint32, value uint64) status {
	if !v.mem.WriteUint64Le(at, value) {
		return statusMemory
	}
	return statusOK
}

// give hands data to the guest: its own allocator makes the room, and where
// that is and how much is written to the two addresses. The allocator may move
// the memory, so nothing read before stays valid.
func (v *proxyVM) give(ctx context.Context, data []byte, ptrAt, sizeAt uint32) status {
	if len(data) == 0 && sizeAt == 0 && v.writable(ptrAt) {
		// An old SDK for AssemblyScript gives the size itself in place of where
		// it is to be written, and takes what it gets for an object.
		at, _ := v.allocate(ctx, 0)
		return v.putU32(ptrAt, at)
	}
	if !v.writable(ptrAt, sizeAt) {
		return statusMemory
	}
	at := uint32(0)
	if len(data) > 0 {
		var ok bool
		if at, ok = v.allocate(ctx, uint32(len(data))); !ok {
			return statusInternalFailure
		}
		if !v.mem.Write(at, data) {
			return statusMemory
		}
	}
	v.mem.WriteUint32Le(ptrAt, at)
	v.mem.WriteUint32Le(sizeAt, uint32(len(data)))
	return statusOK
}

// allocate asks the guest for room. A guest that asks back while it makes
// room gets none.
func (v *proxyVM) allocate(ctx context.Context, size uint32) (uint32, bool) {
	if v.allocator == nil || v.allocating {
		return 0, false
	}
	v.allocating = true
	defer func() { v.allocating = false }()
	stack := [1]uint64{uint64(size)}
	if err := v.allocator.CallWithStack(ctx, stack[:]); err != nil {
		panic(err) // a trap in there is a trap of the whole callback
	}
	return uint32(stack[0]), uint32(stack[0]) != 0
}
