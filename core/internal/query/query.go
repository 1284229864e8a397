// Package query reads the query of a request as clients write it: in order, and
// split at ampersands only.
package query

import (
	"net/url"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// Query is the query of a request, in the order it was written.
type Query []Param

// Param is one name and its value, both decoded.
type Param struct{ Name, Value string }

// Max is the greatest length of a raw query that Parse reads.
const Max = 16 << 10

// Parse splits a raw query at its ampersands only: filters hold semicolons,
// and clients send them as they are.
func Parse(rawQuery string) (Query, error) {
	if len(rawQuery) > Max {
		return nil, core.Errorf(core.TooLong, "the query has %d bytes; at most %d are read", len(rawQuery), Max)
	}
	var q Query
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, errName := url.QueryUnescape(name)
		v, errValue := url.QueryUnescape(value)
		if errName != nil || errValue != nil {
			return nil, core.Errorf(core.Invalid, "query: %q holds a %% that is not followed by two hexadecimal digits; write %%25 for a percent sign", pair)
		}
		q = append(q, Param{n, v})
	}
	return q, nil
}

// Get returns the first value of name, or "".
func (q Query) Get(name string) string {
	for _, p := range q {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// Has reports whether there is a parameter of that name.
func (q Query) Has(name string) bool {
	for _, p := range q {
		if p.Name == name {
			return true
		}
	}
	return false
}

// One returns the value of a parameter that may be given once at most, or "".
func (q Query) One(name string) (string, error) {
	value, seen := "", false
	for _, p := range q {
		if p.Name != name {
			continue
		}
		if seen {
			return "", core.Errorf(core.Invalid, "query: %s is given more than once; give it once", name)
		}
		value, seen = p.Value, true
	}
	return value, nil
}

// With returns q with name set to the one value, at the place of the first
// parameter of that name or at the end.
func (q Query) With(name, value string) Query {
	out, done := make(Query, 0, len(q)+1), false
	for _, p := range q {
		if p.Name != name {
			out = append(out, p)
		} else if !done {
			out, done = append(out, Param{name, value}), true
		}
	}
	if !done {
		out = append(out, Param{name, value})
	}
	return out
}

// Encode writes q as a raw query. Commas and semicolons are escaped, so it can
// stand in a Link header.
func (q Query) Encode() string {
	var b strings.Builder
	for i, p := range q {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.Name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.Value))
	}
	return b.String()
}
