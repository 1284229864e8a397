package records

import (
	"strings"

	"github.com/annex-gateway/annex/core"
)

// Classes are the types of resources that services expose.
func Classes() Of[core.ResourceClass] {
	return typeOf("resourceClass", adminMedia+"resourceClass",
		func(k core.ResourceClass) string { return k.ID }, func(k core.ResourceClass) string { return k.Name },
		text("name", func(k core.ResourceClass) string { return k.Name }),
		text("mimeType", func(k core.ResourceClass) string { return k.MimeType }),
		text("urlTemplate", func(k core.ResourceClass) string { return k.URLTemplate }),
		text("nid", func(k core.ResourceClass) string { return k.NID }),
		text("urnPattern", func(k core.ResourceClass) string { return k.URNPattern }),
		urn("service", func(k core.ResourceClass) string { return ServiceID(k.System) }),
	)
}

// Actions are what can be done with the resources of a class.
func Actions() Of[core.ResourceClassAction] {
	return typeOf("resourceClassAction", adminMedia+"resourceClassAction",
		func(a core.ResourceClassAction) string { return a.ID }, func(a core.ResourceClassAction) string { return a.Name },
		text("name", func(a core.ResourceClassAction) string { return a.Name }),
		text("httpMethod", func(a core.ResourceClassAction) string { return a.HTTPMethod }),
		text("urlPattern", func(a core.ResourceClassAction) string { return a.URLPattern }),
		urn("resourceClass", func(a core.ResourceClassAction) string { return a.Class }),
	)
}

// Resources are the resources that services expose.
func Resources() Of[core.ServiceResource] {
	return typeOf("serviceResource", adminMedia+"serviceResource",
		func(r core.ServiceResource) string { return r.ID }, func(r core.ServiceResource) string { return r.Name },
		text("name", func(r core.ServiceResource) string { return r.Name }),
		text("externalObjectId", func(r core.ServiceResource) string { return r.ExternalObjectID }),
		urn("org", func(r core.ServiceResource) string { return r.OrgID }),
		urn("resourceClass", func(r core.ServiceResource) string { return r.Class }),
	)
}

// Rules are what allows actions.
func Rules() Of[core.ACLRule] {
	return typeOf("aclRule", adminMedia+"aclRule",
		func(r core.ACLRule) string { return r.ID }, func(r core.ACLRule) string { return r.Name },
		text("name", func(r core.ACLRule) string { return r.Name }),
		text("serviceResourceAccess", func(r core.ACLRule) string { return string(r.Resource.Access) }),
		urn("serviceResource", func(r core.ACLRule) string { return r.Resource.Entity }),
		text("orgAccess", func(r core.ACLRule) string { return string(r.Org.Access) }),
		urn("org", func(r core.ACLRule) string { return r.Org.Entity }),
		text("principalAccess", func(r core.ACLRule) string { return string(r.Principal.Access) }),
		urn("principal", func(r core.ACLRule) string { return r.Principal.Entity }),
		text("principalType", principalType),
		urn("resourceClassAction", func(r core.ACLRule) string { return r.Action }),
	)
}

// principalType is the word in the URN of whom a rule is for; empty when it
// is for all.
func principalType(r core.ACLRule) string {
	switch {
	case strings.HasPrefix(r.Principal.Entity, core.RightPrefix):
		return "right"
	case strings.HasPrefix(r.Principal.Entity, core.UserPrefix):
		return "user"
	}
	return ""
}

// Rights are the rights that roles may hold.
func Rights() Of[core.Right] {
	return typeOf("right", adminMedia+"right",
		func(r core.Right) string { return r.ID }, func(r core.Right) string { return r.Name },
		text("name", func(r core.Right) string { return r.Name }),
		text("category", func(r core.Right) string { return r.Category }),
	)
}
