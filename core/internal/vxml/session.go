package vxml

import (
	"strings"

	"github.com/annex-gateway/annex/core"
)

// The media types of what both APIs show or lead to, without suffix.
const (
	MediaSession      = "application/vnd.vmware.vcloud.session"
	MediaOrg          = "application/vnd.vmware.vcloud.org"
	MediaOrgList      = "application/vnd.vmware.vcloud.orgList"
	MediaCloud        = "application/vnd.vmware.admin.vcloud"
	MediaAdminOrg     = "application/vnd.vmware.admin.organization"
	MediaVMWExtension = "application/vnd.vmware.admin.vmwExtension"
	MediaUser         = "application/vnd.vmware.admin.user"
	MediaRight        = "application/vnd.vmware.admin.right"
	MediaQueryList    = "application/vnd.vmware.vcloud.query.queryList"
	MediaExtensible   = "application/vnd.vmware.vcloud.apiextensibility"
	MediaVDC          = "application/vnd.vmware.vcloud.vdc"
	MediaEntity       = "application/vnd.vmware.vcloud.entity"
)

// Session is the element that tells a caller who it is and where to go. Each
// pair of rel and type occurs once: clients fail on a second one.
func Session(base string, c core.Caller) *Element {
	var roles []string
	for _, r := range c.Roles {
		roles = append(roles, r.Name)
	}
	href := base + "/api/session"
	e := VCloud("Session").
		Set("org", c.OrgName).Set("user", c.UserName).Set("userId", c.UserID).
		Set("roles", strings.Join(roles, ",")).
		Set("href", href).Set("type", MediaSession+"+xml").
		Add(Links("down", base+"/api/org/", MediaOrgList, "")...).
		Add(Links("down", base+"/api/admin/", MediaCloud, "")...).
		Add(Links("down", OrgHref(base, c.OrgID), MediaOrg, c.OrgName)...).
		Add(Links("down", base+"/api/query", MediaQueryList, "")...).
		Add(Links("down:extensibility", base+"/api/extensibility", MediaExtensible, "")...)
	if c.Provider() {
		e.Add(Links("down", base+"/api/admin/extension", MediaVMWExtension, "")...)
	}
	return e.Add(Link("remove", href, "", ""))
}

// OrgHref is the address of an organisation.
func OrgHref(base, id string) string {
	return base + "/api/org/" + strings.TrimPrefix(id, core.OrgPrefix)
}

// AdminOrgHref is the address of an organisation's view for administrators.
func AdminOrgHref(base, id string) string {
	return base + "/api/admin/org/" + strings.TrimPrefix(id, core.OrgPrefix)
}

// ExpandBase puts the address of the API in place of {baseUri} in a template,
// which may or may not have a slash behind it.
func ExpandBase(template, base string) string {
	api := base + "/api/"
	return strings.NewReplacer("{baseUri}/", api, "{baseUri}", api).Replace(template)
}
