package xsdtest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// name is a name in its namespace.
type name struct{ space, local string }

func (n name) String() string { return "{" + n.space + "}" + n.local }

// node is an element as it was read.
type node struct {
	name     name
	attrs    map[name]string
	text     string
	children []*node
	prefixes map[string]string // in force on this element
}

// read parses a document into its root.
func read(b []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	root := &node{prefixes: map[string]string{}}
	stack := []*node{root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			n := top.child(t)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(t)
		}
	}
	if len(root.children) != 1 {
		return nil, fmt.Errorf("%d root elements", len(root.children))
	}
	return root.children[0], nil
}

func (n *node) child(t xml.StartElement) *node {
	c := &node{name: name{t.Name.Space, t.Name.Local}, attrs: map[name]string{}, prefixes: map[string]string{}}
	for prefix, space := range n.prefixes {
		c.prefixes[prefix] = space
	}
	for _, a := range t.Attr {
		switch {
		case a.Name.Space == "xmlns":
			c.prefixes[a.Name.Local] = a.Value
		case a.Name.Local == "xmlns":
			c.prefixes[""] = a.Value
		default:
			c.attrs[name{a.Name.Space, a.Name.Local}] = a.Value
		}
	}
	n.children = append(n.children, c)
	return c
}

// attr is the value of an attribute without a namespace.
func (n *node) attr(local string) string { return n.attrs[name{"", local}] }

// resolve reads a name with a prefix.
func (n *node) resolve(q string) name {
	prefix, local, ok := strings.Cut(q, ":")
	if !ok {
		prefix, local = "", q
	}
	return name{n.prefixes[prefix], local}
}
