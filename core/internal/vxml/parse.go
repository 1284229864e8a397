package vxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// What a body may hold. The longest real one has a few hundred elements.
const (
	MaxElements   = 10_000
	MaxAttributes = 10_000
	MaxDepth      = 32

	maxElementAttributes = 100
)

// ParseXML reads the document in b. Names lose their namespaces, attributes
// of a namespace are left out. It knows no entities but the five of XML and
// refuses document types.
func ParseXML(b []byte) (*Element, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, core.Errorf(core.Invalid, "the body is empty: an XML document is needed")
	}
	if err := checkWidth(b); err != nil {
		return nil, err
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	p := parser{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.take(token)
		} else {
			line, column := d.InputPos()
			err = core.WrapError(core.Invalid, err, "the body is not well-formed XML in UTF-8 near line %d, column %d", line, column)
		}
		if err != nil {
			return nil, err
		}
	}
	if p.root == nil {
		return nil, core.Errorf(core.Invalid, "the body has no XML element")
	}
	return p.root, nil
}

// checkWidth counts what stands in the document before the decoder makes
// objects of it, and refuses document types.
func checkWidth(b []byte) error {
	var elements, attributes int
	for {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			return nil
		}
		b = b[i+1:]
		switch {
		case bytes.HasPrefix(b, []byte("/")):
			continue
		case bytes.HasPrefix(b, []byte("!--")):
			b = after(b[3:], "-->")
		case bytes.HasPrefix(b, []byte("![CDATA[")):
			b = after(b, "]]>")
		case bytes.HasPrefix(b, []byte("!")):
			return core.Errorf(core.Invalid, "the body has a document type or another declaration: leave it out")
		case bytes.HasPrefix(b, []byte("?")):
			b = after(b, "?>")
		default:
			var n int
			n, b = tag(b)
			attributes += n
		}
		if elements++; elements > MaxElements {
			return core.Errorf(core.TooLarge, "the body has more than %d elements", MaxElements)
		}
		if attributes > MaxAttributes {
			return core.Errorf(core.TooLarge, "the body has more than %d attributes", MaxAttributes)
		}
	}
}

func after(b []byte, end string) []byte {
	_, rest, _ := bytes.Cut(b, []byte(end))
	return rest
}

// tag counts the attributes of the tag that b begins in, and gives what
// follows it.
func tag(b []byte) (attributes int, rest []byte) {
	var quote byte
	for i, c := range b {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '=':
			attributes++
		case c == '>':
			return attributes, b[i+1:]
		}
	}
	return attributes, nil
}

type parser struct {
	root  *Element
	stack []frame
}

type frame struct {
	element *Element
	text    []byte
}

func (p *parser) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return p.start(t)
	case xml.EndElement:
		p.end()
	case xml.CharData:
		if n := len(p.stack); n > 0 {
			p.stack[n-1].text = append(p.stack[n-1].text, t...)
		} else if len(bytes.TrimSpace(t)) > 0 {
			return core.Errorf(core.Invalid, "the body has text outside its root element")
		}
	case xml.Directive:
		return core.Errorf(core.Invalid, "the body has a document type or another declaration: leave it out")
	}
	return nil
}

func (p *parser) start(t xml.StartElement) error {
	e := &Element{Name: t.Name.Local}
	switch {
	case len(p.stack) == MaxDepth:
		return core.Errorf(core.Invalid, "the body nests elements more than %d deep", MaxDepth)
	case len(t.Attr) > maxElementAttributes:
		return core.Errorf(core.Invalid, "element %s has more than %d attributes", brief(e.Name), maxElementAttributes)
	case len(p.stack) == 0 && p.root != nil:
		return core.Errorf(core.Invalid, "the body has a second root element")
	case len(p.stack) == 0 && !known(t.Name.Space):
		return core.Errorf(core.Invalid, "the root element is of the namespace %s; this API knows %s and %s", brief(t.Name.Space), NamespaceVCloud, NamespaceExtension)
	case len(p.stack) == 0:
		p.root = e
	default:
		parent := p.stack[len(p.stack)-1].element
		parent.Children = append(parent.Children, e)
	}
	for i, a := range t.Attr {
		for _, b := range t.Attr[:i] {
			if a.Name == b.Name {
				return core.Errorf(core.Invalid, "element %s has the attribute %s twice", brief(e.Name), brief(a.Name.Local))
			}
		}
		if a.Name.Space == "" && a.Name.Local != "xmlns" {
			e.Attrs = append(e.Attrs, Attr{Name: a.Name.Local, Value: a.Value})
		}
	}
	p.stack = append(p.stack, frame{element: e})
	return nil
}

// known tells the namespaces that a document may be of. Clients leave it out,
// or use a prefix that they forgot to declare, which then stands for itself.
func known(space string) bool {
	return !strings.ContainsAny(space, ":/") ||
		slices.Contains([]string{NamespaceVCloud, NamespaceExtension, NamespaceVersions}, space)
}

func (p *parser) end() {
	top := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	if len(top.element.Children) == 0 {
		top.element.Text = string(top.text)
	}
}

// brief keeps a stranger's word short in a message.
func brief(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// Only checks that e has no other children than those named and none of them
// twice. What every element may have is let pass: links, extensions and, in
// JSON, the attributes.
func (e *Element) Only(names ...string) error {
	seen := map[string]bool{}
	for _, c := range e.Children {
		switch {
		case passes(c.Name, e.fromJSON):
		case !slices.Contains(names, c.Name):
			return core.Errorf(core.Invalid, "element %s is not known here; %s", brief(c.Name), expected(names))
		case seen[c.Name]:
			return core.Errorf(core.Invalid, "element %s is there twice; it is allowed once", c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

func passes(name string, fromJSON bool) bool {
	switch name {
	case "Link", "VCloudExtension":
		return true
	case "Href", "Id", "Type", "Name", "OperationKey", "OtherAttributes", "_type":
		return fromJSON
	}
	return false
}

func expected(names []string) string {
	if len(names) == 0 {
		return "none is expected"
	}
	return "known are " + strings.Join(names, ", ")
}

// All returns the children of that name, which may be there any number of
// times, and refuses others.
func (e *Element) All(name string) ([]*Element, error) {
	var out []*Element
	for _, c := range e.Children {
		switch {
		case c.Name == name:
			out = append(out, c)
		case !passes(c.Name, e.fromJSON):
			return nil, core.Errorf(core.Invalid, "element %s is not known in %s; known is %s", brief(c.Name), brief(e.Name), name)
		}
	}
	return out, nil
}
