package wasm

import (
	"context"
	"slices"
)

// The buffers, as the border numbers them.
const (
	bufferRequestBody  = 0
	bufferResponseBody = 1
	bufferCallBody     = 4
	bufferVMConfig     = 6
	bufferPluginConfig = 7
	bufferForeign      = 8
)

// buffer gives what stands in a buffer now.
func (v *proxyVM) buffer(kind uint32) ([]byte, status) {
	switch {
	case kind > bufferForeign:
		return nil, statusBadArgument
	case kind == bufferCallBody && v.inCall != nil:
		return v.inCall.body, statusOK
	case (kind == bufferVMConfig || kind == bufferPluginConfig) && v.starting:
		return v.config, statusOK
	}
	if h := v.hookOf(kind); h != nil {
		return h.buffer, statusOK
	}
	return nil, statusNotFound
}

// hookOf gives the body that the guest of the active call is shown now.
func (v *proxyVM) hookOf(kind uint32) *bodyHook {
	if kind > bufferResponseBody || v.active == nil {
		return nil
	}
	if h := v.active.hooks[kind]; h != nil && h.shown {
		return h
	}
	return nil
}

func (v *proxyVM) getBuffer(ctx context.Context, p params) status {
	b, st := v.buffer(p.u32(0))
	if st != statusOK {
		return st
	}
	size := uint64(len(b))
	from := min(uint64(p.u32(1)), size)
	to := min(from+uint64(p.u32(2)), size)
	return v.give(ctx, b[from:to], p.u32(3), p.u32(4))
}

func (v *proxyVM) getBufferStatus(_ context.Context, p params) status {
	b, st := v.buffer(p.u32(0))
	if st != statusOK {
		return st
	}
	if !v.writable(p.u32(1), p.u32(2)) {
		return statusMemory
	}
	v.putU32(p.u32(2), 0)
	return v.putU32(p.u32(1), uint32(len(b)))
}

// getConfiguration is the way in which 0.1.0 reads both configurations.
func (v *proxyVM) getConfiguration(ctx context.Context, p params) status {
	return v.give(ctx, v.config, p.u32(0), p.u32(1))
}

// setBuffer replaces a piece of a body: at the start with length 0 it
// prepends, at or behind the end it appends.
func (v *proxyVM) setBuffer(_ context.Context, p params) status {
	kind := p.u32(0)
	if kind > bufferForeign {
		return statusBadArgument
	}
	value, st := v.view(p, 3, v.guest.pool.set.bodyBytes)
	if st != statusOK {
		return st
	}
	h := v.hookOf(kind)
	if h == nil {
		return statusNotFound
	}
	size := uint64(len(h.buffer))
	from := min(uint64(p.u32(1)), size)
	to := min(from+uint64(p.u32(2)), size)
	if int64(size-(to-from))+int64(len(value)) > h.limit {
		return statusInternalFailure
	}
	h.buffer = slices.Replace(h.buffer, int(from), int(to), value...)
	return statusOK
}
