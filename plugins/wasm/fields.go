package wasm

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// sessionCookie is the cookie that carries the caller's credential.
const sessionCookie = "vcloud_jwt"

// rules say which header fields of a message a guest may not see, and which
// it may not change. What is hidden stays in the message as it was.
type rules struct {
	hidden func(canonical string) bool
	locked func(canonical string) bool // beyond the hidden ones
	cookie bool                        // the session cookie is hidden among others
}

func credential(name string) bool {
	switch name {
	case "Authorization", "X-Vcloud-Authorization", "X-Vmware-Vcloud-Access-Token":
		return true
	}
	return false
}

// framing are the fields that belong to a connection, not to a message.
func framing(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// identity are the fields in which the gateway tells others who calls.
func identity(name string) bool {
	return name == "Host" || name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded-") ||
		strings.HasPrefix(name, "X-Annex-") || strings.Contains(name, "_")
}

func requestRules() rules {
	return rules{
		hidden: credential,
		locked: func(n string) bool { return framing(n) || identity(n) },
		cookie: true,
	}
}

func responseRules() rules {
	return rules{hidden: func(n string) bool { return credential(n) || n == "Set-Cookie" }, locked: framing}
}

func trailerRules() rules {
	return rules{
		hidden: func(n string) bool { return credential(n) || n == "Set-Cookie" || n == "Cookie" },
		locked: func(n string) bool { return framing(n) || identity(n) },
	}
}

// fields are the header fields of a message as a guest sees them. Nothing is
// copied before the first change.
type fields struct {
	rules
	orig core.Header
	edit http.Header // what the guest sees, once it has changed something
	kept bool        // something of orig is hidden and not in edit
}

func (f *fields) names() []string {
	if f.edit != nil {
		return core.HeaderOf(f.edit).Names()
	}
	return slices.DeleteFunc(f.orig.Names(), func(n string) bool {
		return f.hidden(n) || f.cookie && n == "Cookie" && len(f.values(n)) == 0
	})
}

// values takes a canonical name.
func (f *fields) values(name string) []string {
	switch {
	case f.hidden(name):
		return nil
	case f.edit != nil:
		return f.edit[name]
	case f.cookie && name == "Cookie":
		seen, _ := splitCookies(f.orig.Peek(name))
		return seen
	}
	return f.orig.Peek(name)
}

// change lets do alter what the guest sees of name. It reports whether the
// guest may; where it may not, nothing happens.
func (f *fields) change(name string, do func(http.Header)) bool {
	if f.hidden(name) || f.locked(name) {
		return false
	}
	if f.edit == nil {
		f.edit = f.orig.Copy()
		for name := range f.edit {
			if f.hidden(name) {
				delete(f.edit, name)
			}
		}
		f.kept = len(f.edit) < f.orig.Len()
		if f.cookie && f.edit["Cookie"] != nil {
			if seen, _ := splitCookies(f.edit["Cookie"]); len(seen) > 0 {
				f.edit["Cookie"] = seen
			} else {
				delete(f.edit, "Cookie")
			}
		}
	}
	do(f.edit)
	return true
}

func (f *fields) changed() bool { return f.edit != nil }

// result is the header to go on with: what the guest left, and what was
// hidden from it.
func (f *fields) result() core.Header {
	if f.edit == nil {
		return f.orig
	}
	out := f.edit
	if f.kept {
		f.orig.AddTo(out, func(n string) bool { return !f.hidden(n) })
	}
	if f.cookie {
		seen, _ := splitCookies(out["Cookie"])
		_, kept := splitCookies(f.orig.Peek("Cookie"))
		if len(kept) > 0 {
			seen = append(seen, strings.Join(kept, "; "))
		}
		delete(out, "Cookie")
		if len(seen) > 0 {
			out["Cookie"] = seen
		}
	}
	f.orig, f.edit = core.HeaderOf(out), nil // a later change makes a copy, as the first one did
	return f.orig
}

// splitCookies gives the Cookie fields without the session cookie, and the
// session cookie's pairs.
func splitCookies(values []string) (seen, kept []string) {
	for _, v := range values {
		if !strings.Contains(v, sessionCookie) {
			seen = append(seen, v)
			continue
		}
		var rest []string
		for pair := range strings.SplitSeq(v, ";") {
			pair = strings.TrimSpace(pair)
			name, _, _ := strings.Cut(pair, "=")
			switch {
			case strings.TrimSpace(name) == sessionCookie:
				kept = append(kept, pair)
			case pair != "":
				rest = append(rest, pair)
			}
		}
		if len(rest) > 0 {
			seen = append(seen, strings.Join(rest, "; "))
		}
	}
	return seen, kept
}

const (
	maxFieldName  = 256
	maxFieldValue = 64 << 10
)

// fieldName gives the canonical form of a field name, or "" for what is none.
func fieldName(b []byte) string {
	if len(b) == 0 || len(b) > maxFieldName {
		return ""
	}
	for _, c := range b {
		if !tokenByte(c) {
			return ""
		}
	}
	return textproto.CanonicalMIMEHeaderKey(string(b))
}

func tokenByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// validValue reports whether b can stand as a field's value.
func validValue(b []byte) bool {
	if len(b) > maxFieldValue {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
