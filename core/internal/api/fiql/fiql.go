// Package fiql reads the filter expressions of collections, such as
// "vendor==acme;(name==a*,enabled==true)", and tells which objects they mean.
package fiql

import (
	"cmp"
	"strings"
)

// Kind is the type of an attribute's values.
type Kind int

// The kinds.
const (
	Text   Kind = iota // string
	Number             // int
	Truth              // bool
	// Name is a string that names an entity: its URN, its bare uuid and an
	// address that ends in one of them are the same.
	Name
)

// Attributes are those that expressions may name, by their dotted paths.
type Attributes map[string]Kind

// Filter is a parsed expression. The nil Filter matches everything. It never
// changes.
type Filter struct{ root node }

// Match reports whether an object matches. value gives its attributes: a
// string, an int or a bool according to the attribute's Kind, or nil where the
// object has none. Nil is the empty text, is no number and no truth, and is
// neither less nor greater than anything.
func (f *Filter) Match(value func(attribute string) any) bool {
	return f == nil || f.root.match(value)
}

type node interface {
	match(value func(string) any) bool
}

// both is the nodes between semicolons.
type both []node

func (n both) match(value func(string) any) bool {
	for _, k := range n {
		if !k.match(value) {
			return false
		}
	}
	return true
}

// either is the nodes between commas.
type either []node

func (n either) match(value func(string) any) bool {
	for _, k := range n {
		if k.match(value) {
			return true
		}
	}
	return false
}

// constraint is one comparison.
type constraint struct {
	attribute string
	op        operator
	kind      Kind
	text      string // without the wildcards at its ends
	head      bool   // a wildcard was in front of it
	tail      bool   // a wildcard was behind it
	number    int
	truth     bool
}

func (c constraint) match(value func(string) any) bool {
	v := value(c.attribute)
	switch c.op {
	case equal:
		return c.equals(v)
	case unequal:
		return !c.equals(v)
	}
	order, ok := c.compare(v)
	switch c.op {
	case less:
		return ok && order < 0
	case atMost:
		return ok && order <= 0
	case greater:
		return ok && order > 0
	default:
		return ok && order >= 0
	}
}

func (c constraint) equals(v any) bool {
	switch c.kind {
	case Number:
		n, ok := v.(int)
		return ok && n == c.number
	case Truth:
		b, ok := v.(bool)
		return ok && b == c.truth
	}
	s, _ := v.(string)
	switch {
	case c.kind == Name && !c.head && !c.tail:
		return strings.EqualFold(lastWord(s), lastWord(c.text))
	case c.head && c.tail:
		return strings.Contains(s, c.text)
	case c.head:
		return strings.HasSuffix(s, c.text)
	case c.tail:
		return strings.HasPrefix(s, c.text)
	}
	return s == c.text
}

// compare orders the object's value against the constraint's.
func (c constraint) compare(v any) (order int, ok bool) {
	switch v := v.(type) {
	case string:
		return strings.Compare(v, c.text), c.kind == Text || c.kind == Name
	case int:
		return cmp.Compare(v, c.number), c.kind == Number
	}
	return 0, false
}

// lastWord is what tells an entity from all others of its type.
func lastWord(name string) string {
	return name[strings.LastIndexAny(name, ":/")+1:]
}
