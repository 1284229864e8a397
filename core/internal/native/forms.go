package native

import (
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

func (q reader) session() *vxml.Element { return vxml.Session(q.base, q.caller) }

// cloud is the entry point for administrators. Clients read the gateway's
// release and its date out of the description.
func (q reader) cloud() *vxml.Element {
	refs := vxml.VCloud("OrganizationReferences").Lists("organizationReference")
	for _, o := range q.visible() {
		refs.Add(vxml.VCloud("OrganizationReference").
			Set("href", vxml.AdminOrgHref(q.base, o.ID)).
			Set("id", o.ID).
			Set("name", o.Name).
			Set("type", vxml.MediaAdminOrg+"+xml").
			InList("organizationReference", ""))
	}
	e := vxml.VCloud("VCloud").
		Set("name", "Annex").
		Set("href", q.base+"/api/admin/").
		Set("type", vxml.MediaCloud+"+xml")
	if q.caller.Provider() {
		e.Add(vxml.Links("down", q.base+"/api/admin/extension", vxml.MediaVMWExtension, "")...)
	}
	return e.Description(q.description).Add(refs)
}

func (q reader) orgs() *vxml.Element {
	e := vxml.VCloud("OrgList").
		Set("href", q.base+"/api/org/").
		Set("type", vxml.MediaOrgList+"+xml").
		Lists("link", "org")
	for _, o := range q.visible() {
		e.Add(vxml.VCloud("Org").
			Set("href", vxml.OrgHref(q.base, o.ID)).
			Set("id", o.ID).
			Set("name", o.Name).
			Set("type", vxml.MediaOrg+"+xml").
			InList("org", ""))
	}
	return e
}

// org shows one organisation. What the caller may not see is not there.
func (q reader) org(id, media string, view func(core.Org) *vxml.Element) (sheet, error) {
	o, ok := q.orgOf(strings.TrimPrefix(id, core.OrgPrefix))
	if !ok {
		return sheet{}, core.Errorf(core.NotFound, "there is no organisation %q that you may see", id)
	}
	return sheet{media, view(o)}, nil
}

// orgOf returns the organisation with that uuid, if the caller may see it.
func (q reader) orgOf(uuid string) (core.Org, bool) {
	o, ok := q.view.Directory.Org(core.OrgPrefix + strings.ToLower(uuid))
	return o, ok && (q.caller.Provider() || q.caller.OrgID == o.ID)
}

// vdc shows the virtual data centre of an organisation that the caller sees.
func (q reader) vdc(id string) (sheet, error) {
	id = records.VDCPrefix + strings.ToLower(strings.TrimPrefix(id, records.VDCPrefix))
	for _, o := range q.visible() {
		v := records.VDC{Org: o}
		if v.ID() != id {
			continue
		}
		return sheet{vxml.MediaVDC, vxml.VCloud("Vdc").
			Set("name", v.Name()).
			Set("id", id).
			Set("href", q.users().Of(id)).
			Set("type", vxml.MediaVDC+"+xml").
			Add(vxml.Links("up", vxml.OrgHref(q.base, o.ID), vxml.MediaOrg, o.Name)...).
			LeafBool("IsEnabled", o.Enabled)}, nil
	}
	return sheet{}, core.Errorf(core.NotFound, "there is no virtual data centre %q that you may see", id)
}

func (q reader) orgView(o core.Org) *vxml.Element {
	return vxml.VCloud("Org").
		Set("name", o.Name).
		Set("id", o.ID).
		Set("href", vxml.OrgHref(q.base, o.ID)).
		Set("type", vxml.MediaOrg+"+xml").
		Add(vxml.Links("alternate", vxml.AdminOrgHref(q.base, o.ID), vxml.MediaAdminOrg, o.Name)...).
		Description(o.Description).
		Leaf("FullName", fullName(o))
}

func (q reader) adminView(o core.Org) *vxml.Element {
	return vxml.VCloud("AdminOrg").
		Set("name", o.Name).
		Set("id", o.ID).
		Set("href", vxml.AdminOrgHref(q.base, o.ID)).
		Set("type", vxml.MediaAdminOrg+"+xml").
		Add(vxml.Links("up", q.base+"/api/admin/", vxml.MediaCloud, "")...).
		Add(vxml.Links("alternate", vxml.OrgHref(q.base, o.ID), vxml.MediaOrg, o.Name)...).
		Description(o.Description).
		Leaf("FullName", fullName(o)).
		LeafBool("IsEnabled", o.Enabled)
}

func fullName(o core.Org) string {
	if o.DisplayName != "" {
		return o.DisplayName
	}
	return o.Name
}
