package live

import (
	"cmp"
	"context"
	"slices"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/access"
	"github.com/annex-gateway/annex/core/internal/cow"
	"github.com/annex-gateway/annex/core/internal/match"
	"github.com/annex-gateway/annex/storage"
)

// View is one picture of everything registered: filters, systems with their
// connections, and people, that belong together. It never changes; a call
// keeps the one that it started with.
type View struct {
	Revision  storage.Revision
	Directory *Directory
	Policy    *access.Policy
	// Registered is what services registered beside their filters.
	Registered Registered

	discovery discovery
	filters   cow.Map[string, compiled] // all, of enabled systems or not
	systems   cow.Map[string, *Entry]
	table     match.Table // filters of enabled systems only
	trust     *trust
}

// Stop is a place where a call halts: a system, and the filter that says so.
type Stop struct {
	Entry  *Entry
	Filter *core.Filter
	Offset int // where the tail of an endpoint's pattern starts in the path; -1 for none
}

// ByURL returns the enabled systems whose filters of that stage and scope
// match the path, each once, most important first.
func (v *View) ByURL(stage core.Stage, scope core.Scope, path string) ([]Stop, error) {
	var room [8]match.Hit
	hits, err := v.table.ByURL(room[:0], stage, scope, path)
	if err != nil || len(hits) == 0 {
		return nil, err
	}
	return v.stops(hits), nil
}

// ByContentType returns the enabled systems whose filters of that stage match
// the content type of a response, each once, most important first.
func (v *View) ByContentType(stage core.Stage, contentType string) []Stop {
	var room [8]match.Hit
	hits := v.table.ByContentType(room[:0], stage, contentType)
	if len(hits) == 0 {
		return nil
	}
	return v.stops(hits)
}

// stops keeps one hit of every system, the one whose pattern leaves the
// shortest tail, and sorts by priority and then by id.
func (v *View) stops(hits []match.Hit) []Stop {
	stops := make([]Stop, 0, len(hits))
	for _, h := range hits {
		e, ok := v.systems.Get(h.Filter.System)
		if !ok {
			continue
		}
		i := slices.IndexFunc(stops, func(s Stop) bool { return s.Entry == e })
		switch {
		case i < 0:
			stops = append(stops, Stop{e, h.Filter, h.Offset})
		case h.Offset > stops[i].Offset:
			stops[i].Filter, stops[i].Offset = h.Filter, h.Offset
		}
	}
	slices.SortFunc(stops, func(a, b Stop) int {
		return cmp.Or(cmp.Compare(b.Entry.System.Priority, a.Entry.System.Priority), cmp.Compare(a.Entry.System.ID, b.Entry.System.ID))
	})
	return stops
}

// System returns the system with that id, enabled or not.
func (v *View) System(id string) (*Entry, bool) { return v.systems.Get(id) }

// Counts tells how many systems there are, and how many filters of enabled
// ones.
func (v *View) Counts() (systems, filters int) { return v.systems.Len(), v.table.Len() }

// Entries calls f with every system, in no order.
func (v *View) Entries(f func(*Entry)) {
	for _, e := range v.systems.All() {
		f(e)
	}
}

// Reopen returns the entry that stands for the same system now, for a call
// whose own view is older than a replacement.
func (l *Live) Reopen(ctx context.Context, e *Entry) (*Entry, bool) {
	now, ok := l.View().System(e.System.ID)
	return now, ok && now != e && ctx.Err() == nil
}
