package wasm

import (
	"cmp"
	"context"
)

// getShared and setShared are about the data that plugins share.
func (v *proxyVM) getShared(ctx context.Context, p params) status {
	key, st := v.text(p, 0, maxSharedKey)
	switch {
	case st != statusOK:
		return st
	case !v.writable(p.u32(2), p.u32(3), p.u32(4)):
		return statusMemory
	}
	value, found := v.fleet.shared.get(v.own(key))
	if !found {
		return statusNotFound
	}
	if st := v.give(ctx, value.value, p.u32(2), p.u32(3)); st != statusOK {
		return st
	}
	return v.putU32(p.u32(4), value.cas)
}

// setShared stores a value. What a further guest of a system writes while it
// starts is what the first one wrote: it does not undo what was made of it.
func (v *proxyVM) setShared(_ context.Context, p params) status {
	key, bad := v.text(p, 0, maxSharedKey)
	value, st := v.view(p, 2, v.fleet.shared.limit)
	if bad = cmp.Or(bad, st); bad != statusOK {
		return bad
	}
	return v.fleet.shared.set(v.own(key), value, p.u32(4), v.starting && v.further)
}

// own is a name of the guest's own machine.
func (v *proxyVM) own(name string) sharedKey {
	return sharedKey{v.guest.pool.set.machine(), name}
}

func (v *proxyVM) registerQueue(_ context.Context, p params) status {
	name, st := v.text(p, 0, maxSharedKey)
	switch {
	case st != statusOK:
		return st
	case !v.writable(p.u32(2)):
		return statusMemory
	}
	id, ok := v.fleet.shared.register(v.own(name), v)
	if !ok {
		return statusInternalFailure
	}
	v.listens.Store(true)
	return v.putU32(p.u32(2), id)
}

// resolveQueue finds a queue of the guest's own machine or, where the
// registration names its machine, of another one of the same vendor.
func (v *proxyVM) resolveQueue(_ context.Context, p params) status {
	vm, bad := v.text(p, 0, maxSharedKey)
	name, st := v.text(p, 2, maxSharedKey)
	switch bad = cmp.Or(bad, st); {
	case bad != statusOK:
		return bad
	case !v.writable(p.u32(4)):
		return statusMemory
	}
	key := v.own(name)
	if vm != "" {
		key.vm = vm
	}
	id, found := v.fleet.shared.resolve(key)
	if !found {
		return statusNotFound
	}
	return v.putU32(p.u32(4), id)
}

// enqueue adds an item, and tells who registered the queue when it is its
// turn.
func (v *proxyVM) enqueue(_ context.Context, p params) status {
	item, st := v.view(p, 1, v.fleet.shared.limit)
	if st != statusOK {
		return st
	}
	id := p.u32(0)
	reader, st := v.fleet.shared.push(id, item)
	if st != statusOK || reader == nil || !reader.has("proxy_on_queue_ready") {
		return st
	}
	tell := reader.fleet.tell
	if reader.fleet == v.fleet {
		tell = v.fleet.later
	}
	tell(func() error { return reader.tellOfQueue(v.fleet.shared, id) }) //nolint:contextcheck // when it is its turn, after this callback
	return st
}

// tellOfQueue tells a guest of the items of a queue, one after the other.
func (v *proxyVM) tellOfQueue(h *shared, id uint32) error {
	for {
		err := v.enter(context.Background(), nil, func(ctx context.Context) error {
			_, err := v.invoke(ctx, "proxy_on_queue_ready", 0, rootID, id)
			return err
		})
		if more := h.told(id, v); err != nil || !more {
			return err
		}
	}
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
