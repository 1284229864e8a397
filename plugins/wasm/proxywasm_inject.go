package wasm

import "context"

// extra is what a guest of the fork 0.2.100 puts into the body of an answer,
// past itself: it takes pieces away and gives them, or others, back when it
// has made up its mind.
type extra struct {
	bytes []byte
	end   bool // nothing comes behind it
}

func (e *extra) any() bool { return len(e.bytes) > 0 || e.end }

// inject puts bytes into the body of the answer that is on its way.
func (v *proxyVM) inject(_ context.Context, p params) status {
	b, st := v.view(p, 0, v.guest.pool.set.bodyBytes)
	switch {
	case st != statusOK:
		return st
	case v.active == nil || v.active.hooks[responseSide] == nil:
		return statusBadArgument
	}
	s, limit := v.active, v.active.hooks[responseSide].limit
	s.change(func() {
		switch {
		case s.extra.end:
			st = statusBadArgument
		case int64(len(s.extra.bytes)+len(b)) > limit:
			st = statusInternalFailure
		default:
			s.extra.bytes, s.extra.end = append(s.extra.bytes, b...), p.u32(2) != 0
		}
	})
	return st
}

// injected reports whether there is something to take.
func (h *bodyHook) injected() bool {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	return h.side == responseSide && h.s.extra.any()
}

// takeInjected lets go on what the guest put in.
func (h *bodyHook) takeInjected() {
	if h.side != responseSide {
		return
	}
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.out = append(h.out, h.s.extra.bytes...)
	h.s.extra.bytes = nil
	if h.s.extra.end {
		h.ended, h.holding = true, false
	}
}
