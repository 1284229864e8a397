package vxml

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/annex-gateway/annex/core"
)

// EncodeJSON gives the JSON twin of the document whose root is e: attributes
// and children become members, names start in lower case.
func EncodeJSON(e *Element) []byte {
	w := jsonWriter{}
	w.value(e, true)
	w.WriteByte('\n')
	return w.Bytes()
}

type jsonWriter struct{ bytes.Buffer }

func (w *jsonWriter) value(e *Element, root bool) {
	if !root && e.Text != "" && len(e.Attrs) == 0 {
		w.scalar(e.Text, e.literal)
		return
	}
	first := true
	member := func(name string) {
		if !first {
			w.WriteByte(',')
		}
		first = false
		w.scalar(name, false)
		w.WriteByte(':')
	}
	w.WriteByte('{')
	if e.jsonType != "" {
		member("_type")
		w.scalar(e.jsonType, false)
	}
	for _, a := range e.Attrs {
		if a.Name == typeAttr {
			continue // _type says it
		}
		member(lowerFirst(a.Name))
		value := a.Value
		if root && a.Name == "type" {
			if media, ok := strings.CutSuffix(value, "+xml"); ok {
				value = media + "+json"
			}
		}
		w.scalar(value, a.literal)
	}
	if e.Text != "" {
		member("value")
		w.scalar(e.Text, e.literal)
	}
	w.children(e, member)
	w.WriteByte('}')
}

// children writes each kind of child once: as an array where it is a list,
// at the place of the first.
func (w *jsonWriter) children(e *Element, member func(string)) {
	done := map[string]bool{}
	for i, c := range e.Children {
		if c.list == "" {
			member(lowerFirst(c.Name))
			w.value(c, false)
			continue
		}
		if done[c.list] {
			continue
		}
		done[c.list] = true
		member(c.list)
		w.WriteByte('[')
		w.value(c, false)
		for _, other := range e.Children[i+1:] {
			if other.list == c.list {
				w.WriteByte(',')
				w.value(other, false)
			}
		}
		w.WriteByte(']')
	}
	for _, list := range e.lists {
		if !done[list] {
			member(list)
			w.WriteString("[]")
		}
	}
}

func (w *jsonWriter) scalar(s string, literal bool) {
	if literal {
		w.WriteString(s)
		return
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes, and the buffer takes it
	w.Truncate(w.Len() - 1)
}

// ParseJSON reads the JSON twin of a document. JSON does not tell attributes
// from children, so all members become children; [Element.Attr] finds them.
func ParseJSON(b []byte) (*Element, error) {
	p := jsonParser{Decoder: json.NewDecoder(bytes.NewReader(b))}
	p.UseNumber()
	root := &Element{fromJSON: true}
	token, err := p.next()
	if err == nil && token != json.Delim('{') {
		err = core.Errorf(core.Invalid, "the body must be a JSON object")
	}
	if err == nil {
		err = p.object(root, 1)
	}
	if err != nil {
		return nil, err
	}
	if _, err := p.Token(); !errors.Is(err, io.EOF) {
		return nil, core.Errorf(core.Invalid, "the body goes on after its JSON object")
	}
	return root, nil
}

type jsonParser struct {
	*json.Decoder
	count int
}

// next counts what it reads, brackets and names included.
func (p *jsonParser) next() (json.Token, error) {
	if p.count++; p.count > 4*MaxElements {
		return nil, core.Errorf(core.TooLarge, "the body has more than %d members", MaxElements)
	}
	token, err := p.Token()
	if err != nil {
		return nil, core.WrapError(core.Invalid, err, "the body is not well-formed JSON near byte %d", p.InputOffset())
	}
	return token, nil
}

func (p *jsonParser) object(into *Element, depth int) error {
	for {
		token, err := p.next()
		if err != nil || token == json.Delim('}') {
			return err
		}
		name, _ := token.(string)
		if token, err = p.next(); err != nil {
			return err
		}
		if token == json.Delim('[') {
			err = p.array(into, name, depth)
		} else {
			err = p.member(into, name, token, depth)
		}
		if err != nil {
			return err
		}
	}
}

func (p *jsonParser) array(into *Element, name string, depth int) error {
	for {
		token, err := p.next()
		if err != nil || token == json.Delim(']') {
			return err
		}
		if err := p.member(into, name, token, depth); err != nil {
			return err
		}
	}
}

// member adds one value to an element, as a child of that name.
func (p *jsonParser) member(into *Element, name string, value json.Token, depth int) error {
	if value == nil {
		return nil
	}
	c := &Element{Name: upperFirst(name), fromJSON: true}
	into.Children = append(into.Children, c)
	switch v := value.(type) {
	case json.Delim:
		if v != '{' {
			return core.Errorf(core.Invalid, "member %s holds an array within an array", brief(name))
		}
		if depth == MaxDepth {
			return core.Errorf(core.Invalid, "the body nests objects more than %d deep", MaxDepth)
		}
		return p.object(c, depth+1)
	case string:
		c.Text = v
	case json.Number:
		c.Text = v.String()
	case bool:
		c.Text = "false"
		if v {
			c.Text = "true"
		}
	}
	return nil
}

func lowerFirst(s string) string { return mapFirst(s, unicode.ToLower) }
func upperFirst(s string) string { return mapFirst(s, unicode.ToUpper) }

func mapFirst(s string, f func(rune) rune) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(f(r)) + s[n:]
}
