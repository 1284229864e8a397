// Package target makes the one canonical path of a request: it decodes the
// raw request target once, refuses what could be read in two ways, and gives
// the only form that matching, authorization and dispatch look at.
package target

import (
	"strings"
	"unicode/utf8"

	"github.com/annex-gateway/annex/core"
)

// The greatest lengths of the two parts of a request target, in bytes as sent.
const (
	MaxPath  = 8 << 10
	MaxQuery = 8 << 10
)

// Target is a request target in canonical form.
type Target struct {
	Path     string // percent-decoded once and checked
	RawPath  string // for the wire: unreserved characters decoded, other escapes kept with upper-case digits
	RawQuery string // byte for byte as sent, without the question mark
}

// Parse reads the request target as it stands in the request line. The
// absolute form is accepted only when it names the given host, which is the
// value of the Host header. Errors have the code Invalid or TooLong.
//
// Parse is idempotent: the RawPath of a Target gives the same Target.
func Parse(requestURI, host string) (Target, error) {
	origin, err := originForm(requestURI, host)
	if err != nil {
		return Target{}, err
	}
	path, query, _ := strings.Cut(origin, "?")
	if len(path) > MaxPath {
		return Target{}, core.Errorf(core.TooLong, "the path of the request has %d bytes, at most %d are accepted", len(path), MaxPath)
	}
	if len(query) > MaxQuery {
		return Target{}, core.Errorf(core.TooLong, "the query of the request has %d bytes, at most %d are accepted", len(query), MaxQuery)
	}
	if err := checkQuery(query); err != nil {
		return Target{}, err
	}
	decoded, raw, err := decodePath(path)
	if err != nil {
		return Target{}, err
	}
	if err := checkPath(decoded); err != nil {
		return Target{}, err
	}
	return Target{Path: decoded, RawPath: raw, RawQuery: query}, nil
}

// CheckMethod refuses the methods that the gateway never serves.
func CheckMethod(method string) error {
	if strings.EqualFold(method, "CONNECT") || strings.EqualFold(method, "TRACE") {
		return core.Errorf(core.NotAllowed, "the method %s is not served here", strings.ToUpper(method))
	}
	return nil
}

// RawTail gives the index into the canonical rawPath that corresponds to a
// byte offset in the decoded path. An offset past the end gives the length of
// rawPath.
func RawTail(rawPath string, decodedOffset int) int {
	i := 0
	for ; decodedOffset > 0 && i < len(rawPath); decodedOffset-- {
		if rawPath[i] == '%' {
			i += 3
		} else {
			i++
		}
	}
	return min(i, len(rawPath))
}

// originForm strips scheme and host from an absolute form.
func originForm(requestURI, host string) (string, error) {
	if strings.HasPrefix(requestURI, "/") {
		return requestURI, nil
	}
	scheme, rest, ok := strings.Cut(requestURI, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", core.Errorf(core.Invalid, "the request target must be a path that starts with '/'")
	}
	authority, origin := rest, "/"
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, origin = rest[:i], rest[i:]
	}
	if authority == "" || !strings.EqualFold(authority, host) {
		return "", core.Errorf(core.Invalid, "the host in the request target is not the one in the Host header")
	}
	if origin[0] != '/' {
		origin = "/" + origin
	}
	return origin, nil
}

func checkQuery(query string) error {
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return core.Errorf(core.Invalid, "the query of the request holds the byte 0x%02x at position %d; send it percent-encoded", c, i)
		}
	}
	return nil
}

// decodePath gives the decoded path and its form for the wire. Both are
// slices of path itself when it holds no escape.
func decodePath(path string) (decoded, raw string, err error) {
	first := len(path)
	for i := range len(path) {
		c := path[i]
		if c == '%' {
			first = i
			break
		}
		if refusedRaw(c) {
			return "", "", rawByteError(c, i)
		}
	}
	if first == len(path) {
		return path, path, nil
	}
	dec := append(make([]byte, 0, len(path)), path[:first]...)
	wire := append(make([]byte, 0, len(path)), path[:first]...)
	for i := first; i < len(path); i++ {
		c := path[i]
		if c != '%' {
			if refusedRaw(c) {
				return "", "", rawByteError(c, i)
			}
			dec, wire = append(dec, c), append(wire, c)
			continue
		}
		b, err := unescape(path, i)
		if err != nil {
			return "", "", err
		}
		dec = append(dec, b)
		if unreserved(b) {
			wire = append(wire, b)
		} else {
			wire = append(wire, '%', upperHex[b>>4], upperHex[b&15])
		}
		i += 2
	}
	return string(dec), string(wire), nil
}

const upperHex = "0123456789ABCDEF"

// unescape decodes the escape at position i of path.
func unescape(path string, i int) (byte, error) {
	if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
		return 0, core.Errorf(core.Invalid, "the path of the request has an incomplete percent escape at position %d", i)
	}
	b := hexValue(path[i+1])<<4 | hexValue(path[i+2])
	if b == '/' || b == '\\' || b < ' ' || b == 0x7f {
		return 0, core.Errorf(core.Invalid, "the path of the request has the escape %%%02X at position %d, which is not accepted in a path", b, i)
	}
	return b, nil
}

// checkPath judges the decoded path.
func checkPath(path string) error {
	if !utf8.ValidString(path) {
		return core.Errorf(core.Invalid, "the path of the request is not valid UTF-8 when decoded")
	}
	for i, r := range path {
		switch {
		case r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029:
			return core.Errorf(core.Invalid, "the path of the request holds the control character U+%04X", r)
		case r == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]):
			return core.Errorf(core.Invalid, "the path of the request is percent-encoded twice")
		}
	}
	return checkSegments(path)
}

// checkSegments refuses dot segments and empty ones. Path parameters stay in
// the path, but a segment must not turn into one of those for a server that
// drops them.
func checkSegments(path string) error {
	for rest, more := path[1:], true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		name, _, _ := strings.Cut(segment, ";")
		switch {
		case name == "." || name == "..":
			return core.Errorf(core.Invalid, "the path of the request holds a '.' or '..' segment; send the path that is meant")
		case name == "" && more:
			return core.Errorf(core.Invalid, "the path of the request holds an empty segment ('//'); send the path that is meant")
		}
	}
	return nil
}

func rawByteError(c byte, i int) error {
	return core.Errorf(core.Invalid, "the path of the request holds the byte 0x%02x at position %d, which is not accepted in a path", c, i)
}

func refusedRaw(c byte) bool {
	return c <= ' ' || c >= 0x7f || c == '\\' || c == '#'
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func hexValue(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
