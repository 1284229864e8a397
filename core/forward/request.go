package forward

import (
	"context"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/annex-gateway/annex/core"
)

const websocket = "websocket"

// Request is what is sent on.
type Request struct {
	Method string
	Path   string      // percent-encoded, starting with one '/'
	Query  string      // without the question mark
	Header http.Header // as [Header] gives it; taken over
	Body   *core.Body
	// WebSocket asks for one. The body is not sent.
	WebSocket bool
}

// request makes what may go on for as long as whole does.
func (x *exchange) request(whole context.Context, r Request) (*http.Request, error) {
	s := x.server
	if !IsToken(r.Method) || r.Method == http.MethodConnect {
		return nil, core.Errorf(core.NotAllowed, "the method %q cannot be sent to %s", r.Method, s.opts.Name)
	}
	if !strings.HasPrefix(r.Path, "/") || strings.HasPrefix(r.Path, "//") || !plain(r.Path, "?#") || !plain(r.Query, "#") {
		return nil, core.Errorf(core.Invalid, "the path or query holds a byte that must be percent-encoded, or an empty segment")
	}
	scheme := "http"
	if s.tls {
		scheme = "https"
	}
	req := (&http.Request{
		Method: r.Method,
		// Opaque is written as it is, where Path would be encoded anew.
		URL:    &url.URL{Scheme: scheme, Host: s.host, Opaque: r.Path, RawQuery: r.Query},
		Proto:  "HTTP/1.1",
		Header: r.Header, ProtoMajor: 1, ProtoMinor: 1,
		Body: http.NoBody,
	}).WithContext(whole)
	if r.WebSocket {
		r.Header["Connection"], r.Header["Upgrade"] = []string{"Upgrade"}, []string{websocket}
		delete(r.Header, "Expect")
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
		if t := announced(b.Trailer()); t != nil {
			for name := range t {
				t[name] = b.Trailer()[name]
			}
			req.Trailer, req.ContentLength = t, -1
		}
		req.Body = b.Open()
		req.GetBody = func() (io.ReadCloser, error) { return b.Open(), nil }
		return
	}
	if size < 0 {
		req.Trailer = announced(b.Trailer())
	}
	x.upload = newUpload(x, b, req.Trailer)
	req.Body = x.upload
}

// announced are the names of the trailer fields that may be sent on, without
// values yet.
func announced(t http.Header) http.Header {
	var a http.Header
	for name := range t {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if !Kept(name) && !IsCredential(name) && IsToken(name) {
			if a == nil {
				a = http.Header{}
			}
			a[name] = nil
		}
	}
	return a
}

// plain reports whether s can stand in a request line and holds none of not.
func plain(s, not string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(not, s[i]) >= 0 {
			return false
		}
	}
	return true
}
