package wasm

import (
	"net/http"
	"slices"

	"github.com/annex-gateway/annex/core"
)

// The kinds of header fields, as the border numbers them.
const (
	requestFields = iota
	responseFields
	requestTrailers
	responseTrailers
)

func (h *handler) getHeaderNames(p params) uint64 {
	kind := p.u32(0)
	names := h.fields(kind, false).names()
	if kind == requestFields && h.x.msg.Request.Host != "" {
		names = append(names, "Host")
		slices.Sort(names)
		names = slices.Compact(names)
	}
	return h.putList(p.u32(1), p.u32(2), names, lower)
}

func (h *handler) getHeaderValues(p params) uint64 {
	kind, name := p.u32(0), h.fieldName(p, 1)
	values := h.fields(kind, false).values(name)
	if kind == requestFields && len(values) == 0 {
		if known := origin(h.x.msg.Request, name); known != "" {
			values = []string{known}
		}
	}
	return h.putList(p.u32(3), p.u32(4), values, same)
}

// origin is what the gateway itself knows of a request and others have fields
// for. What clients say in these never comes here.
func origin(r core.Request, name string) string {
	switch name {
	case "Host", "X-Forwarded-Host":
		return r.Host
	case "X-Forwarded-Proto":
		return r.Scheme
	case "X-Forwarded-For", "X-Real-Ip":
		if r.RemoteAddr.IsValid() {
			return r.RemoteAddr.Addr().Unmap().WithZone("").String()
		}
	}
	return ""
}

func (h *handler) setHeaderValue(p params) uint64 {
	name, value := h.fieldName(p, 1), h.fieldValue(p, 3)
	if p.u32(0) == responseFields && name == "Content-Length" && value == "0" && h.x.responding {
		h.fields(responseFields, true)
		h.x.resBody.empty()
		return 0
	}
	h.change(p.u32(0), name, func(m http.Header) { m[name] = []string{value} })
	return 0
}

func (h *handler) addHeaderValue(p params) uint64 {
	name, value := h.fieldName(p, 1), h.fieldValue(p, 3)
	h.change(p.u32(0), name, func(m http.Header) { m[name] = append(slices.Clip(m[name]), value) })
	return 0
}

func (h *handler) removeHeader(p params) uint64 {
	name := h.fieldName(p, 1)
	h.change(p.u32(0), name, func(m http.Header) { delete(m, name) })
	return 0
}

// maxFields is how many fields a guest may give a message.
const maxFields = 1_000

func (h *handler) change(kind uint32, name string, do func(http.Header)) {
	f := h.fields(kind, true)
	if !f.change(name, do) {
		h.x.refused++
		return
	}
	if len(f.edit) > maxFields || len(f.edit[name]) > maxFields {
		h.refuse("the guest sets more than %d header fields", maxFields)
	}
}

// fields gives what a kind stands for. It traps where the border does not
// allow the access.
func (h *handler) fields(kind uint32, write bool) *fields {
	x := h.call()
	switch kind {
	case requestFields, requestTrailers:
		if write && x.responding {
			fail("the guest changes the request after it has gone on")
		}
	case responseFields, responseTrailers:
		if write && x.responding && !h.enabled(bufferResponse) {
			fail("the guest changes the answer without the feature buffer_response")
		}
	default:
		fail("header kind %d is not known", kind)
	}
	switch kind {
	case requestFields:
		return &x.req
	case responseFields:
		return &x.res
	case requestTrailers:
		return h.trailers(&x.reqBody, write, x.responding && !x.reqBody.loaded)
	}
	return h.trailers(&x.resBody, write, false)
}

// trailers gives the trailer fields of a body. They come at its end: without
// the feature it is not waited for.
func (h *handler) trailers(body *payload, write, gone bool) *fields {
	if !h.enabled(trailers) {
		if write {
			fail("the guest sets a trailer without the feature trailers")
		}
		gone = gone || !body.loaded
	}
	if gone {
		return &fields{rules: trailerRules(), orig: core.Header{}}
	}
	f, err := body.trailer()
	if err != nil {
		panic(trap{err})
	}
	return f
}

// fieldName reads a name from the two parameters at i.
func (h *handler) fieldName(p params, i int) string {
	name := fieldName(h.read(p.u32(i), p.u32(i+1)))
	if name == "" {
		h.refuse("the guest gives a header name that is empty, too long or not a token")
	}
	return name
}

func (h *handler) fieldValue(p params, i int) string {
	b := h.read(p.u32(i), p.u32(i+1))
	if !validValue(b) {
		h.refuse("the guest gives a header value that is too long or has control characters")
	}
	if !h.call().takes(len(b)) {
		h.refuse("the guest gives more than %d bytes of header fields", maxGiven)
	}
	return string(b)
}
