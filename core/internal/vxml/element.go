// Package vxml speaks the forms of the XML API that the vcloud admin API and
// the native API share: elements with their JSON twin, media types with a
// version, and errors. It writes strictly and reads liberally.
package vxml

import (
	"strconv"
	"strings"
)

// The namespaces.
const (
	NamespaceVCloud    = "http://www.vmware.com/vcloud/v1.5"
	NamespaceExtension = "http://www.vmware.com/vcloud/extension/v1.5"
	NamespaceVersions  = "http://www.vmware.com/vcloud/versions"

	namespaceInstance = "http://www.w3.org/2001/XMLSchema-instance"
)

// Element is an XML element, or what stands for it in JSON. The order of
// children is the order of the schema, and the business of whoever builds it.
// An element holds text or children, not both. Elements that were read have no
// namespace: clients put children into wrong ones, so only local names count.
type Element struct {
	Space    string
	Name     string
	Attrs    []Attr
	Text     string
	Children []*Element

	literal  bool     // Text is a number or a boolean
	list     string   // the JSON array that gathers elements like this one
	jsonType string   // the _type member, in JSON only
	lists    []string // arrays that JSON shows even when they are empty
	fromJSON bool     // attributes and children could not be told apart
}

// Attr is an attribute without a namespace.
type Attr struct {
	Name, Value string
	literal     bool
}

// VCloud makes an element of the vcloud namespace.
func VCloud(name string) *Element { return &Element{Space: NamespaceVCloud, Name: name} }

// Extension makes an element of the extension namespace.
func Extension(name string) *Element { return &Element{Space: NamespaceExtension, Name: name} }

// Versions makes an element of the versions namespace.
func Versions(name string) *Element { return &Element{Space: NamespaceVersions, Name: name} }

// Set gives e an attribute, unless the value is empty.
func (e *Element) Set(name, value string) *Element {
	if value != "" {
		e.Attrs = append(e.Attrs, Attr{Name: name, Value: value})
	}
	return e
}

// SetInt gives e an attribute that is a number.
func (e *Element) SetInt(name string, n int) *Element {
	e.Attrs = append(e.Attrs, Attr{name, strconv.Itoa(n), true})
	return e
}

// SetBool gives e an attribute that is a boolean.
func (e *Element) SetBool(name string, b bool) *Element {
	e.Attrs = append(e.Attrs, Attr{name, strconv.FormatBool(b), true})
	return e
}

// Add appends children to e.
func (e *Element) Add(children ...*Element) *Element {
	e.Children = append(e.Children, children...)
	return e
}

// Leaf appends a child of e's namespace that holds text, unless it is empty.
func (e *Element) Leaf(name, text string) *Element {
	if text == "" {
		return e
	}
	return e.Add(&Element{Space: e.Space, Name: name, Text: text})
}

// LeafInt appends a child of e's namespace that holds a number.
func (e *Element) LeafInt(name string, n int) *Element {
	return e.Add(&Element{Space: e.Space, Name: name, Text: strconv.Itoa(n), literal: true})
}

// LeafBool appends a child of e's namespace that holds a boolean.
func (e *Element) LeafBool(name string, b bool) *Element {
	return e.Add(&Element{Space: e.Space, Name: name, Text: strconv.FormatBool(b), literal: true})
}

// Description appends the description that entities of every namespace have
// in the vcloud one, unless it is empty.
func (e *Element) Description(text string) *Element {
	if text == "" {
		return e
	}
	return e.Add(&Element{Space: NamespaceVCloud, Name: "Description", Text: text})
}

// InList says that JSON gathers e and its likes in an array of that name. A
// non-empty typ tells them apart there.
func (e *Element) InList(member, typ string) *Element {
	e.list, e.jsonType = member, typ
	return e
}

// Lists says which arrays JSON shows even when nothing is in them.
func (e *Element) Lists(members ...string) *Element {
	e.lists = append(e.lists, members...)
	return e
}

// Is reports whether an element that was read has that name. The root of a
// JSON body has none and is whatever is asked for.
func (e *Element) Is(name string) bool { return e.Name == name || e.fromJSON && e.Name == "" }

// Attr returns the value of the attribute, or "".
func (e *Element) Attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name == name {
			return a.Value
		}
	}
	if e.fromJSON {
		return e.Value(upperFirst(name))
	}
	return ""
}

// Child returns the first child of that name, or nil.
func (e *Element) Child(name string) *Element {
	for _, c := range e.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Value returns the text of the first child of that name without outer white
// space, or "".
func (e *Element) Value(name string) string {
	if c := e.Child(name); c != nil {
		return strings.TrimSpace(c.Text)
	}
	return ""
}

// SetText gives e its text.
func (e *Element) SetText(text string) *Element {
	e.Text = text
	return e
}

// Typed says of which type of the vcloud schema e is, where the schema leaves
// that open.
func (e *Element) Typed(name string) *Element {
	e.Attrs = append(e.Attrs, Attr{Name: typeAttr, Value: "vcloud:" + name})
	e.jsonType = name
	return e
}

// typeAttr is written in XML only.
const typeAttr = "xsi:type"

// Link makes the link that leads to href. Type and name may be empty.
func Link(rel, href, typ, name string) *Element {
	return VCloud("Link").Set("rel", rel).Set("href", href).Set("type", typ).Set("name", name).InList("link", "")
}

// Links makes the two links that lead to href: one for each form of the media
// type, which is given without "+xml".
func Links(rel, href, media, name string) []*Element {
	return []*Element{Link(rel, href, media+"+xml", name), Link(rel, href, media+"+json", name)}
}
