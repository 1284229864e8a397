package wasm

import (
	"net/url"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// targetOf is the request target that a guest is shown: the path as it is
// written on the wire, and the query.
func targetOf(r core.Request) string {
	if r.RawPath == "" && r.Path != "" {
		r.RawPath = (&url.URL{Path: r.Path}).EscapedPath()
	}
	if r.RawPath == "" {
		r.RawPath = "/"
	}
	return r.Target()
}

// maxTarget is the greatest length of a request target.
const maxTarget = 16 << 10

// target is a request target in the forms that a request holds.
type target struct{ path, rawPath, rawQuery string }

// parseTarget reads what a guest wants the request target to be. It takes
// only what the gateway's own edge would take, so that no reading of the path
// differs from another; all else is "".
func parseTarget(s string) (target, bool) {
	if s == "" {
		s = "/"
	}
	raw, query, _ := strings.Cut(s, "?")
	if len(raw) > 8<<10 || len(query) > 8<<10 || !strings.HasPrefix(raw, "/") || strings.Contains(raw, "//") {
		return target{}, false
	}
	path, err := url.PathUnescape(raw)
	if err != nil || !plainASCII(s) || !strictEscapes(raw) {
		return target{}, false
	}
	for seg := range strings.SplitSeq(path, "/") {
		if seg == "." || seg == ".." {
			return target{}, false
		}
	}
	return target{path: path, rawPath: raw, rawQuery: query}, true
}

func plainASCII(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return false
		}
	}
	return true
}

// strictEscapes refuses escapes that stand for what divides a path, for
// control characters, for an escape again and for bytes beyond UTF-8.
func strictEscapes(raw string) bool {
	path, _ := url.PathUnescape(raw)
	if strings.ToValidUTF8(path, "") != path {
		return false
	}
	for _, c := range []byte(path) {
		if c < ' ' || c == 0x7f || c == '\\' {
			return false
		}
	}
	low := strings.ToLower(raw)
	return !strings.Contains(low, "%2f") && !strings.Contains(low, "%25")
}
