package native

import (
	"iter"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/query"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// kind is a type of records that can be asked for.
type kind struct {
	records.Type
	admin bool // for system administrators, and leads to what they manage
	// rows gives those whose entity keep accepts.
	rows func(q reader, keep func(any) bool) []records.Row
}

// kindOf puts a kind together. Each is called with every entity that the
// reader may see.
func kindOf[E any](of records.Of[E], admin bool, each func(q reader, f func(E))) kind {
	return kind{of.Type, admin, func(q reader, keep func(any) bool) []records.Row {
		var out []records.Row
		each(q, func(e E) {
			if keep == nil || keep(e) {
				out = append(out, of.Row(e))
			}
		})
		slices.SortFunc(out, func(a, b records.Row) int { return strings.Compare(a.ID, b.ID) })
		return out
	}}
}

// kinds are all types of records, by name.
func kinds() []kind {
	return []kind{
		kindOf(records.Rules(), true, func(q reader, f func(core.ACLRule)) { each(q.view.Registered.Rules.All(), f) }),
		kindOf(records.AdminDefinitions(), true, reader.allDefinitions),
		kindOf(records.AdminFiles(), true, reader.allFiles),
		kindOf(records.AdminVDCs(), true, reader.vdcs),
		kindOf(records.AdminServices(), true, reader.allServices),
		kindOf(records.Definitions(), false, reader.openDefinitions),
		kindOf(records.Filters(), true, reader.allFilters),
		kindOf(records.Files(), false, reader.openFiles),
		kindOf(records.Orgs(), true, func(q reader, f func(core.Org)) { each(slices.All(q.visible()), f) }),
		kindOf(records.VDCs(), false, reader.vdcs),
		kindOf(records.Classes(), true, func(q reader, f func(core.ResourceClass)) { each(q.view.Registered.Classes.All(), f) }),
		kindOf(records.Actions(), true, func(q reader, f func(core.ResourceClassAction)) { each(q.view.Registered.Actions.All(), f) }),
		kindOf(records.Rights(), true, func(q reader, f func(core.Right)) { q.view.Directory.Rights(f) }),
		kindOf(records.Services(), false, reader.openServices),
		kindOf(records.Links(), true, func(q reader, f func(core.Link)) { each(q.view.Registered.Links.All(), f) }),
		kindOf(records.Resources(), true, func(q reader, f func(core.ServiceResource)) { each(q.view.Registered.Resources.All(), f) }),
	}
}

func each[K, E any](all iter.Seq2[K, E], f func(E)) {
	for _, e := range all {
		f(e)
	}
}

func (q reader) vdcs(f func(records.VDC)) {
	for _, o := range q.visible() {
		f(records.VDC{Org: o})
	}
}

func (q reader) allServices(f func(core.System)) {
	q.view.Services(f)
}

func (q reader) openServices(f func(core.System)) {
	q.view.Services(func(s core.System) {
		if s.Enabled {
			f(s)
		}
	})
}

// allFilters are those of services: endpoints have theirs in the JSON API.
func (q reader) allFilters(f func(core.Filter)) {
	q.view.Filters(func(x core.Filter) {
		if strings.HasPrefix(x.System, core.ServicePrefix) {
			f(x)
		}
	})
}

func (q reader) allDefinitions(f func(records.Definition)) {
	for _, d := range q.view.Registered.Definitions.All() {
		if e, ok := q.view.System(d.System); ok {
			f(records.Definition{APIDefinition: d, Service: e.System, Base: q.base})
		}
	}
}

func (q reader) openDefinitions(f func(records.Definition)) {
	q.allDefinitions(func(d records.Definition) {
		if d.Service.Enabled {
			f(d)
		}
	})
}

func (q reader) allFiles(f func(records.File)) {
	for _, x := range q.view.Registered.Files.All() {
		d, ok := q.view.Registered.Definitions.Get(x.Definition)
		if e, there := q.view.System(d.System); ok && there {
			f(records.File{FileDescriptor: x, API: records.Definition{APIDefinition: d, Service: e.System, Base: q.base}})
		}
	}
}

func (q reader) openFiles(f func(records.File)) {
	q.allFiles(func(x records.File) {
		if x.API.Service.Enabled {
			f(x)
		}
	})
}

// query answers the query service: without a type, which types there are.
func (q reader) query() (sheet, error) {
	asked, err := query.Parse(q.request.RawQuery)
	if err != nil {
		return sheet{}, err
	}
	name, err := asked.One("type")
	switch {
	case err != nil:
		return sheet{}, err
	case name == "":
		return sheet{vxml.MediaQueryList, q.queryList()}, nil
	}
	return q.show(name, asked, "/api/query", nil, false)
}

// queryList leads to every query that the caller may make.
func (q reader) queryList() *vxml.Element {
	e := vxml.VCloud("QueryList").
		Set("href", q.base+"/api/query").
		Set("type", vxml.MediaQueryList+"+xml")
	for _, k := range kinds() {
		if k.admin && !q.caller.Provider() {
			continue
		}
		for _, f := range records.Formats() {
			e.Add(vxml.Links("down", q.base+"/api/query?type="+k.Name+"&format="+f.Name, f.Media, k.Name)...)
		}
	}
	return e
}

// list shows a collection that stands at a path of its own.
func (q reader) list(name, path string, keep func(any) bool) (sheet, error) {
	asked, err := query.Parse(q.request.RawQuery)
	if err != nil {
		return sheet{}, err
	}
	return q.show(name, asked, path, keep, true)
}

// show answers a query about records of the named type. A whole collection is
// shown on one page unless the query says otherwise.
func (q reader) show(name string, asked query.Query, path string, keep func(any) bool, whole bool) (sheet, error) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.Name == name })
	if i < 0 {
		return sheet{}, core.Errorf(core.Invalid, "query: type=%s is not known here; GET %s/api/query lists the types", name, q.base)
	}
	k := all[i]
	if k.admin && !q.caller.Provider() {
		return sheet{}, core.Errorf(core.Forbidden, "query: type=%s is for system administrators", name)
	}
	ask, err := k.Ask(asked, vxml.Choose(q.request.Header.Values("Accept")), whole)
	if err != nil {
		return sheet{}, err
	}
	found, err := ask.Choose(func(yield func(records.Row, error) bool) {
		for _, r := range k.rows(q, keep) {
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		return sheet{}, err
	}
	hrefs := q.users()
	if k.admin {
		hrefs = records.AdminHrefs(q.base)
	}
	return sheet{ask.Format.Media, found.Element(hrefs, q.base+path)}, nil
}
