// Package version negotiates the API version: clients ask for one in the
// Accept header, and the answer's Content-Type names the one that it has.
package version

import (
	"slices"
	"strings"
)

// Highest is the newest version, the one of answers to clients that ask for
// none that is listed.
const Highest = "39.0"

// List returns the versions that clients are told of, ascending. Real clients
// need these: one insists on 37.0, one on at least 38.1, one on 35.0 or 36.0,
// and an entry of 40.0 or more makes them treat the gateway as another
// product.
func List() []string { return []string{"35.0", "36.0", "37.0", "38.0", "38.1", Highest} }

// Listed reports whether v, apart from an alpha suffix such as in
// "39.0.0-alpha", is one of the versions that clients are told of.
func Listed(v string) bool { return slices.Contains(List(), plain(v)) }

// plain takes an alpha suffix, and the third number that comes with it, off.
func plain(v string) string {
	number, suffix, found := strings.Cut(v, "-")
	if !found || (suffix != "alpha" && !strings.HasPrefix(suffix, "alpha-")) {
		return v
	}
	parts := strings.Split(number, ".")
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// Asked returns the versions named in Accept headers, in order. Accept headers
// that make no sense name none; that is never an error.
func Asked(accept []string) []string {
	var out []string
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			for param := range strings.SplitSeq(part, ";") {
				name, value, _ := strings.Cut(param, "=")
				if v := clean(value); v != "" && strings.EqualFold(strings.TrimSpace(name), "version") {
					out = append(out, v)
				}
			}
		}
	}
	return out
}

// clean returns a version as it may be echoed, or "" for what is none.
func clean(value string) string {
	v := strings.Trim(strings.TrimSpace(value), `"`)
	if v == "" || len(v) > 32 || strings.ContainsFunc(v, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '.' && r != '-'
	}) {
		return ""
	}
	return v
}

// Negotiate picks the version of an answer: the first one asked for that is
// listed, as it was written, else the highest.
func Negotiate(accept []string) string {
	for _, v := range Asked(accept) {
		if Listed(v) {
			return v
		}
	}
	return Highest
}
