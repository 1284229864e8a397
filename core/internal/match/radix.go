package match

import (
	"slices"
	"strings"
)

// radix is a tree of strings to values that is never changed: an update gives
// a new tree, which shares all but one path with the old one. A tree with back
// set reads its keys from their ends, so that it finds suffixes instead of
// prefixes. The zero V is no value.
type radix[V comparable] struct {
	label    string // the part of the key between the parent and this node
	value    V
	children []*radix[V] // sorted by the byte at which their labels start
}

// direction tells at which end of the keys a tree begins.
type direction bool

const (
	forward  direction = false
	backward direction = true
)

func (d direction) first(s string) byte {
	if d == backward {
		return s[len(s)-1]
	}
	return s[0]
}

// starts reports whether s begins with label, seen in this direction.
func (d direction) starts(s, label string) bool {
	if d == backward {
		return strings.HasSuffix(s, label)
	}
	return strings.HasPrefix(s, label)
}

// drop removes n bytes from the beginning of s; keep keeps only those.
func (d direction) drop(s string, n int) string {
	if d == backward {
		return s[:len(s)-n]
	}
	return s[n:]
}

func (d direction) keep(s string, n int) string {
	if d == backward {
		return s[len(s)-n:]
	}
	return s[:n]
}

// common counts the bytes with which both strings begin.
func (d direction) common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && d.first(d.drop(a, n)) == d.first(d.drop(b, n)) {
		n++
	}
	return n
}

// find gives the place of the child that starts with c.
func (n *radix[V]) find(d direction, c byte) (int, bool) {
	lo, hi := 0, len(n.children)
	for lo < hi {
		mid := (lo + hi) / 2
		if d.first(n.children[mid].label) < c {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(n.children) && d.first(n.children[lo].label) == c
}

// next gives the child on the way to s, and what of s is left behind it.
func (n *radix[V]) next(d direction, s string) (*radix[V], string) {
	if s == "" {
		return nil, ""
	}
	i, ok := n.find(d, d.first(s))
	if !ok || !d.starts(s, n.children[i].label) {
		return nil, ""
	}
	return n.children[i], d.drop(s, len(n.children[i].label))
}

// get gives the value of exactly key in a forward tree.
func (n *radix[V]) get(key string) (v V) {
	for n != nil {
		if key == "" {
			return n.value
		}
		n, key = n.next(forward, key)
	}
	return v
}

// update gives a tree in which the value of key is what change makes of it.
// It gives nil when no value is left.
func (n *radix[V]) update(d direction, key string, change func(V) V) *radix[V] {
	var none V
	if n == nil {
		if v := change(none); v != none {
			return (&radix[V]{}).grow(d, key, v)
		}
		return nil
	}
	if key == "" {
		return n.with(n.label, change(n.value), n.children).trimmed(d)
	}
	i, ok := n.find(d, d.first(key))
	if !ok {
		v := change(none)
		if v == none {
			return n
		}
		return n.with(n.label, n.value, slices.Insert(slices.Clone(n.children), i, &radix[V]{label: key, value: v}))
	}
	child := n.children[i]
	var grown *radix[V]
	if shared := d.common(key, child.label); shared == len(child.label) {
		grown = child.update(d, d.drop(key, shared), change)
	} else {
		v := change(none)
		if v == none {
			return n
		}
		fork := &radix[V]{label: d.keep(child.label, shared)}
		fork.children = []*radix[V]{child.with(d.drop(child.label, shared), child.value, child.children)}
		grown = fork.grow(d, d.drop(key, shared), v)
	}
	switch grown {
	case child:
		return n
	case nil:
		return n.with(n.label, n.value, slices.Delete(slices.Clone(n.children), i, i+1)).trimmed(d)
	}
	children := slices.Clone(n.children)
	children[i] = grown
	return n.with(n.label, n.value, children)
}

// grow sets the value of a key that is not yet below n, which nobody else has.
func (n *radix[V]) grow(d direction, key string, v V) *radix[V] {
	if key == "" {
		n.value = v
		return n
	}
	i, _ := n.find(d, d.first(key))
	n.children = slices.Insert(n.children, i, &radix[V]{label: key, value: v})
	return n
}

func (n *radix[V]) with(label string, v V, children []*radix[V]) *radix[V] {
	return &radix[V]{label: label, value: v, children: children}
}

// trimmed gives nil for a node that leads nowhere, and joins one that only
// leads on with its child. The root, which has no label, stays.
func (n *radix[V]) trimmed(d direction) *radix[V] {
	var none V
	switch {
	case n.value != none:
		return n
	case len(n.children) == 0:
		return nil
	case len(n.children) > 1 || n.label == "":
		return n
	}
	child := n.children[0]
	label := n.label + child.label
	if d == backward {
		label = child.label + n.label
	}
	return n.with(label, child.value, child.children)
}
