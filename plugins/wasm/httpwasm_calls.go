package wasm

import (
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/annex-gateway/annex/core"
)

// enableFeatures gives what is on afterwards, as guests written for other
// hosts expect.
func (h *handler) enableFeatures(p params) uint64 {
	wanted := p.u32(0) & allFeatures
	switch {
	case h.x == nil:
		h.base |= wanted
		return uint64(h.base)
	case !h.x.responding:
		h.features |= wanted
	}
	return uint64(h.features)
}

func (h *handler) getConfig(p params) uint64 {
	return h.put(p.u32(0), p.u32(1), string(h.guest.pool.set.config))
}

// level maps the border's levels, which are signed: debug is -1.
func level(v uint32) (l slog.Level, known bool) {
	levels := [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	if i := v + 1; i < uint32(len(levels)) {
		return levels[i], true
	}
	return 0, false
}

// log is the one function that cares for nothing: what cannot be logged is
// not logged.
func (h *handler) log(p params) uint64 {
	l, known := level(p.u32(0))
	if !known || !h.guest.pool.log.enabled(h.guest.ctx, l) {
		return 0
	}
	b, ok := h.mem.Read(p.u32(1), min(p.u32(2), maxLogLine))
	if !ok {
		return 0
	}
	h.guest.say(h.guest.ctx, l, h.callID(), logText(b, p.u32(2)))
	return 0
}

func (h *handler) logEnabled(p params) uint64 {
	if l, known := level(p.u32(0)); known && h.guest.pool.log.enabled(h.guest.ctx, l) {
		return 1
	}
	return 0
}

func (h *handler) getMethod(p params) uint64 {
	return h.put(p.u32(0), p.u32(1), h.call().method)
}

func (h *handler) setMethod(p params) uint64 {
	x := h.call()
	b := h.read(p.u32(0), p.u32(1))
	if x.responding {
		fail("the guest changes the method after the request has gone on")
	}
	if len(b) == 0 || len(b) > 32 {
		h.refuse("the guest gives a method of %d bytes", len(b))
	}
	for _, c := range b {
		if !tokenByte(c) {
			h.refuse("the guest gives a method that is not a token")
		}
	}
	if string(b) != x.method {
		h.mayRewrite("method")
		x.method = string(b)
	}
	return 0
}

func (h *handler) getURI(p params) uint64 {
	return h.put(p.u32(0), p.u32(1), h.uri())
}

func (h *handler) uri() string { return h.call().uri() }

func (h *handler) setURI(p params) uint64 {
	x := h.call()
	if x.responding {
		fail("the guest changes the URI after the request has gone on")
	}
	if n := p.u32(1); n > maxTarget {
		h.refuse("the guest gives a URI of %d bytes", n)
	}
	uri := string(h.read(p.u32(0), p.u32(1)))
	if uri == h.uri() {
		return 0
	}
	h.mayRewrite("URI")
	t, ok := parseTarget(uri)
	if !ok {
		h.refuse("the guest gives a URI that the gateway does not take")
	}
	x.target = &t
	return 0
}

// refuse ends a guest for what it gives, which may be what a caller made it
// give: the module is not taken for a broken one, and others' calls go on.
func (h *handler) refuse(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	panic(trap{core.WrapError(core.Unavailable, err, "WASM extension '%s' failed", h.guest.pool.set.name)})
}

// mayRewrite ends a guest that changes where a call goes without the right to.
func (h *handler) mayRewrite(what string) {
	if !h.x.rewrite {
		h.x.refused++
		h.refuse("the guest changes the %s, and its registration does not give it the capability rewrite", what)
	}
}

func (h *handler) getProtocolVersion(p params) uint64 {
	proto := h.call().msg.Request.Proto
	if proto == "" {
		proto = "HTTP/1.1"
	}
	return h.put(p.u32(0), p.u32(1), proto)
}

func (h *handler) getSourceAddr(p params) uint64 {
	addr := h.call().msg.Request.RemoteAddr
	if !addr.IsValid() {
		return 0
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	return h.put(p.u32(0), p.u32(1), addr.String())
}

func (h *handler) getStatusCode(params) uint64 {
	return uint64(h.call().status)
}

func (h *handler) setStatusCode(p params) uint64 {
	x, status := h.call(), p.u32(0)
	if x.responding && !h.enabled(bufferResponse) {
		fail("the guest changes the status without the feature buffer_response")
	}
	if status < 200 || status > 599 {
		fail("the guest gives the status %d", status)
	}
	x.status = int(status)
	return 0
}

// The kinds of bodies, as the border numbers them.
const (
	requestBody = iota
	responseBody
)

const endOfBody = 1 << 32

func (h *handler) readBody(p params) uint64 {
	x, kind, at, room := h.call(), p.u32(0), p.u32(1), p.u32(2)
	if room == 0 {
		fail("the guest reads a body into no room")
	}
	var body *payload
	switch kind {
	case requestBody:
		if body = &x.reqBody; x.responding && !body.loaded && !body.src.Buffered() {
			return endOfBody
		}
	case responseBody:
		if body = &x.resBody; !x.responding || !h.enabled(bufferResponse) {
			return endOfBody
		}
	default:
		fail("body kind %d is not known", kind)
	}
	into := h.read(at, room)
	if err := body.load(); err != nil {
		panic(trap{err})
	}
	b, end := body.next(len(into))
	copy(into, b)
	n := uint64(len(b))
	if end {
		n |= endOfBody
	}
	return n
}

func (h *handler) writeBody(p params) uint64 {
	x := h.call()
	b := h.read(p.u32(1), p.u32(2))
	var body *payload
	switch kind := p.u32(0); kind {
	case requestBody:
		if body = &x.reqBody; x.responding {
			fail("the guest writes the request's body after the request has gone on")
		}
	case responseBody:
		if body = &x.resBody; x.responding && !h.enabled(bufferResponse) {
			fail("the guest writes the answer's body without the feature buffer_response")
		}
	default:
		fail("body kind %d is not known", kind)
	}
	if !body.write(b) {
		fail("the guest writes a body of more than %d bytes", body.limit)
	}
	return 0
}
