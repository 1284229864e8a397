package native

import (
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// entity resolves a URN: it leads to every representation that the caller may
// see of what the URN names.
func (q reader) entity(urn string) (sheet, error) {
	name, links := q.core(urn)
	found, err := q.view.Resolve(urn)
	if core.ErrorCode(err) == core.Invalid && err != nil {
		return sheet{}, core.WrapError(core.NotFound, err, "%s", core.ErrorMessage(err))
	}
	if err != nil {
		return sheet{}, err
	}
	for _, f := range found {
		if f.Class.URLTemplate != "" {
			links = append(links, vxml.Link("alternate", expand(f.Class.URLTemplate, q.base, f.ID), f.Class.MimeType, ""))
		}
	}
	if len(links) == 0 {
		return sheet{}, core.Errorf(core.NotFound, "there is no entity %q that you may see", urn)
	}
	if name == "" {
		name = urn
	}
	return sheet{vxml.MediaEntity, vxml.VCloud("Entity").
		Set("name", name).
		Set("id", urn).
		Set("href", q.base+"/api/entity/"+urn).
		Set("type", vxml.MediaEntity+"+xml").
		Add(links...)}, nil
}

// core finds what the gateway itself knows by that URN.
func (q reader) core(urn string) (name string, links []*vxml.Element) {
	i := strings.LastIndexByte(urn, ':') + 1
	prefix, id := urn[:i], strings.ToLower(urn[i:])
	alternate := func(href, media string) { links = append(links, vxml.Links("alternate", href, media, "")...) }
	switch prefix {
	case core.OrgPrefix:
		if o, ok := q.orgOf(id); ok && q.builtIn {
			name = o.Name
			alternate(vxml.OrgHref(q.base, o.ID), vxml.MediaOrg)
			alternate(vxml.AdminOrgHref(q.base, o.ID), vxml.MediaAdminOrg)
		}
		return name, links
	case records.VDCPrefix:
		if s, err := q.vdc(id); err == nil && q.builtIn {
			name = s.root.Attr("name")
			alternate(q.users().Of(prefix+id), vxml.MediaVDC)
		}
		return name, links
	}
	if word, path, ok := q.inJSON(urn, prefix+id); ok {
		return word, []*vxml.Element{vxml.Link("alternate", q.base+path, "application/json", "")}
	}
	found, ok := q.registered(prefix, id)
	if ok && found.open && q.builtIn {
		alternate(q.users().Of(prefix+id), found.user)
	}
	if ok && q.caller.Provider() {
		alternate(records.AdminHrefs(q.base).Of(prefix+id), found.admin)
	}
	if len(links) == 0 {
		return "", nil
	}
	return found.name, links
}

// inJSON finds what has a representation in the JSON API alone, and its path.
func (q reader) inJSON(urn, lower string) (name, path string, ok bool) {
	if u, ok := q.view.Directory.User(lower); ok && (q.caller.Provider() || u.ID == q.caller.UserID) {
		return u.Name, "/cloudapi/1.0.0/users/" + u.ID, true
	}
	if !q.caller.Provider() {
		return "", "", false
	}
	if r, ok := q.view.Directory.Role(lower); ok {
		return r.Name, "/cloudapi/1.0.0/roles/" + r.ID, true
	}
	e, ok := q.view.System(urn)
	switch {
	case !ok:
		return "", "", false
	case e.System.IsEndpoint():
		return e.System.Name, "/cloudapi/1.0.0/externalEndpoints/" + urn, true
	}
	return e.System.Name, "/cloudapi/extensions/api/" + urn, true
}

// registered is what a service registered, with the media types of its views
// for users and for system administrators.
type registered struct {
	name        string
	open        bool // there is a view for users
	user, admin string
}

func (q reader) registered(prefix, id string) (registered, bool) {
	r, urn := q.view.Registered, prefix+id
	switch prefix {
	case records.ServiceURN:
		s, ok := q.view.Service(id)
		return registered{s.Name, s.Enabled, records.Services().Media, records.AdminServices().Media}, ok
	case core.DefinitionPrefix:
		d, ok := r.Definitions.Get(urn)
		_, hidden := q.known(id)
		return registered{d.Name, hidden == nil, records.Definitions().Media, records.AdminDefinitions().Media}, ok
	case core.FilePrefix:
		f, ok := r.Files.Get(urn)
		_, hidden := q.file(id)
		return registered{f.Name, hidden == nil, records.Files().Media, records.AdminFiles().Media}, ok
	case core.FilterPrefix:
		f, ok := q.view.Filter(urn)
		return registered{admin: records.Filters().Media}, ok && strings.HasPrefix(f.System, core.ServicePrefix)
	case core.LinkPrefix:
		_, ok := r.Links.Get(urn)
		return registered{admin: records.Links().Media}, ok
	case core.ClassPrefix:
		c, ok := r.Classes.Get(urn)
		return registered{name: c.Name, admin: records.Classes().Media}, ok
	case core.ActionPrefix:
		a, ok := r.Actions.Get(urn)
		return registered{name: a.Name, admin: records.Actions().Media}, ok
	case core.ResourcePrefix:
		x, ok := r.Resources.Get(urn)
		return registered{name: x.Name, admin: records.Resources().Media}, ok
	case core.RulePrefix:
		x, ok := r.Rules.Get(urn)
		return registered{name: x.Name, admin: records.Rules().Media}, ok
	case core.RightPrefix:
		x, ok := q.view.Directory.Right(urn)
		return registered{name: x.Name, admin: records.Rights().Media}, ok
	}
	return registered{}, false
}
