// Package records shows entities as the rows of collections. It knows the
// types of records with their attributes, reads what a query asks for (format,
// page, filter, order), chooses the rows that it means, and shows them in XML
// and JSON. The collections of the admin API and the query service share it.
package records

import (
	"strings"

	"github.com/annex-gateway/annex/core/internal/api/fiql"
)

// Type is a type of records.
type Type struct {
	Name  string // "apiFilter"
	Media string // the media type of what a record stands for, without suffix
	// Element starts the names of its elements where that is not its own name,
	// in upper case: "AdminVdc".
	Element string
	// NoReferences: such a record stands for nothing that has an address.
	NoReferences bool

	columns []column
}

// column is an attribute of a type. The value of a Name is a URN.
type column struct {
	name string
	kind fiql.Kind
}

// Root is the type's name as elements are named after it: "ApiFilter".
func (t Type) Root() string {
	if t.Element != "" {
		return t.Element
	}
	return strings.ToUpper(t.Name[:1]) + t.Name[1:]
}

// attributes are what filters may name.
func (t Type) attributes() fiql.Attributes {
	out := fiql.Attributes{"id": fiql.Name, "href": fiql.Name}
	for _, c := range t.columns {
		out[c.name] = c.kind
	}
	return out
}

func (t Type) index(name string) int {
	for i, c := range t.columns {
		if c.name == name {
			return i
		}
	}
	return -1
}

// Row is one record, of some type.
type Row struct {
	ID   string // its URN
	Name string // as references show it; may be empty
	// value gives the attribute in a column: a string, an int, a bool, or nil.
	value func(column int) any
}

// Of is how entities become records of a type.
type Of[E any] struct {
	Type
	id   func(E) string
	name func(E) string // nil: they have none
	get  []func(E) any
}

// Row is the entity as a record.
func (o Of[E]) Row(e E) Row {
	r := Row{ID: o.id(e), value: func(i int) any { return o.get[i](e) }}
	if o.name != nil {
		r.Name = o.name(e)
	}
	return r
}

// attribute is a column and where its value comes from.
type attribute[E any] struct {
	column
	get func(E) any
}

func text[E any](name string, get func(E) string) attribute[E] {
	return attribute[E]{column{name, fiql.Text}, func(e E) any { return get(e) }}
}

func number[E any](name string, get func(E) int) attribute[E] {
	return attribute[E]{column{name, fiql.Number}, func(e E) any { return get(e) }}
}

func truth[E any](name string, get func(E) bool) attribute[E] {
	return attribute[E]{column{name, fiql.Truth}, func(e E) any { return get(e) }}
}

// urn is an attribute that refers to another entity.
func urn[E any](name string, get func(E) string) attribute[E] {
	return attribute[E]{column{name, fiql.Name}, func(e E) any { return get(e) }}
}

// typeOf puts a type together. Media is without suffix; name is nil for
// entities without one.
func typeOf[E any](typ, media string, id, name func(E) string, attributes ...attribute[E]) Of[E] {
	o := Of[E]{Type: Type{Name: typ, Media: media}, id: id, name: name}
	for _, a := range attributes {
		o.columns = append(o.columns, a.column)
		o.get = append(o.get, a.get)
	}
	return o
}
