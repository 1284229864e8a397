package records

import (
	"strings"

	"github.com/annex-gateway/annex/core"
)

// ServiceURN starts the id of a service on these paths, which know it by its
// uuid; the id of the JSON API is made of vendor, name and version.
const ServiceURN = "urn:vcloud:externalService:"

// ServiceID is the id that a service, given by its id in the catalog, has on
// these paths.
func ServiceID(system string) string { return ServiceURN + core.System{ID: system}.UUID() }

// Hrefs finds the address of what a URN names.
type Hrefs struct {
	base  string
	users bool
}

// AdminHrefs leads to the views for administrators, below a base URL without
// trailing slash.
func AdminHrefs(base string) Hrefs { return Hrefs{base: base} }

// UserHrefs leads to the views that every user may read, where there are any.
func UserHrefs(base string) Hrefs { return Hrefs{base: base, users: true} }

// admin is below which path each type of entity is administered.
func admin() map[string]string {
	const services = "/api/admin/extension/service"
	return map[string]string{
		ServiceURN:            services,
		core.FilterPrefix:     services + "/apifilter",
		core.LinkPrefix:       services + "/link",
		core.DefinitionPrefix: services + "/apidefinition",
		core.FilePrefix:       services + "/file",
		core.ClassPrefix:      services + "/resourceclass",
		core.ActionPrefix:     services + "/resourceclassaction",
		core.ResourcePrefix:   services + "/serviceresource",
		core.RulePrefix:       services + "/aclrule",
		core.RightPrefix:      "/api/admin/right",
		core.OrgPrefix:        "/api/admin/org",
		core.UserPrefix:       "/api/admin/user",
		VDCPrefix:             "/api/vdc",
	}
}

func user() map[string]string {
	return map[string]string{
		ServiceURN:            "/api/service",
		core.DefinitionPrefix: "/api/apidefinition",
		core.FilePrefix:       "/api/files",
		core.OrgPrefix:        "/api/org",
	}
}

// Of is the address of the entity with that URN; the URN itself where there
// is none.
func (h Hrefs) Of(urn string) string {
	i := strings.LastIndexByte(urn, ':') + 1
	prefix, id := urn[:i], urn[i:]
	path, ok := "", false
	if h.users {
		path, ok = user()[prefix]
	}
	if !ok {
		path, ok = admin()[prefix]
	}
	if !ok {
		return urn
	}
	return h.base + path + "/" + id
}
