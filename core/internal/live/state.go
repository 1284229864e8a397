package live

import (
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/access"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/cow"
	"github.com/annex-gateway/annex/core/internal/match"
	"github.com/annex-gateway/annex/storage"
)

// state is what views are made of, and what only the follower needs.
type state struct {
	batch *cow.Batch // of the changes since the last view

	systems cow.Map[string, *Entry]
	table   match.Table // filters of enabled systems only
	dir     Directory
	trust   *trust

	policy     *access.Compiler
	registered Registered
	discovery  discovery
	filters    cow.Map[string, compiled]      // all, by id
	owned      map[string]map[string]struct{} // system id → ids of its filters
	placed     map[string]bool                // systems whose filters are in the table
	whole      bool                           // a view was taken: systems are known before their filters
	leases     map[string]*opened             // by system id
	retired    []*opened                      // to be shut once the next view is out

	stale map[string]bool // systems that a change touched since the last view
	gone  map[string]bool // systems whose sessions must be looked at
}

// compiled is a filter and what became of it.
type compiled struct {
	filter core.Filter
	rule   match.Rule
}

func newState() *state {
	return &state{
		policy: access.NewCompiler(),
		batch:  new(cow.Batch),
		dir:    Directory{people: &people{}, keys: map[string]core.SigningKey{}},
		trust:  new(trust),
		owned:  map[string]map[string]struct{}{}, placed: map[string]bool{},
		leases: map[string]*opened{}, stale: map[string]bool{}, gone: map[string]bool{},
	}
}

// view takes the picture and starts the next batch.
func (s *state) view(r storage.Revision) *View {
	d := s.dir
	s.batch, s.whole = new(cow.Batch), true
	return &View{
		Registered: s.registered, discovery: s.discovery, filters: s.filters, Revision: r, Directory: &d, Policy: s.policy.Policy(), systems: s.systems, table: s.table, trust: s.trust,
	}
}

// apply takes in one change and notes which systems it touches.
func (s *state) apply(c catalog.Change) {
	switch c.Table {
	case "system":
		s.applySystem(c)
	case "filter":
		s.applyFilter(c)
	case "token":
		s.applyToken(c)
	case "session":
		s.applySession(c)
	case "key":
		s.dir.keys = changed(s.dir.keys, c, func(k core.SigningKey) (string, string) { return k.ID, k.ID })
	case "issuer":
		s.dir.issuers = changed(s.dir.issuers, c, func(i core.Issuer) (string, string) { return i.ID, i.URL })
	case "certificate":
		s.trust = s.trust.with(c)
	case "class", "link", "action", "resource", "rule", "definition", "file":
		s.applyRegistered(c)
	case "org", "user", "role", "right":
		s.applyPeople(c)
	}
}

func (s *state) applySession(c catalog.Change) {
	if c.Entity == nil {
		s.dir.sessions.Delete(s.batch, c.ID)
		return
	}
	s.dir.sessions.Set(s.batch, c.ID, c.Entity.(core.Session))
}

// entity is what a change brought, nil when the entity went.
func entity[E any](c catalog.Change) *E {
	if c.Entity == nil {
		return nil
	}
	e := c.Entity.(E)
	return &e
}

// changed returns a copy of a small map with one entity changed or gone. names
// gives the entity's id and its key in the map.
func changed[E any](m map[string]E, c catalog.Change, names func(E) (id, key string)) map[string]E {
	out := make(map[string]E, len(m)+1)
	for key, e := range m {
		if id, _ := names(e); id != c.ID {
			out[key] = e
		}
	}
	if c.Entity != nil {
		e := c.Entity.(E)
		_, key := names(e)
		out[key] = e
	}
	return out
}

func (s *state) applyFilter(c catalog.Change) {
	if old, ok := s.filters.Get(c.ID); ok {
		system := old.filter.System
		if s.placed[system] {
			s.table = s.table.Without(old.filter)
		}
		s.filters.Delete(s.batch, c.ID)
		delete(s.owned[system], c.ID)
	}
	if c.Entity == nil {
		return
	}
	f := c.Entity.(core.Filter)
	rule, err := match.Compile(f, strings.HasPrefix(f.System, core.EndpointPrefix))
	if err != nil {
		// Registration has refused such patterns; one that a newer program
		// wrote must not match anything here.
		return
	}
	s.filters.Set(s.batch, c.ID, compiled{f, rule})
	if s.owned[f.System] == nil {
		s.owned[f.System] = map[string]struct{}{}
	}
	s.owned[f.System][c.ID] = struct{}{}
	if !s.whole {
		// A snapshot tells of filters first. Most systems are enabled: their
		// filters find their places while the rest is still read, and those of
		// the others leave again before the view is taken.
		s.placed[f.System], s.stale[f.System] = true, true
	}
	if s.placed[f.System] {
		s.table = s.table.With(rule)
	}
}

// place brings the filters of a system into the table if it is enabled, and
// out of it if not.
func (s *state) place(system string) {
	e, ok := s.systems.Get(system)
	in := ok && e.System.Enabled
	if in == s.placed[system] {
		return
	}
	for id := range s.owned[system] {
		if f, _ := s.filters.Get(id); in {
			s.table = s.table.With(f.rule)
		} else {
			s.table = s.table.Without(f.filter)
		}
	}
	s.placed[system] = in
	if !ok {
		delete(s.placed, system)
	}
	if !ok && s.whole {
		delete(s.owned, system)
	}
}

// touchAll marks every system, and every connection whose system is gone.
func (s *state) touchAll() {
	for id := range s.systems.All() {
		s.stale[id], s.gone[id] = true, true
	}
	for id := range s.leases {
		s.stale[id], s.gone[id] = true, true
	}
}

func (s *state) applyToken(c catalog.Change) {
	if old, ok := s.dir.tokens.Get(c.ID); ok {
		s.dir.tokens.Delete(s.batch, c.ID)
		s.dir.bySecret.Delete(s.batch, string(old.SecretHash))
		if old.System != "" {
			s.gone[old.System] = true
		}
	}
	if c.Entity != nil {
		t := c.Entity.(core.Token)
		s.dir.tokens.Set(s.batch, c.ID, t)
		s.dir.bySecret.Set(s.batch, string(t.SecretHash), c.ID)
	}
}

// revocation ends sessions of a system but those whose credential keep
// accepts.
type revocation struct {
	system string
	keep   func(credentialID string) bool
}

// revocations tells, once, which sessions must end: of systems that are
// disabled, gone, or whose token is.
func (s *state) revocations() []revocation {
	var out []revocation
	tokens := s.dir.tokens
	for id := range s.gone {
		r := revocation{system: id}
		if e, ok := s.systems.Get(id); ok && e.System.Enabled {
			r.keep = func(token string) bool { _, ok := tokens.Get(token); return ok }
		}
		out = append(out, r)
	}
	clear(s.gone)
	return out
}
