package match

import (
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core/internal/pattern"
)

// urls indexes the rules of one stage and scope: by the literal that their
// matches start with, then by the one that they end with, then by one in
// between. A rule stands once for each top-level alternative of its pattern.
// The index is never changed; nil is empty.
type urls = radix[*bucket]

// bucket holds the rules of one prefix.
type bucket struct{ suffixes *radix[*group] }

// group holds the rules of one prefix and suffix: those without a literal in
// between, and the others by that literal.
type group struct {
	plain  entries
	inners *radix[*innerRules]
}

type innerRules struct{ entries entries }

// places says where in the index a rule stands: one place for each alternative
// of its pattern. An alternative that is nothing but empty has none, because
// an empty path never reaches the index.
func places(p *pattern.Pattern) []pattern.Literals {
	alternatives := p.Alternatives()
	if len(alternatives) == 1 {
		return alternatives
	}
	all := make([]pattern.Literals, 0, len(alternatives))
	for _, l := range alternatives {
		if !l.Empty && !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	return all
}

// change applies f to the list of entries at one place of the index.
func change(u *urls, l pattern.Literals, f func(entries) entries) *urls {
	return u.update(forward, l.Prefix, func(b *bucket) *bucket {
		if b == nil {
			b = &bucket{}
		}
		suffixes := b.suffixes.update(backward, l.Suffix, func(g *group) *group {
			return g.change(l.Inner, f)
		})
		if suffixes == nil {
			return nil
		}
		return &bucket{suffixes}
	})
}

func (g *group) change(inner string, f func(entries) entries) *group {
	if g == nil {
		g = &group{}
	}
	changed := *g
	if inner == "" {
		changed.plain = f(g.plain)
	} else {
		changed.inners = g.inners.update(forward, inner, func(r *innerRules) *innerRules {
			var es entries
			if r != nil {
				es = r.entries
			}
			if es = f(es); len(es) == 0 {
				return nil
			}
			return &innerRules{es}
		})
	}
	if len(changed.plain) == 0 && changed.inners == nil {
		return nil
	}
	return &changed
}

// lookup appends the hits of path, in no order; a rule that stands at several
// places may come several times.
func lookup(u *urls, hits []Hit, path string) ([]Hit, error) {
	var err error
	for n, rest := u, path; n != nil; n, rest = n.next(forward, rest) {
		if n.value == nil {
			continue
		}
		for m, left := n.value.suffixes, path; m != nil; m, left = m.next(backward, left) {
			if m.value == nil {
				continue
			}
			if hits, err = m.value.lookup(hits, path); err != nil {
				return hits, err
			}
		}
	}
	return hits, nil
}

func (g *group) lookup(hits []Hit, path string) ([]Hit, error) {
	hits, err := g.plain.try(hits, path)
	if g.inners == nil || err != nil {
		return hits, err
	}
	for at := range len(path) {
		for n, rest := g.inners.next(forward, path[at:]); n != nil; n, rest = n.next(forward, rest) {
			if n.value == nil || strings.Index(path, path[at:len(path)-len(rest)]) < at {
				continue // no rule, or met before at an earlier occurrence
			}
			if hits, err = n.value.entries.try(hits, path); err != nil {
				return hits, err
			}
		}
	}
	return hits, nil
}
