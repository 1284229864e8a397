package core

import (
	"iter"
	"maps"
	"net/http"
	"net/textproto"
	"reflect"
	"slices"
)

// Header is a set of HTTP header fields that never changes: whatever edits it
// returns another one. Two messages may share one Header without a lock. The
// zero Header is empty.
type Header struct{ fields http.Header }

// HeaderOf takes over h, whose names must be canonical; the caller must not
// change h afterwards.
func HeaderOf(h http.Header) Header { return Header{h} }

// NewHeader makes a Header of names and values in turn.
func NewHeader(pairs ...string) Header {
	h := make(http.Header, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return Header{h}
}

// Get returns the first value of name, or "".
func (h Header) Get(name string) string { return h.fields.Get(name) }

// Values returns a copy of all values of name.
func (h Header) Values(name string) []string { return slices.Clone(h.fields.Values(name)) }

// Peek returns the values of a field whose name is canonical already, without
// a copy. They are not to be changed.
func (h Header) Peek(canonical string) []string {
	v := h.fields[canonical]
	return v[:len(v):len(v)]
}

// Has reports whether there is a field of that name.
func (h Header) Has(name string) bool {
	_, ok := h.fields[textproto.CanonicalMIMEHeaderKey(name)]
	return ok
}

// Len is the number of distinct names.
func (h Header) Len() int { return len(h.fields) }

// All yields every name and value, names in no particular order, the values
// of one name in theirs.
func (h Header) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for name, values := range h.fields {
			for _, v := range values {
				if !yield(name, v) {
					return
				}
			}
		}
	}
}

// AddTo adds the fields to h, but those whose name drop reports.
func (h Header) AddTo(to http.Header, drop func(name string) bool) {
	for name, values := range h.fields {
		if drop(name) {
			continue
		}
		if to[name] == nil {
			to[name] = values[:len(values):len(values)] // shared: whoever appends makes a copy
			continue
		}
		to[name] = append(to[name], values...)
	}
}

// Copy returns the fields as a map of the caller's own, never nil. The values
// are shared: whoever appends to them must copy them.
func (h Header) Copy() http.Header {
	if h.fields == nil {
		return http.Header{}
	}
	return maps.Clone(h.fields)
}

// Names returns the names, sorted.
func (h Header) Names() []string { return slices.Sorted(maps.Keys(h.fields)) }

// Equal reports whether both have the same names with the same values.
func (h Header) Equal(o Header) bool {
	return h.same(o) || maps.EqualFunc(h.fields, o.fields, slices.Equal)
}

// same reports whether both are one.
func (h Header) same(o Header) bool {
	return reflect.ValueOf(h.fields).UnsafePointer() == reflect.ValueOf(o.fields).UnsafePointer()
}

// Clone returns the fields as a map of the caller's own, never nil.
func (h Header) Clone() http.Header {
	if h.fields == nil {
		return http.Header{}
	}
	return h.fields.Clone()
}

// Edit returns the Header that f leaves behind after changing a copy.
func (h Header) Edit(f func(http.Header)) Header {
	c := h.Clone()
	f(c)
	return Header{c}
}

// With returns h with name set to the one value.
func (h Header) With(name, value string) Header {
	m := h.Copy()
	m.Set(name, value)
	return Header{m}
}

// Without returns h without the names. It is h itself when it has none of them.
func (h Header) Without(names ...string) Header {
	if !slices.ContainsFunc(names, h.Has) {
		return h
	}
	m := h.Copy()
	for _, n := range names {
		m.Del(n)
	}
	return Header{m}
}
