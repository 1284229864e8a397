package match

import (
	"strings"

	"github.com/annex-gateway/annex/core"
)

// mediaType is a content type: its name in lower case and its parameters.
type mediaType struct {
	name   string
	params []param
}

type param struct{ name, value string }

// parseFilterType reads the content type of a filter, and refuses what it
// cannot read.
func parseFilterType(s string) (mediaType, error) {
	m, whole := parseMediaType(nil, s)
	if !whole || !strings.Contains(m.name, "/") {
		return mediaType{}, core.Errorf(core.Invalid, "responseContentType %q cannot be read: it has to look like application/json;version=38.0", s)
	}
	return m, nil
}

// parseMediaType reads a content type, appending its parameters to params. It
// reports whether it understood all of it; what it did not is left out.
func parseMediaType(params []param, s string) (m mediaType, whole bool) {
	name, rest, more := strings.Cut(s, ";")
	m.name, whole = strings.ToLower(trim(name)), true
	for more {
		var p param
		var ok bool
		p, rest, more, ok = nextParam(rest)
		if ok {
			params = append(params, p)
		} else if p.name+p.value != "" {
			whole = false
		}
	}
	m.params = params
	return m, whole
}

// nextParam reads up to the next semicolon that is not quoted.
func nextParam(s string) (p param, rest string, more, ok bool) {
	s = trim(s)
	equals := strings.IndexAny(s, "=;")
	if equals < 0 || s[equals] == ';' {
		p.name, rest, more = strings.Cut(s, ";")
		p.name = trim(p.name)
		return p, rest, more, false
	}
	p.name, s = trim(s[:equals]), trim(s[equals+1:])
	if !strings.HasPrefix(s, `"`) {
		p.value, rest, more = strings.Cut(s, ";")
		p.value = trim(p.value)
		return p, rest, more, p.name != ""
	}
	var closed bool
	p.value, rest, closed = quotedString(s[1:])
	junk, rest, more := strings.Cut(rest, ";")
	return p, rest, more, closed && trim(junk) == "" && p.name != ""
}

// quotedString reads up to the closing quote.
func quotedString(s string) (value, rest string, closed bool) {
	end := strings.IndexAny(s, `"\`)
	if end < 0 {
		return s, "", false
	}
	if s[end] == '"' {
		return s[:end], s[end+1:], true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), "", false
}

func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// covers reports whether an answer of that type is one that m asks for: all
// parameters of m are there, whatever else is.
func (m mediaType) covers(answer mediaType) bool {
	for _, want := range m.params {
		if !answer.has(want) {
			return false
		}
	}
	return m.name == answer.name
}

func (m mediaType) has(want param) bool {
	for _, p := range m.params {
		if strings.EqualFold(p.name, want.name) && strings.EqualFold(p.value, want.value) {
			return true
		}
	}
	return false
}
