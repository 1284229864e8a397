package inject

import (
	"bytes"
	"encoding/json"

	"github.com/annex-gateway/annex/core/internal/vxml"
)

// object is what was found of the object that a JSON document is.
type object struct {
	root  Root
	ok    bool // all of it was read
	start int  // behind its '{'
	empty bool
	links value // of the member "link"
}

// value is where a value stands.
type value struct{ start, end int }

// json reads the object. With hurry it stops once the root has told its type.
func (s *source) json(hurry bool) object {
	var o object
	i := 0
	if s.has(0, "\ufeff") {
		i = len("\ufeff")
	}
	if i = s.space(i); s.byte(i) != '{' {
		return o
	}
	o.start = i + 1
	if i = s.space(o.start); s.byte(i) == '}' {
		o.empty, o.ok = true, true
		return o
	}
	for !hurry || o.root.Type == "" {
		key := i
		if i = s.text(i); i < 0 {
			return o
		}
		name := unquote(s.buf[key:i])
		if i = s.space(i); s.byte(i) != ':' {
			return o
		}
		start := s.space(i + 1)
		if i = s.value(start); i < 0 {
			return o
		}
		o.take(name, s.buf, value{start, i})
		i = s.space(i)
		switch s.byte(i) {
		case '}':
			o.ok = true
			return o
		case ',':
			i = s.space(i + 1)
		default:
			return o
		}
	}
	return o
}

// take notes a member of the object.
func (o *object) take(name string, doc []byte, v value) {
	switch name {
	case "type":
		o.root.Type = unquote(doc[v.start:v.end])
	case "id":
		o.root.ID = unquote(doc[v.start:v.end])
	case "href":
		o.root.Href = unquote(doc[v.start:v.end])
	case "link":
		o.links = v
	}
}

// unquote reads a string; what is none is empty.
func unquote(b []byte) string {
	if len(b) < 2 || b[0] != '"' {
		return ""
	}
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b[1 : len(b)-1])
	}
	var s string
	if json.Unmarshal(b, &s) != nil {
		return ""
	}
	return s
}

// text steps over the string at i.
func (s *source) text(i int) int {
	if s.byte(i) != '"' {
		return -1
	}
	for start := i + 1; ; {
		end := s.after(max(start, i+1), `"`)
		if end < 0 {
			return -1
		}
		escapes := 0
		for at := end - 2; at >= start && s.buf[at] == '\\'; at-- {
			escapes++
		}
		if escapes%2 == 0 {
			return end
		}
		i = end - 1
	}
}

// value steps over the value at i.
func (s *source) value(i int) int {
	switch c := s.byte(i); c {
	case '"':
		return s.text(i)
	case '{', '[':
		return s.container(i)
	case 0, ',', ':', '}', ']':
		return -1
	}
	return s.any(i, " \n\t\r,:}]{[\"")
}

// container steps over the object or array at i.
func (s *source) container(i int) int {
	for depth := 0; ; i++ {
		switch s.byte(i) {
		case 0:
			return -1
		case '"':
			if i = s.text(i); i < 0 {
				return -1
			}
			i-- // the loop steps over one byte
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// splice works out where links go: behind the last of the member "link", which
// is made if there is none.
func (o object) splice(doc []byte, links []*vxml.Element) splice {
	list := linksJSON(links)
	have := doc[o.links.start:o.links.end]
	switch {
	case !o.ok:
		return splice{}
	case o.links.end == 0 && o.empty:
		return splice{at: o.start, text: wrap(`"link":[`, list, `]`)}
	case o.links.end == 0:
		return splice{at: o.start, text: wrap(`"link":[`, list, `],`)}
	case string(have) == "null":
		return splice{at: o.links.start, cut: len(have), text: wrap(`[`, list, `]`)}
	case have[0] != '[':
		return splice{}
	}
	inside := bytes.TrimRight(have[:len(have)-1], " \n\t\r")
	at := o.links.start + len(inside)
	if len(inside) == 1 {
		return splice{at: at, text: list}
	}
	return splice{at: at, text: wrap(`,`, list, ``)}
}

func wrap(before string, list []byte, after string) []byte {
	return append(append([]byte(before), list...), after...)
}

// linksJSON writes links as vxml does, without the brackets around them.
func linksJSON(links []*vxml.Element) []byte {
	b := vxml.EncodeJSON(vxml.VCloud("").Add(links...))
	b = bytes.TrimPrefix(b, []byte(`{"link":[`))
	return bytes.TrimSuffix(b, []byte("]}\n"))
}
