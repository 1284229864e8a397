package wasm

import (
	"cmp"
	"context"
	"encoding/binary"
	"net/netip"
	"strings"
	"time"
)

const (
	maxProperties    = 100
	maxPropertyBytes = 64 << 10
	maxPropertyPath  = 4 << 10
)

// number is a property that is a number: 64 bits, the lowest byte first.
func number(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }

func boolean(b bool) []byte {
	if b {
		return []byte{1}
	}
	return []byte{0}
}

func (v *proxyVM) getProperty(ctx context.Context, p params) status {
	path, st := v.text(p, 0, maxPropertyPath)
	switch {
	case st != statusOK:
		return st
	case !v.writable(p.u32(2), p.u32(3)):
		return statusMemory
	}
	path = strings.TrimSuffix(path, "\x00")
	value, found := v.property(path)
	if !found {
		return statusNotFound
	}
	return v.give(ctx, value, p.u32(2), p.u32(3))
}

func (v *proxyVM) property(path string) ([]byte, bool) {
	set := v.guest.pool.set
	name := strings.ReplaceAll(path, "\x00", ".")
	if s := v.active; s != nil && s.properties[path] != nil {
		return s.properties[path], true
	}
	if text, ok := set.properties[name]; ok {
		return []byte(text), true
	}
	if s := v.active; s != nil {
		if b, ok := s.property(name); ok {
			return b, true
		}
		if b, ok := s.fieldProperty(name); ok {
			return b, true
		}
	}
	switch name {
	case "plugin_name":
		return []byte(set.name), true
	case "plugin_root_id":
		return []byte(set.rootID), true
	case "plugin_vm_id":
		return []byte(set.machine()), true
	case "node.id":
		return []byte(set.triplet), true
	case "cluster_name":
		return []byte{}, true
	case "listener_direction":
		return number(1), true // inbound
	}
	return nil, false
}

// property gives what a call is known by.
func (s *proxyCall) property(name string) ([]byte, bool) {
	m := s.x.msg
	switch name {
	case "request.id", "x_request_id":
		return []byte(m.ID), true
	case "request.protocol":
		return []byte(protocol(m.Request.Proto)), true
	case "request.size":
		return number(max(m.Request.Body.Size(), 0)), true
	case "request.time":
		return number(s.began.UnixNano()), true
	case "request.duration":
		return number(int64(time.Since(s.began))), true
	case "route_name":
		return []byte(m.Route.FilterID), true
	}
	for _, ask := range []func(string) ([]byte, bool){s.line, s.connection, s.answerProperty} {
		if b, ok := ask(name); ok {
			return b, true
		}
	}
	return nil, false
}

// line gives the parts of the request's first line, and two fields that have
// names of their own.
func (s *proxyCall) line(name string) ([]byte, bool) {
	path, query, _ := strings.Cut(s.x.uri(), "?")
	switch name {
	case "request.method":
		return []byte(s.x.method), true
	case "request.path":
		return []byte(s.x.uri()), true
	case "request.url_path":
		return []byte(path), true
	case "request.query":
		return []byte(query), true
	case "request.host":
		return []byte(s.x.msg.Request.Host), true
	case "request.scheme":
		return []byte(s.x.msg.Request.Scheme), true
	case "request.useragent":
		return []byte(strings.Join(s.x.req.values("User-Agent"), ",")), true
	case "request.referer":
		return []byte(strings.Join(s.x.req.values("Referer"), ",")), true
	}
	return nil, false
}

// protocol is the client's protocol as plugins know it.
func protocol(proto string) string {
	switch proto {
	case "HTTP/2.0":
		return "HTTP/2"
	case "HTTP/3.0":
		return "HTTP/3"
	case "":
		return "HTTP/1.1"
	}
	return proto
}

func (s *proxyCall) connection(name string) ([]byte, bool) {
	r := s.x.msg.Request
	address := func(ap netip.AddrPort) ([]byte, bool) {
		if !ap.IsValid() {
			return nil, false
		}
		return []byte(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String()), true
	}
	switch name {
	case "source.address":
		return address(r.RemoteAddr)
	case "source.port":
		return number(int64(r.RemoteAddr.Port())), r.RemoteAddr.IsValid()
	case "destination.address":
		return address(r.LocalAddr)
	case "destination.port":
		return number(int64(r.LocalAddr.Port())), r.LocalAddr.IsValid()
	case "connection.id":
		return number(int64(s.id)), true
	case "connection.mtls":
		return boolean(false), true
	case "connection.requested_server_name":
		host, _, _ := strings.Cut(r.Host, ":")
		return []byte(host), r.Scheme == "https"
	}
	return nil, false
}

func (s *proxyCall) answerProperty(name string) ([]byte, bool) {
	if !s.x.responding {
		return nil, false
	}
	switch name {
	case "response.code":
		return number(int64(s.x.status)), true
	case "response.size":
		return number(max(s.x.msg.Response.Body.Size(), 0)), true
	}
	return nil, false
}

// fieldProperty gives a header field by its name, as in request.headers.accept.
func (s *proxyCall) fieldProperty(name string) ([]byte, bool) {
	for prefix, kind := range map[string]uint32{
		"request.headers": mapRequest, "response.headers": mapResponse,
		"request.trailers": mapRequestTrailers, "response.trailers": mapResponseTrailers,
	} {
		rest, ok := strings.CutPrefix(name, prefix)
		f := s.fieldsOf(kind)
		if !ok || f == nil {
			continue
		}
		if rest == "" {
			return encodePairs(s.pairs(f, kind)), true
		}
		values := s.fieldOf(s.pairs(f, kind), kind, strings.ToLower(rest[1:]))
		return []byte(strings.Join(values, ",")), values != nil
	}
	return nil, false
}

// setProperty keeps a property of a guest's own with the call.
func (v *proxyVM) setProperty(_ context.Context, p params) status {
	path, bad := v.text(p, 0, maxPropertyPath)
	value, st := v.read(p, 2, maxPropertyBytes)
	switch bad = cmp.Or(bad, st); {
	case bad != statusOK:
		return bad
	case v.active == nil || path == "":
		return statusNotFound
	}
	s := v.active
	total := len(path) + len(value)
	for k, b := range s.properties {
		total += len(k) + len(b)
	}
	if total > maxPropertyBytes || len(s.properties) >= maxProperties {
		return statusInternalFailure
	}
	if s.properties == nil {
		s.properties = map[string][]byte{}
	}
	s.properties[strings.TrimSuffix(path, "\x00")] = append([]byte{}, value...)
	return statusOK
}
