package vxml

import (
	"bytes"
	"encoding/xml"
	"slices"
)

const indent = "    "

// EncodeXML gives the document whose root is e. The default namespace is
// vcloud, or versions when the root is of it; the extension namespace has the
// prefix vmext.
func EncodeXML(e *Element) []byte {
	w := writer{defaultSpace: NamespaceVCloud}
	if e.Space == NamespaceVersions {
		w.defaultSpace = NamespaceVersions
	}
	w.WriteString(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n")
	w.element(e, 0)
	return w.Bytes()
}

type writer struct {
	bytes.Buffer
	defaultSpace string
}

func (w *writer) element(e *Element, depth int) {
	name := e.Name
	if e.Space == NamespaceExtension {
		name = "vmext:" + name
	}
	w.WriteString("<" + name)
	if depth == 0 {
		w.attr("xmlns", w.defaultSpace)
		if uses(e, NamespaceExtension) {
			w.attr("xmlns:vmext", NamespaceExtension)
		}
		if typed(e) {
			w.attr("xmlns:vcloud", NamespaceVCloud)
			w.attr("xmlns:xsi", namespaceInstance)
		}
	}
	for _, a := range e.Attrs {
		w.attr(a.Name, a.Value)
	}
	if e.Text == "" && len(e.Children) == 0 {
		w.WriteString("/>\n")
		return
	}
	w.WriteByte('>')
	if len(e.Children) == 0 {
		w.escape(e.Text)
	} else {
		w.WriteByte('\n')
		for _, c := range e.Children {
			w.indent(depth + 1)
			w.element(c, depth+1)
		}
		w.indent(depth)
	}
	w.WriteString("</" + name + ">\n")
}

func (w *writer) attr(name, value string) {
	w.WriteString(" " + name + `="`)
	w.escape(value)
	w.WriteByte('"')
}

// escape never fails: the buffer takes everything.
func (w *writer) escape(s string) { _ = xml.EscapeText(&w.Buffer, []byte(s)) }

func (w *writer) indent(depth int) {
	for range depth {
		w.WriteString(indent)
	}
}

func uses(e *Element, space string) bool {
	if e.Space == space {
		return true
	}
	for _, c := range e.Children {
		if uses(c, space) {
			return true
		}
	}
	return false
}

// typed reports whether an element names its type.
func typed(e *Element) bool {
	return slices.ContainsFunc(e.Attrs, func(a Attr) bool { return a.Name == typeAttr }) ||
		slices.ContainsFunc(e.Children, typed)
}
