package wasm

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// What fetch gives in place of a status.
const (
	fetchRefused = -1 // no place that the registration allows, or no request
	fetchFailed  = -2
	fetchLate    = -3
)

// fetch calls others and waits for the answer, on the guest's time. The
// header is names and values in turn, each with a NUL behind it.
func (h *handler) fetch(p params) uint64 {
	x := h.call()
	x.fetched, x.fetchedTo = nil, 0
	method, fine := h.text(p, 0, maxFieldName)
	raw, right := h.text(p, 2, maxTarget)
	header, good := h.text(p, 4, maxMapBytes)
	body := h.read(p.u32(6), p.u32(7))
	c, ok := h.fetchRequest(method, raw, header)
	if !ok || !fine || !right || !good || int64(len(body)) > h.guest.pool.set.bodyBytes {
		x.refused++
		return result(fetchRefused)
	}
	c.body = bytes.Clone(body)
	c.timeout = h.guest.budget.rest()
	if ms := p.u32(8); ms > 0 {
		c.timeout = min(c.timeout, time.Duration(ms)*time.Millisecond)
	}
	ctx, cancel := context.WithCancel(h.guest.ctx)
	defer cancel()
	go func() {
		select {
		case <-h.guest.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	got, err := h.guest.pool.kind.outbound.do(ctx, c, h.guest.pool.set.bodyBytes)
	h.guest.check()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return result(fetchLate)
	case err != nil:
		h.guest.pool.kind.host.Log().Debug("a call of a WASM extension failed", "system", h.guest.pool.set.triplet, "error", err)
		return result(fetchFailed)
	}
	x.fetched = got
	return uint64(got.status)
}

// fetchRequest reads what a guest wants to fetch. Only what the registration
// allows is a request.
func (h *handler) fetchRequest(method, raw, header string) (callRequest, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Fragment != "" || !token(method) || !plainASCII(raw) || !h.guest.pool.set.clusters.allows(u) {
		return callRequest{}, false
	}
	c := callRequest{at: u, method: method, target: u.RequestURI(), header: http.Header{}}
	for header != "" {
		var name, value string
		name, header, _ = strings.Cut(header, "\x00")
		value, header, _ = strings.Cut(header, "\x00")
		canonical := fieldName([]byte(name))
		if canonical == "" || !validValue([]byte(value)) {
			return callRequest{}, false
		}
		c.header[canonical] = append(c.header[canonical], value)
	}
	return c, true
}

func (h *handler) answer() *callResult {
	r := h.call().fetched
	if r == nil {
		fail("the guest reads an answer and has fetched nothing")
	}
	return r
}

func (h *handler) fetchHeader(p params) uint64 {
	name, _ := h.text(p, 0, maxFieldName)
	name = strings.ToLower(name)
	var values []string
	for _, f := range h.answer().header {
		if f.name == name {
			values = append(values, f.value)
		}
	}
	return h.putList(p.u32(2), p.u32(3), values, same)
}

// fetchBody reads on in the body of the answer, as read_body does.
func (h *handler) fetchBody(p params) uint64 {
	into, body := h.read(p.u32(0), p.u32(1)), h.answer().body
	if len(into) == 0 {
		fail("the guest reads a body into no room")
	}
	n := copy(into, body[h.x.fetchedTo:])
	if h.x.fetchedTo += n; h.x.fetchedTo == len(body) {
		return uint64(n) | endOfBody
	}
	return uint64(n)
}
