package live

import (
	"cmp"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/cow"
	"github.com/annex-gateway/annex/core/internal/match"
)

// discovery is how services make themselves found.
type discovery struct {
	links cow.Map[linkKey, []core.Link] // slices are never changed
	types cow.Map[string, int]          // how many links there are, by the type that shows them
	urns  match.URNs
}

// linkKey is where a link is shown: on all resources of a type, or on one,
// which is known by the last part of its id.
type linkKey struct{ resourceType, resource string }

// Links returns the links of enabled services that a representation of that
// media type, of the resource with that URN or bare id, shows; by service
// priority, then by id.
func (v *View) Links(mediaType, id string) []core.Link {
	t := baseType(mediaType)
	all, _ := v.discovery.links.Get(linkKey{t, ""})
	var own []core.Link
	if id != "" {
		own, _ = v.discovery.links.Get(linkKey{t, lastPart(id)})
	}
	var out []core.Link
	for _, l := range slices.Concat(all, own) {
		if e, ok := v.systems.Get(l.System); ok && e.System.Enabled && isOf(l, id) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b core.Link) int {
		x, _ := v.systems.Get(a.System)
		y, _ := v.systems.Get(b.System)
		return cmp.Or(cmp.Compare(y.System.Priority, x.System.Priority), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// HasLinks reports whether any service shows links at all.
func (v *View) HasLinks() bool { return v.discovery.links.Len() > 0 }

// ShowsLinks reports whether a service shows links on some representation of
// that media type.
func (v *View) ShowsLinks(mediaType string) bool {
	_, ok := v.discovery.types.Get(baseType(mediaType))
	return ok
}

// isOf reports whether the link is one of the resource with that id. Either
// may be a bare uuid: the type tells whose (ruling 34).
func isOf(l core.Link, id string) bool {
	return l.ResourceID == "" || core.IsUUID(l.ResourceID) || core.IsUUID(id) || strings.EqualFold(l.ResourceID, id)
}

// lastPart is what follows the last colon of a URN.
func lastPart(id string) string { return strings.ToLower(id[strings.LastIndexByte(id, ':')+1:]) }

// Resolve returns the resource classes of enabled services that the URN may
// belong to. What is no URN is Invalid.
func (v *View) Resolve(urn string) ([]match.Found, error) {
	found, err := v.discovery.urns.Find(urn)
	return slices.DeleteFunc(found, func(f match.Found) bool {
		e, ok := v.systems.Get(f.Class.System)
		return !ok || !e.System.Enabled
	}), err
}

// baseType is a media type without parameters and without the suffix that
// names its form: links are shown in XML and JSON alike.
func baseType(mediaType string) string {
	t, _, _ := strings.Cut(strings.ToLower(mediaType), ";")
	t = strings.TrimSpace(t)
	return strings.TrimSuffix(strings.TrimSuffix(t, "+xml"), "+json")
}

func keyOf(l core.Link) linkKey { return linkKey{baseType(l.ResourceType), lastPart(l.ResourceID)} }

// showLink brings a link that came, changed or went to where it is shown.
func (s *state) showLink(old, now *core.Link) {
	if old != nil {
		key := keyOf(*old)
		have, _ := s.discovery.links.Get(key)
		left := slices.DeleteFunc(slices.Clone(have), func(l core.Link) bool { return l.ID == old.ID })
		setOrDelete(&s.discovery.links, s.batch, key, left, len(left) > 0)
		s.countLinks(key.resourceType, -1)
	}
	if now != nil {
		key := keyOf(*now)
		have, _ := s.discovery.links.Get(key)
		s.discovery.links.Set(s.batch, key, append(slices.Clone(have), *now))
		s.countLinks(key.resourceType, 1)
	}
}

func (s *state) countLinks(resourceType string, more int) {
	n, _ := s.discovery.types.Get(resourceType)
	setOrDelete(&s.discovery.types, s.batch, resourceType, n+more, n+more > 0)
}

func setOrDelete[K comparable, V any](m *cow.Map[K, V], b *cow.Batch, key K, value V, keep bool) {
	if keep {
		m.Set(b, key, value)
	} else {
		m.Delete(b, key)
	}
}

// findURNs makes the URNs of a class found, and those of an old one no more.
func (s *state) findURNs(old, now *core.ResourceClass) {
	if old != nil {
		s.discovery.urns.Delete(s.batch, *old)
	}
	if now != nil {
		s.discovery.urns.Set(s.batch, *now)
	}
}
