package wasm

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// The maps of names and values, as the border numbers them.
const (
	mapRequest          = 0
	mapRequestTrailers  = 1
	mapResponse         = 2
	mapResponseTrailers = 3
	mapCallResponse     = 6
	mapCallTrailers     = 7
)

func mapOf(side int) uint32 { return uint32(2 * side) }

// pairs are the fields of a map as the guest sees them: names in lower case,
// and in front what HTTP/2 has in place of the first line.
func (s *proxyCall) pairs(f *fields, kind uint32) []pair {
	var out []pair
	switch kind {
	case mapRequest:
		for _, name := range []string{":method", ":path", ":scheme", ":authority"} {
			if v, ok := s.pseudo(name); ok {
				out = append(out, pair{name, v})
			}
		}
	case mapResponse:
		out = append(out, pair{":status", strconv.Itoa(s.x.status)})
	}
	for _, n := range f.names() {
		for _, v := range f.values(n) {
			out = append(out, pair{strings.ToLower(n), v})
		}
	}
	if kind == mapRequest && s.chunked() {
		out = append(out, pair{"transfer-encoding", "chunked"})
	}
	return out
}

// chunked reports whether the request is framed by chunks. The field that says
// so belongs to a connection and is not in messages; plugins look for it.
func (s *proxyCall) chunked() bool {
	r := s.x.msg.Request
	return strings.HasPrefix(r.Proto, "HTTP/1.") && r.Body.Size() != 0 && !r.Header.Has("Content-Length")
}

// pseudo gives one of the fields that stand for the request's first line.
func (s *proxyCall) pseudo(name string) (string, bool) {
	r := s.x.msg.Request
	switch name {
	case ":method":
		return s.x.method, true
	case ":path":
		return s.x.uri(), true
	case ":scheme":
		return r.Scheme, r.Scheme != ""
	case ":authority", "host":
		return r.Host, r.Host != ""
	}
	return "", false
}

// fieldsOf gives the fields of a map that belongs to a call, or nil where
// there is none now.
func (s *proxyCall) fieldsOf(kind uint32) *fields {
	switch {
	case kind == mapRequest:
		return &s.x.req
	case kind == mapResponse && s.x.responding:
		return &s.x.res
	case kind == mapRequestTrailers && s.hooks[requestSide] != nil:
		return s.hooks[requestSide].trailers
	case kind == mapResponseTrailers && s.hooks[responseSide] != nil:
		return s.hooks[responseSide].trailers
	}
	return nil
}

// lookUp gives all pairs of a map: of the call that is active, or of the
// answer to a callout.
func (v *proxyVM) lookUp(kind uint32) ([]pair, status) {
	switch {
	case kind > mapCallTrailers:
		return nil, statusBadArgument
	case kind == mapCallResponse || kind == mapCallTrailers:
		switch {
		case v.inCall == nil:
			return nil, statusNotFound
		case kind == mapCallResponse:
			return v.inCall.header, statusOK
		}
		return v.inCall.trailer, statusOK
	case v.active == nil:
		return nil, statusNotFound
	}
	f := v.active.fieldsOf(kind)
	if f == nil {
		return nil, statusNotFound
	}
	return v.active.pairs(f, kind), statusOK
}

func (v *proxyVM) getMapSize(_ context.Context, p params) status {
	pairs, st := v.lookUp(p.u32(0))
	if st == statusBadArgument {
		return st
	}
	return v.putU32(p.u32(1), uint32(len(encodePairs(pairs))))
}

func (v *proxyVM) getMapPairs(ctx context.Context, p params) status {
	pairs, st := v.lookUp(p.u32(0))
	switch {
	case st == statusBadArgument:
		return st
	case len(pairs) == 0:
		return v.give(ctx, nil, p.u32(1), p.u32(2))
	}
	return v.give(ctx, encodePairs(pairs), p.u32(1), p.u32(2))
}

func (v *proxyVM) getMapValue(ctx context.Context, p params) status {
	name, st := v.text(p, 1, maxFieldName)
	switch {
	case st != statusOK:
		return st
	case !v.writable(p.u32(3), p.u32(4)):
		return statusMemory
	}
	pairs, st := v.lookUp(p.u32(0))
	if st != statusOK {
		return st
	}
	name = strings.ToLower(name)
	if name == "host" && p.u32(0) == mapRequest {
		name = ":authority"
	}
	values := v.active.fieldOf(pairs, p.u32(0), name)
	if values == nil {
		return statusNotFound
	}
	return v.give(ctx, []byte(strings.Join(values, ",")), p.u32(3), p.u32(4))
}

// fieldOf gives the values of a field in lower case; s is nil beside the calls.
func (s *proxyCall) fieldOf(pairs []pair, kind uint32, name string) (values []string) {
	for _, e := range pairs {
		if e.name == name {
			values = append(values, e.value)
		}
	}
	if s == nil || kind != mapRequest || values != nil {
		return values
	}
	if known := origin(s.x.msg.Request, fieldName([]byte(name))); known != "" {
		return []string{known}
	}
	return nil
}

// addMapValue, replaceMapValue and removeMapValue alter one field.
func (v *proxyVM) addMapValue(_ context.Context, p params) status {
	return v.edit(p, func(h http.Header, name, value string) { h[name] = append(slices.Clip(h[name]), value) })
}

func (v *proxyVM) replaceMapValue(_ context.Context, p params) status {
	return v.edit(p, func(h http.Header, name, value string) { h[name] = []string{value} })
}

func (v *proxyVM) removeMapValue(_ context.Context, p params) status {
	name, st := v.text(p, 1, maxFieldName)
	if st != statusOK {
		return st
	}
	f, st := v.editable(p.u32(0))
	if st != statusOK {
		return st
	}
	canonical := fieldName([]byte(name))
	if canonical == "" {
		if strings.HasPrefix(name, ":") {
			v.active.x.refused++ // a message without its first line is none
			return statusOK
		}
		return statusBadArgument
	}
	v.alter(f, canonical, func(h http.Header) { delete(h, canonical) })
	return statusOK
}

func (v *proxyVM) edit(p params, do func(h http.Header, name, value string)) status {
	name, bad := v.text(p, 1, maxFieldName)
	value, st := v.text(p, 3, maxFieldValue)
	if bad = cmp.Or(bad, st); bad != statusOK {
		return bad
	}
	f, st := v.editable(p.u32(0))
	if st != statusOK {
		return st
	}
	return v.put(f, p.u32(0), pair{name, value}, do)
}

// put alters one field, or what one of the names with a colon stands for.
func (v *proxyVM) put(f *fields, kind uint32, e pair, do func(h http.Header, name, value string)) status {
	lower := strings.ToLower(e.name)
	if strings.HasPrefix(lower, ":") || lower == "host" && kind == mapRequest {
		return v.active.setPseudo(kind, lower, e.value)
	}
	name := fieldName([]byte(e.name))
	if name == "" || !validValue([]byte(e.value)) {
		return statusBadArgument
	}
	if len(f.edit) > maxFields || len(f.edit[name]) > maxFields || !v.active.x.takes(len(e.value)) {
		return statusInternalFailure
	}
	v.alter(f, name, func(h http.Header) { do(h, name, e.value) })
	return statusOK
}

// alter changes a field where the guest may. Where it may not, the guest is
// not told: it is the gateway's business how a message is framed, and filters
// take the length of a body away as a matter of course.
func (v *proxyVM) alter(f *fields, name string, do func(http.Header)) {
	if !f.change(name, do) && !framing(name) {
		v.active.x.refused++
	}
}

// editable gives the fields of a map that can be changed now.
func (v *proxyVM) editable(kind uint32) (*fields, status) {
	switch {
	case kind > mapResponseTrailers:
		return nil, statusBadArgument
	case v.active == nil:
		return nil, statusNotFound
	}
	h := v.active.hooks[kind/2]
	if kind%2 == 1 && h != nil && h.trailers == nil && h.shown {
		h.trailers = &fields{rules: trailerRules()} // none came: they can be added to the last of the body
	}
	f := v.active.fieldsOf(kind)
	if f == nil {
		return nil, statusNotFound
	}
	return f, statusOK
}

// setMapPairs makes the guest's pairs all there is.
func (v *proxyVM) setMapPairs(_ context.Context, p params) status {
	b, st := v.view(p, 1, maxMapBytes)
	if st != statusOK {
		return st
	}
	pairs, err := decodePairs(b)
	if err != nil {
		return statusParseFailure
	}
	kind := p.u32(0)
	f, st := v.editable(kind)
	if st != statusOK {
		return st
	}
	for _, n := range f.names() {
		v.active.drop(f, n)
	}
	for _, e := range pairs {
		if f.locked(fieldName([]byte(e.name))) && !strings.EqualFold(e.name, "host") {
			continue // it stays what it was
		}
		if st := v.put(f, kind, e, func(h http.Header, name, value string) { h[name] = append(slices.Clip(h[name]), value) }); st != statusOK {
			return st
		}
	}
	return statusOK
}

func (s *proxyCall) drop(f *fields, name string) {
	f.change(name, func(h http.Header) { delete(h, name) })
}

// setPseudo changes the first line of a message: the status of an answer, and
// of a request method, target, scheme and host, which take the capability
// rewrite. What is not allowed is refused, and the guest is told.
func (s *proxyCall) setPseudo(kind uint32, name, value string) status {
	if kind == mapResponse && name == ":status" {
		n, err := strconv.Atoi(value)
		if err != nil || n < 200 || n > 599 {
			return statusBadArgument
		}
		s.x.status = n
		return statusOK
	}
	if kind != mapRequest {
		return statusBadArgument
	}
	was, ok := s.pseudo(name)
	switch {
	case ok && was == value:
		return statusOK
	case !s.x.rewrite:
		s.x.refused++
		return statusBadArgument
	}
	return s.rewrite(name, value)
}

func (s *proxyCall) rewrite(name, value string) status {
	switch name {
	case ":method":
		if len(value) > 32 || !token(value) {
			return statusBadArgument
		}
		s.x.method = value
	case ":path":
		t, ok := parseTarget(value)
		if !ok || len(value) > maxTarget {
			return statusBadArgument
		}
		s.x.target = &t
	case ":authority", "host":
		if !authority(value) {
			return statusBadArgument
		}
		s.x.msg.Request.Host = value
	case ":scheme":
		if value != "http" && value != "https" {
			return statusBadArgument
		}
		s.x.msg.Request.Scheme = value
	default:
		return statusBadArgument
	}
	return statusOK
}

// authority reports whether s can stand as a host and port. Plugins make up
// names for hosts that stand for a route, so it need not be one that could be
// dialled.
func authority(s string) bool {
	for _, c := range []byte(s) {
		letter := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && strings.IndexByte("-._~!$&'()*+,;=:[]%", c) < 0 {
			return false
		}
	}
	return s != ""
}

// token reports whether s is a word such as a method.
func token(s string) bool {
	for _, c := range []byte(s) {
		if !tokenByte(c) {
			return false
		}
	}
	return s != ""
}
