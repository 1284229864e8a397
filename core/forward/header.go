package forward

import (
	"net/http"
	"net/textproto"
	"strings"

	"github.com/annex-gateway/annex/core"
)

const sessionCookie = "vcloud_jwt"

// Header copies the fields of a client's request that a server may see.
// Without credentials those of the caller are left out: the authorization
// fields and the gateway's own cookie.
func Header(r core.Request, credentials bool) (http.Header, error) {
	h := make(http.Header, r.Header.Len()+6)
	values := make([]string, 0, r.Header.Len()+2)
	named := connectionNames(r.Header.Values("Connection"))
	for name, v := range r.Header.All() {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if Kept(name) || named[name] {
			continue
		}
		if !credentials {
			if v = withoutCredentials(name, v); v == "" && (IsCredential(name) || name == "Cookie") {
				continue
			}
		}
		if !IsToken(name) || !IsValue(v) {
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
	settle(h, r.Header)
	return h, nil
}

// settle keeps net/http from adding and repeating on its own.
func settle(h http.Header, in core.Header) {
	if h["User-Agent"] == nil {
		h["User-Agent"] = []string{""}
	}
	if wantsTrailers(in) {
		h["Te"] = []string{"trailers"}
	}
	// net/http repeats a request that has one of these after a lost
	// connection. It looks for this spelling only; on the wire names have no
	// case.
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v := h[name]; v != nil {
			delete(h, name)
			h[strings.ToLower(name)] = v
		}
	}
}

// Forwarded sets how the client reached the gateway. A prefix is the part of
// the path that the server does not see; it may be empty.
func Forwarded(h http.Header, r core.Request, prefix string) {
	values := make([]string, 0, 4)
	set := func(name, v string) {
		if v == "" || !IsValue(v) {
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
	set("X-Forwarded-Prefix", strings.TrimSuffix(prefix, "/"))
}

// IsCredential reports whether a field, named canonically, holds a caller's
// credential.
func IsCredential(name string) bool {
	switch name {
	case "Authorization", "X-Vcloud-Authorization", "X-Vmware-Vcloud-Access-Token":
		return true
	}
	return false
}

// Kept reports whether a request field, named canonically, is never sent on:
// it belongs to the connection or would speak for the gateway.
func Kept(name string) bool { return connectionField(name) || forged(name) }

// forged reports whether a request field would speak for the gateway. An
// underscore is a hyphen to some servers, so no name with one passes.
func forged(name string) bool {
	switch name {
	case "Forwarded", "X-Real-Ip", "Proxy":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded") || strings.HasPrefix(name, "X-Annex-") || strings.IndexByte(name, '_') >= 0
}

// connectionField reports whether a field, named canonically, belongs to the
// connection and not to the message.
func connectionField(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info",
		"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Host", "Content-Length", "Http2-Settings":
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

// withoutCredentials gives what remains of a field's value.
func withoutCredentials(name, v string) string {
	switch {
	case IsCredential(name):
		return ""
	case name == "Cookie":
		return withoutSession(v)
	}
	return v
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

// IsToken reports whether s can be a method or the name of a field.
func IsToken(s string) bool {
	for i := range len(s) {
		b := s[i]
		alnum := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", b) < 0 {
			return false
		}
	}
	return s != ""
}

// IsValue reports whether s can be the value of a field.
func IsValue(s string) bool {
	for i := range len(s) {
		if b := s[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}
