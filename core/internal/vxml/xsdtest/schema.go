// Package xsdtest checks documents against the schema files that the gateway
// serves: for tests of everything that writes one. It knows the part of XML
// Schema that those files use and refuses files that use more.
package xsdtest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/core/internal/vxml"
)

const (
	xs  = "http://www.w3.org/2001/XMLSchema"
	xsi = "http://www.w3.org/2001/XMLSchema-instance"
)

// schema is what the files declare: each by its name, elements and types
// apart.
type schema struct {
	elements map[name]*node
	types    map[name]*node
	spaces   map[*node]string // the target namespace of what a file declares
}

// Validate checks a document. The error says where it goes wrong.
func Validate(document []byte) error {
	s, err := load()
	if err != nil {
		return err
	}
	root, err := read(document)
	if err != nil {
		return err
	}
	e, ok := s.elements[root.name]
	if !ok {
		return fmt.Errorf("the schema has no element %s", root.name)
	}
	return s.element(root, e, root.name.local)
}

func load() (*schema, error) {
	s := &schema{elements: map[name]*node{}, types: map[name]*node{}, spaces: map[*node]string{}}
	for _, file := range []string{"master.xsd", "vmwextensions.xsd", "versions.xsd"} {
		b, ok := vxml.Schema(vxml.SchemaPath + file)
		if !ok {
			return nil, fmt.Errorf("there is no file %s", file)
		}
		root, err := read(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		space := root.attr("targetNamespace")
		s.own(root, space)
		for _, c := range root.children {
			n := name{space, c.attr("name")}
			switch c.name.local {
			case "element":
				s.elements[n] = c
			case "complexType", "simpleType":
				s.types[n] = c
			case "import":
			default:
				return nil, fmt.Errorf("%s: %s is not understood", file, c.name.local)
			}
		}
	}
	return s, nil
}

func (s *schema) own(n *node, space string) {
	s.spaces[n] = space
	for _, c := range n.children {
		s.own(c, space)
	}
}

// element checks n against its declaration.
func (s *schema) element(n, declaration *node, at string) error {
	typ := declaration.resolve(declaration.attr("type"))
	if declaration.attr("type") == "" { // declared in place
		for _, c := range declaration.children {
			return s.typed(n, c, at)
		}
		return fmt.Errorf("%s: its declaration has no type", at)
	}
	if q, ok := n.attrs[name{xsi, "type"}]; ok {
		typ = n.resolve(q)
	}
	if typ.space == xs {
		return s.leaf(n, typ.local, at)
	}
	t, ok := s.types[typ]
	if !ok {
		return fmt.Errorf("%s: there is no type %s", at, typ)
	}
	return s.typed(n, t, at)
}

func (s *schema) leaf(n *node, builtin, at string) error {
	if len(n.children) > 0 {
		return fmt.Errorf("%s: it holds text, not %s", at, n.children[0].name.local)
	}
	return basic(strings.TrimSpace(n.text), builtin, at)
}

// typed checks n against a type.
func (s *schema) typed(n, t *node, at string) error {
	if t.name.local == "simpleType" {
		if len(n.children) > 0 {
			return fmt.Errorf("%s: it holds text, not %s", at, n.children[0].name.local)
		}
		return s.simple(n.text, t, at)
	}
	if strings.TrimSpace(n.text) != "" {
		return fmt.Errorf("%s: text %q between elements", at, strings.TrimSpace(n.text))
	}
	particles, attributes, err := s.flatten(t)
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	if err := s.attributes(n, attributes, at); err != nil {
		return err
	}
	rest := n.children
	for _, p := range particles {
		if rest, err = s.particle(p, rest, at); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("%s: %s is not expected there", at, rest[0].name)
	}
	return nil
}

// flatten gives the particles and attributes of a type, those of its base
// first.
func (s *schema) flatten(t *node) (particles, attributes []*node, err error) {
	for _, c := range t.children {
		switch c.name.local {
		case "sequence", "choice":
			particles = append(particles, c)
		case "attribute":
			attributes = append(attributes, c)
		case "complexContent":
			extension := c.children[0]
			base, ok := s.types[extension.resolve(extension.attr("base"))]
			if !ok {
				return nil, nil, fmt.Errorf("there is no base type %s", extension.attr("base"))
			}
			if particles, attributes, err = s.flatten(base); err != nil {
				return nil, nil, err
			}
			p, a, err := s.flatten(extension)
			if err != nil {
				return nil, nil, err
			}
			particles, attributes = append(particles, p...), append(attributes, a...)
		default:
			return nil, nil, fmt.Errorf("%s in a type is not understood", c.name.local)
		}
	}
	return particles, attributes, nil
}

func (s *schema) attributes(n *node, declared []*node, at string) error {
	known := map[string]*node{}
	for _, d := range declared {
		known[d.attr("name")] = d
		if _, there := n.attrs[name{"", d.attr("name")}]; !there && d.attr("use") == "required" {
			return fmt.Errorf("%s: the attribute %s is missing", at, d.attr("name"))
		}
	}
	for a, value := range n.attrs {
		if a.space == xsi {
			continue
		}
		d, ok := known[a.local]
		if !ok || a.space != "" {
			return fmt.Errorf("%s: the attribute %s is not known", at, a)
		}
		if err := basic(value, d.resolve(d.attr("type")).local, at+"/@"+a.local); err != nil {
			return err
		}
	}
	return nil
}

// particle takes off the children that a part of a content model allows. The
// models are such that the next child tells which part it belongs to.
func (s *schema) particle(p *node, rest []*node, at string) ([]*node, error) {
	least, most := bounds(p)
	for i := 0; most < 0 || i < most; i++ {
		before := len(rest)
		after, err := s.once(p, rest, at)
		switch {
		case err != nil && i >= least && s.fits(p, rest) == nil:
			return rest, nil
		case err != nil:
			return nil, err
		}
		if rest = after; len(rest) == before {
			break // what is empty once stays so
		}
	}
	return rest, nil
}

// once takes off one occurrence.
func (s *schema) once(p *node, rest []*node, at string) ([]*node, error) {
	var err error
	switch p.name.local {
	case "sequence":
		for _, c := range p.children {
			if rest, err = s.particle(c, rest, at); err != nil {
				return nil, err
			}
		}
		return rest, nil
	case "choice":
		for _, c := range p.children {
			if d := s.fits(c, rest); d != nil {
				return s.once(c, rest, at)
			}
		}
		return nil, fmt.Errorf("%s: none of the choices is there", at)
	}
	d := s.fits(p, rest)
	if d == nil {
		return nil, fmt.Errorf("%s: %s is missing", at, p.attr("name")+p.attr("ref"))
	}
	return rest[1:], s.element(rest[0], d, at+"/"+rest[0].name.local)
}

// fits gives the declaration of the next child if the particle can begin with
// it.
func (s *schema) fits(p *node, rest []*node) *node {
	switch {
	case len(rest) == 0:
		return nil
	case p.name.local == "element":
		want, d := name{s.spaces[p], p.attr("name")}, p
		if ref := p.attr("ref"); ref != "" {
			want = p.resolve(ref)
			d = s.elements[want]
		}
		if rest[0].name == want {
			return d
		}
		return nil
	}
	for _, c := range p.children {
		if d := s.fits(c, rest); d != nil {
			return d
		}
	}
	return nil
}

// bounds are how often a particle may occur; a negative most is any number.
func bounds(p *node) (least, most int) {
	least, most = 1, 1
	if v := p.attr("minOccurs"); v != "" {
		least, _ = strconv.Atoi(v)
	}
	switch v := p.attr("maxOccurs"); v {
	case "":
	case "unbounded":
		most = -1
	default:
		most, _ = strconv.Atoi(v)
	}
	return least, most
}
