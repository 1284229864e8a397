package live

import (
	"cmp"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/cow"
	"github.com/annex-gateway/annex/core/internal/match"
)

// discovery is how services make themselves found.
type discovery struct {
	links cow.Map[linkKey, []core.Link] // slices are never changed
	urns  match.URNs
}

// linkKey is where a link is shown: on all resources of a type, or on one.
type linkKey struct{ resourceType, resourceID string }

// Links returns the links of enabled services that a representation of that
// media type, of the resource with that URN, shows; by service priority, then
// by id.
func (v *View) Links(mediaType, urn string) []core.Link {
	t := baseType(mediaType)
	all, _ := v.discovery.links.Get(linkKey{t, ""})
	own, _ := v.discovery.links.Get(linkKey{t, urn})
	if urn == "" {
		own = nil
	}
	var out []core.Link
	for _, l := range slices.Concat(all, own) {
		if e, ok := v.systems.get(l.System); ok && e.System.Enabled {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b core.Link) int {
		x, _ := v.systems.get(a.System)
		y, _ := v.systems.get(b.System)
		return cmp.Or(cmp.Compare(y.System.Priority, x.System.Priority), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// HasLinks reports whether any service shows links at all.
func (v *View) HasLinks() bool { return v.discovery.links.Len() > 0 }

// Resolve returns the resource classes of enabled services that the URN may
// belong to. What is no URN is Invalid.
func (v *View) Resolve(urn string) ([]match.Found, error) {
	found, err := v.discovery.urns.Find(urn)
	return slices.DeleteFunc(found, func(f match.Found) bool {
		e, ok := v.systems.get(f.Class.System)
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

func keyOf(l core.Link) linkKey {
	id := l.ResourceID
	if core.IsUUID(id) { // ruling 34: a bare uuid is accepted; the type tells whose
		id = urnOf(baseType(l.ResourceType), id)
	}
	return linkKey{baseType(l.ResourceType), id}
}

// urnOf makes a URN of a bare uuid. Organisations are the only resources here
// whose type is not the last word of their media type.
func urnOf(base, uuid string) string {
	word := base[strings.LastIndexByte(base, '.')+1:]
	if word == "organization" {
		word = "org"
	}
	return "urn:vcloud:" + word + ":" + strings.ToLower(uuid)
}

func (s *state) applyLink(c catalog.Change) {
	if old, ok := s.links[c.ID]; ok {
		key := keyOf(old)
		have, _ := s.discovery.links.Get(key)
		left := slices.DeleteFunc(slices.Clone(have), func(l core.Link) bool { return l.ID == c.ID })
		if len(left) == 0 {
			s.discovery.links.Delete(s.cow, key)
		} else {
			s.discovery.links.Set(s.cow, key, left)
		}
		delete(s.links, c.ID)
	}
	if l := entity[core.Link](c); l != nil {
		s.links[c.ID] = *l
		have, _ := s.discovery.links.Get(keyOf(*l))
		s.discovery.links.Set(s.cow, keyOf(*l), append(slices.Clone(have), *l))
	}
}

func (s *state) applyClass(c catalog.Change) {
	if old, ok := s.classes[c.ID]; ok {
		s.discovery.urns.Delete(s.cow, old)
		delete(s.classes, c.ID)
	}
	k := entity[core.ResourceClass](c)
	if k != nil {
		s.classes[c.ID] = *k
		s.discovery.urns.Set(s.cow, *k)
	}
	s.policy.Class(c.ID, k)
}
