package wire

import (
	"errors"
	"fmt"
	"strings"
)

// CanonicalName gives the canonical form of a header name: Content-Type. What
// is not a valid name comes back as it is.
func CanonicalName(name string) string {
	if !isToken(name) {
		return name
	}
	b := []byte(name)
	upper := true
	for i, c := range b {
		switch {
		case upper && 'a' <= c && c <= 'z':
			b[i] = c - 'a' + 'A'
		case !upper && 'A' <= c && c <= 'Z':
			b[i] = c - 'A' + 'a'
		}
		upper = c == '-'
	}
	return string(b)
}

// Credential reports whether the header of that canonical name carries a
// caller's credential. No system ever sees one, and none may set one.
func Credential(name string) bool {
	switch dashed(name) {
	case "Authorization", "X-Vcloud-Authorization", "X-Vmware-Vcloud-Access-Token":
		return true
	}
	return false
}

// HopByHop reports whether the header of that canonical name belongs to one
// connection, or frames a message on it, and so never travels in a message.
func HopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade", "Proxy-Authenticate", "Proxy-Authorization", "Content-Length":
		return true
	}
	return false
}

// NotInReply reports whether a reply's header of that canonical name is left
// out of the answer: credentials, cookies, what frames the message, and Vary,
// which the gateway makes itself.
func NotInReply(name string) bool {
	switch dashed(name) {
	case "Authorization", "X-Vcloud-Authorization", "Set-Cookie", "Set-Cookie2", "Vary":
		return true
	}
	return HopByHop(name)
}

// dashed reads underscores as dashes, since some servers take one for the
// other.
func dashed(name string) string {
	if strings.IndexByte(name, '_') < 0 {
		return name
	}
	return CanonicalName(strings.ReplaceAll(name, "_", "-"))
}

// SessionCookie is the name of the cookie that holds a caller's session token.
const SessionCookie = "vcloud_jwt"

// SplitCookie parts the value of a Cookie header into the session cookies and
// all others; either may be empty.
func SplitCookie(value string) (session, others string) {
	if !strings.Contains(value, SessionCookie) {
		return "", value
	}
	for part := range strings.SplitSeq(value, ";") {
		part = strings.TrimSpace(part)
		name, _, _ := strings.Cut(part, "=")
		switch {
		case part == "":
		case strings.TrimSpace(name) == SessionCookie:
			session = joinCookies(session, part)
		default:
			others = joinCookies(others, part)
		}
	}
	return session, others
}

func joinCookies(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// Check reports why a reply cannot be used, or nil: its status, the names and
// values of its headers and, if it replaces the request, that request's line.
func (r *Response) Check() error {
	m := &r.Message
	if m.IsRequest {
		if err := m.checkRequestLine(); err != nil {
			return err
		}
	} else if m.Status < 200 || m.Status > 599 {
		return fmt.Errorf("statusCode %d is not between 200 and 599", m.Status)
	}
	for _, f := range m.Headers {
		if !isToken(f.Name) {
			return fmt.Errorf("the header name %.40q is not valid", f.Name)
		}
		if !validValue(f.Value) {
			return fmt.Errorf("the value of the header %.40s holds a control character", f.Name)
		}
	}
	return nil
}

func (m *Message) checkRequestLine() error {
	switch {
	case !isToken(m.Method):
		return fmt.Errorf("the method %.20q is not valid", m.Method)
	case !strings.HasPrefix(m.RequestURI, "/"):
		return errors.New("requestUri does not start with a slash")
	case strings.ContainsAny(m.RequestURI, "?#") || !visible(m.RequestURI):
		return errors.New("requestUri is not an encoded path without a query")
	case strings.Contains(m.Query, "#") || !visible(m.Query):
		return errors.New("queryString is not an encoded query")
	}
	return nil
}

// visible reports whether s is printable ASCII without spaces, the only
// characters of a request line.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func validValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
