package native

import (
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

func (q query) session() *vxml.Element { return vxml.Session(q.base, q.caller) }

// cloud is the entry point for administrators. Clients read the gateway's
// release and its date out of the description.
func (q query) cloud() *vxml.Element {
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

func (q query) orgs() *vxml.Element {
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
func (q query) org(id string, view func(core.Org) *vxml.Element) (*vxml.Element, error) {
	uuid := strings.ToLower(strings.TrimPrefix(id, core.OrgPrefix))
	if core.IsUUID(uuid) {
		o, ok := q.view.Directory.Org(core.OrgPrefix + uuid)
		if ok && (q.caller.Provider() || q.caller.OrgID == o.ID) {
			return view(o), nil
		}
	}
	return nil, core.Errorf(core.NotFound, "there is no organisation %q that you may see", id)
}

func (q query) orgView(o core.Org) *vxml.Element {
	return vxml.VCloud("Org").
		Set("name", o.Name).
		Set("id", o.ID).
		Set("href", vxml.OrgHref(q.base, o.ID)).
		Set("type", vxml.MediaOrg+"+xml").
		Add(vxml.Links("alternate", vxml.AdminOrgHref(q.base, o.ID), vxml.MediaAdminOrg, o.Name)...).
		Description(o.Description).
		Leaf("FullName", fullName(o))
}

func (q query) adminView(o core.Org) *vxml.Element {
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
