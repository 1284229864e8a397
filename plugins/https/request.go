package https

import (
	"context"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/annex-gateway/annex/core"
)

const (
	identityHeader = "X-Annex-Identity"
	sessionCookie  = "vcloud_jwt"
	websocket      = "websocket"
)

// request makes what is sent to the endpoint, and may go on for as long as
// whole does.
func (x *exchange) request(ctx, whole context.Context, m core.Message) (*http.Request, error) {
	c, r := x.conn, &m.Request
	path, err := c.root.target(m.Route.Tail, r.RawQuery)
	if err != nil {
		return nil, err
	}
	if !isToken(r.Method) || r.Method == http.MethodConnect {
		return nil, core.Errorf(core.NotAllowed, "the method %q cannot be sent to an external endpoint", r.Method)
	}
	header, err := requestHeader(r)
	if err != nil {
		return nil, err
	}
	setForwarded(header, m)
	if c.signer != nil && m.Caller.Known() {
		token, err := c.signer.SignIdentity(ctx, m.Caller, c.id, m.Route.Tenant)
		if err != nil {
			return nil, core.WrapError(core.ErrorCode(err), err, "external endpoint %s: who is calling could not be signed, so nothing was sent", c.name)
		}
		header[identityHeader] = []string{token}
	}
	req := (&http.Request{
		Method: r.Method,
		// Opaque is written as it is, where Path would be encoded anew.
		URL:    &url.URL{Scheme: "https", Host: c.root.host, Opaque: path, RawQuery: r.RawQuery},
		Proto:  "HTTP/1.1",
		Header: header, ProtoMajor: 1, ProtoMinor: 1,
		Body: http.NoBody,
	}).WithContext(whole)
	if r.Upgrade == websocket {
		header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{websocket}
		return req, nil
	}
	x.attachBody(req, r.Body)
	return req, nil
}

func (x *exchange) attachBody(req *http.Request, b *core.Body) {
	size := b.Size()
	if size == 0 {
		delete(req.Header, "Expect")
		return
	}
	req.ContentLength = size
	if b.Buffered() {
		req.Body = b.Open()
		req.GetBody = func() (io.ReadCloser, error) { return b.Open(), nil }
		return
	}
	if size < 0 {
		req.Trailer = announced(b.Trailer())
	}
	x.upload = &upload{body: b.Open(), to: req.Trailer, from: b.Trailer}
	req.Body = x.upload
}

// announced are the names of the trailer fields that may be sent on, without
// values yet.
func announced(t http.Header) http.Header {
	var a http.Header
	for name := range t {
		if !keptFromEndpoint(name) && isToken(name) {
			if a == nil {
				a = http.Header{}
			}
			a[textproto.CanonicalMIMEHeaderKey(name)] = nil
		}
	}
	return a
}

// requestHeader copies what the endpoint may see.
func requestHeader(r *core.Request) (http.Header, error) {
	h := make(http.Header, r.Header.Len()+6)
	values := make([]string, 0, r.Header.Len()+2)
	named := connectionNames(r.Header.Values("Connection"))
	for name, v := range r.Header.All() {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if keptFromEndpoint(name) || named[name] {
			continue
		}
		if name == "Cookie" {
			if v = withoutSession(v); v == "" {
				continue
			}
		}
		if !isToken(name) || !isValue(v) {
			return nil, core.Errorf(core.Invalid, "the header field %q is malformed", name)
		}
		if h[name] != nil {
			h[name] = append(h[name], v)
			continue
		}
		n := len(values)
		values = append(values, v)
		h[name] = values[n : n+1 : n+1]
	}
	if h["User-Agent"] == nil {
		h["User-Agent"] = []string{""} // keeps net/http from naming itself
	}
	if wantsTrailers(r.Header) {
		h["Te"] = []string{"trailers"}
	}
	// net/http repeats a request that has this field after a lost connection.
	// It looks for this spelling only; on the wire names have no case.
	if v := h["Idempotency-Key"]; v != nil {
		delete(h, "Idempotency-Key")
		h["idempotency-key"] = v
	}
	if v := h["X-Idempotency-Key"]; v != nil {
		delete(h, "X-Idempotency-Key")
		h["x-idempotency-key"] = v
	}
	return h, nil
}

// keptFromEndpoint reports whether a request field, named canonically, is for
// this gateway alone: it belongs to the connection, is a credential of the
// caller, or would speak for the gateway. An underscore is a hyphen to some
// servers, so no name with one passes.
func keptFromEndpoint(name string) bool {
	switch name {
	case "Authorization", "X-Vcloud-Authorization", "X-Vmware-Vcloud-Access-Token",
		"Forwarded", "X-Real-Ip", "Host", "Content-Length", "Http2-Settings", "Proxy":
		return true
	}
	return isHopByHop(name) || strings.HasPrefix(name, "X-Forwarded") ||
		strings.HasPrefix(name, "X-Annex-") || strings.IndexByte(name, '_') >= 0
}

func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// connectionNames are the fields that a Connection field declares to belong
// to the connection. Nil when there are none, which is nearly always.
func connectionNames(values []string) map[string]bool {
	var named map[string]bool
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name))
			switch name {
			case "", "Close", "Keep-Alive", "Upgrade":
				continue
			}
			if named == nil {
				named = map[string]bool{}
			}
			named[name] = true
		}
	}
	return named
}

func wantsTrailers(h core.Header) bool {
	if !h.Has("Te") {
		return false
	}
	for _, v := range h.Values("Te") {
		for coding := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(textproto.TrimString(coding), "trailers") {
				return true
			}
		}
	}
	return false
}

// withoutSession takes the gateway's own cookie out of a Cookie field and
// leaves the others as they are.
func withoutSession(v string) string {
	if !strings.Contains(strings.ToLower(v), sessionCookie) {
		return v
	}
	var kept []string
	for pair := range strings.SplitSeq(v, ";") {
		pair = textproto.TrimString(pair)
		name, _, _ := strings.Cut(pair, "=")
		if pair != "" && !strings.EqualFold(strings.Trim(textproto.TrimString(name), `"`), sessionCookie) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "; ")
}

// setForwarded tells the endpoint how the client reached the gateway.
func setForwarded(h http.Header, m core.Message) {
	r := &m.Request
	values := make([]string, 0, 4)
	set := func(name, v string) {
		if v == "" || !isValue(v) {
			return
		}
		n := len(values)
		values = append(values, v)
		h[name] = values[n : n+1 : n+1]
	}
	if a := r.RemoteAddr.Addr(); a.IsValid() {
		set("X-Forwarded-For", a.Unmap().WithZone("").String())
	}
	set("X-Forwarded-Proto", r.Scheme)
	set("X-Forwarded-Host", r.Host)
	set("X-Forwarded-Prefix", strings.TrimSuffix(m.Route.Prefix, "/"))
}

// isToken reports whether s can be a method or the name of a field.
func isToken(s string) bool {
	for i := range len(s) {
		b := s[i]
		alnum := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", b) < 0 {
			return false
		}
	}
	return s != ""
}

// isValue reports whether s can be the value of a field.
func isValue(s string) bool {
	for i := range len(s) {
		if b := s[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}
