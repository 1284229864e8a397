package live

import (
	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/cow"
)

// Registered is what services registered beside their filters, by id, as of
// one moment.
type Registered struct {
	Links       cow.Map[string, core.Link]
	Classes     cow.Map[string, core.ResourceClass]
	Actions     cow.Map[string, core.ResourceClassAction]
	Resources   cow.Map[string, core.ServiceResource]
	Rules       cow.Map[string, core.ACLRule]
	Definitions cow.Map[string, core.APIDefinition]
	Files       cow.Map[string, core.FileDescriptor]

	services cow.Map[string, string] // id in the catalog, by uuid
}

// Service returns the external service with that uuid, enabled or not.
func (v *View) Service(uuid string) (core.System, bool) {
	id, ok := v.Registered.services.Get(uuid)
	if !ok {
		return core.System{}, false
	}
	e, ok := v.systems.Get(id)
	if !ok {
		return core.System{}, false
	}
	return e.System, true
}

// Services calls f with every external service, in no order.
func (v *View) Services(f func(core.System)) {
	for _, id := range v.Registered.services.All() {
		if e, ok := v.systems.Get(id); ok {
			f(e.System)
		}
	}
}

// Filters calls f with every filter, in no order.
func (v *View) Filters(f func(core.Filter)) {
	for _, c := range v.filters.All() {
		f(c.filter)
	}
}

// Filter returns the filter with that id.
func (v *View) Filter(id string) (core.Filter, bool) {
	c, ok := v.filters.Get(id)
	return c.filter, ok
}

// take brings a map up to date, and gives what was there before.
func take[E any](m *cow.Map[string, E], b *cow.Batch, c catalog.Change) (old, now *E) {
	if e, ok := m.Get(c.ID); ok {
		old = &e
	}
	if now = entity[E](c); now != nil {
		m.Set(b, c.ID, *now)
	} else {
		m.Delete(b, c.ID)
	}
	return old, now
}

// applyRegistered takes in a change of what services registered.
func (s *state) applyRegistered(c catalog.Change) {
	r := &s.registered
	switch c.Table {
	case "class":
		old, now := take(&r.Classes, s.batch, c)
		s.findURNs(old, now)
		s.policy.Class(c.ID, now)
	case "link":
		s.showLink(take(&r.Links, s.batch, c))
	case "action":
		_, now := take(&r.Actions, s.batch, c)
		s.policy.Action(c.ID, now)
	case "resource":
		_, now := take(&r.Resources, s.batch, c)
		s.policy.Resource(c.ID, now)
	case "rule":
		_, now := take(&r.Rules, s.batch, c)
		s.policy.Rule(c.ID, now)
	case "definition":
		take(&r.Definitions, s.batch, c)
	case "file":
		take(&r.Files, s.batch, c)
	}
}

// applySystem takes in a system that came, changed or went.
func (s *state) applySystem(c catalog.Change) {
	s.stale[c.ID], s.gone[c.ID] = true, true
	sys := entity[core.System](c)
	if sys == nil {
		s.systems.Delete(s.batch, c.ID)
		s.registered.services.Delete(s.batch, core.System{ID: c.ID}.UUID())
		return
	}
	s.systems.Set(s.batch, c.ID, &Entry{System: *sys})
	if !sys.IsEndpoint() {
		s.registered.services.Set(s.batch, sys.UUID(), sys.ID)
	}
}
