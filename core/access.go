package core

import (
	"slices"
	"strings"
)

// URN prefixes of what a service's authorization and discovery are made of.
const (
	ClassPrefix      = "urn:vcloud:resourceClass:"
	ActionPrefix     = "urn:vcloud:resourceClassAction:"
	RulePrefix       = "urn:vcloud:aclRule:"
	ResourcePrefix   = "urn:vcloud:serviceResource:"
	LinkPrefix       = "urn:vcloud:serviceLink:"
	DefinitionPrefix = "urn:vcloud:apiDefinition:"
	FilePrefix       = "urn:vcloud:fileDescriptor:"
)

// ResourceClass is a type of resource of an external service: how its
// resources are named and found, and what its actions are about.
type ResourceClass struct {
	Meta
	ID, System, Name, Description string
	MimeType                      string // of a core type, the core entities are its resources
	URLTemplate                   string // with {baseUri} and {resourceId}
	NID                           string // namespace identifier of the resources' URNs
	URNPattern                    string // matches the rest of such a URN; its group id is the resource id
}

// The media types whose resources are organisations of the gateway.
func orgTypes() []string {
	return []string{"application/vnd.vmware.admin.organization+xml", "application/vnd.vmware.vcloud.org+xml"}
}

// OfOrgs reports whether the resources of the class are organisations.
func (c ResourceClass) OfOrgs() bool {
	t, _, _ := strings.Cut(c.MimeType, ";")
	return slices.Contains(orgTypes(), strings.TrimSpace(t))
}

// Validate checks what a class can be judged by alone.
func (c ResourceClass) Validate() error {
	switch {
	case c.MimeType == "":
		return Errorf(Invalid, "MimeType: a resource class needs one, such as application/vnd.acme.backup+xml")
	case len(c.MimeType) > 128:
		return Errorf(Invalid, "MimeType: at most 128 bytes are allowed")
	case len(c.URLTemplate) > 1024:
		return Errorf(Invalid, "UrlTemplate: at most 1024 bytes are allowed")
	case len(c.NID) > 255 || len(c.URNPattern) > 255:
		return Errorf(Invalid, "Nid and UrnPattern: at most 255 bytes each are allowed")
	}
	return validName("resource class", c.Name, c.Description)
}

// ResourceClassAction is an operation on the resources of a class: a method
// on the URLs that the pattern matches, whose group id names the resource.
type ResourceClassAction struct {
	Meta
	ID, Class, Name, Description string
	HTTPMethod, URLPattern       string
}

// ActionMethods are the methods that an action can name.
func ActionMethods() []string { return []string{"GET", "PUT", "POST", "DELETE"} }

// Validate checks what an action can be judged by alone.
func (a ResourceClassAction) Validate() error {
	switch {
	case !slices.Contains(ActionMethods(), a.HTTPMethod):
		return Errorf(Invalid, "HttpMethod %q: one of GET, PUT, POST, DELETE is needed", a.HTTPMethod)
	case a.URLPattern == "":
		return Errorf(Invalid, "UrlPattern: an action needs one")
	case len([]rune(a.URLPattern)) > MaxPattern:
		return Errorf(Invalid, "UrlPattern: at most %d characters are allowed", MaxPattern)
	}
	return validName("resource class action", a.Name, a.Description)
}

// ServiceResource is a resource of an external service, and the organisation
// that owns it.
type ServiceResource struct {
	Meta
	ID, Class, Name, Description string
	OrgID, ExternalObjectID      string
}

// Validate checks what a resource can be judged by alone.
func (r ServiceResource) Validate() error {
	switch {
	case r.ExternalObjectID == "" || len(r.ExternalObjectID) > 255:
		return Errorf(Invalid, "ExternalObjectId: 1 to 255 bytes are needed")
	case r.OrgID == "":
		return Errorf(Invalid, "Org: a service resource belongs to an organisation")
	}
	return validName("service resource", r.Name, r.Description)
}

// Access says how far a part of an ACL rule reaches.
type Access string

// The reaches.
const (
	AccessPublished Access = "Published" // every organisation
	AccessShared    Access = "Shared"    // all resources; members of the owner; all users
	AccessEntity    Access = "Entity"    // the one that is named
)

// Reach is one part of an ACL rule. Entity is set for AccessEntity only.
type Reach struct {
	Access Access
	Entity string // a URN
}

// ACLRule allows an action to whom all three parts reach.
type ACLRule struct {
	Meta
	ID, Action, Name, Description string
	Resource                      Reach // zero: shared
	Org                           Reach
	Principal                     Reach // a user, or a right
}

// Validate checks what a rule can be judged by alone.
func (r ACLRule) Validate() error {
	for _, part := range []struct {
		name    string
		reach   Reach
		allowed []Access
	}{
		{"ServiceResourceAccess", r.Resource, []Access{AccessShared, AccessEntity}},
		{"OrganizationAccess", r.Org, []Access{AccessPublished, AccessShared, AccessEntity}},
		{"PrincipalAccess", r.Principal, []Access{AccessShared, AccessEntity}},
	} {
		switch {
		case !slices.Contains(part.allowed, part.reach.Access):
			return Errorf(Invalid, "%s: Access %q is none of %v", part.name, part.reach.Access, part.allowed)
		case part.reach.Access == AccessEntity && part.reach.Entity == "":
			return Errorf(Invalid, "%s: Access Entity needs an Entity", part.name)
		case part.reach.Access != AccessEntity && part.reach.Entity != "":
			return Errorf(Invalid, "%s: an Entity goes with Access Entity only", part.name)
		}
	}
	return validName("ACL rule", r.Name, r.Description)
}

// Link is shown in the representations of native resources and leads to an
// external service.
type Link struct {
	Meta
	ID, System          string
	Href, MimeType, Rel string // Href with {baseUri} and {resourceId}
	ResourceType        string // the media type of the resources that show it
	ResourceID          string // the URN of the one that shows it; empty: all of the type
	ExternalResourceID  string // becomes the id of the link that is shown
}

// Validate checks what a link can be judged by alone.
func (l Link) Validate() error {
	for _, f := range []struct {
		name, value string
		needed      bool
	}{
		{"LinkHref", l.Href, true},
		{"MimeType", l.MimeType, true},
		{"Rel", l.Rel, true},
		{"ResourceType", l.ResourceType, true},
		{"ResourceId", l.ResourceID, false},
		{"ExternalResourceId", l.ExternalResourceID, false},
	} {
		if f.needed && f.value == "" || len(f.value) > 255 {
			return Errorf(Invalid, "%s: a service link needs 1 to 255 bytes here", f.name)
		}
		if strings.ContainsFunc(f.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return Errorf(Invalid, "%s: control characters are not allowed", f.name)
		}
	}
	return nil
}

// APIDefinition tells users where the API of a service is and how it is
// described.
type APIDefinition struct {
	Meta
	ID, System, Name, Description    string
	EntryPoint, Namespace, APIVendor string // EntryPoint with {baseUri}
	Versions                         []string
}

// Validate checks what a definition can be judged by alone.
func (d APIDefinition) Validate() error {
	if len(d.EntryPoint) > 255 || len(d.Namespace) > 255 || len(d.APIVendor) > 255 {
		return Errorf(Invalid, "EntryPoint, Namespace and ApiVendor: at most 255 bytes each are allowed")
	}
	if len(d.Versions) > 100 || slices.ContainsFunc(d.Versions, func(v string) bool { return v == "" || len(v) > 255 }) {
		return Errorf(Invalid, "SupportedApiVersions: at most 100 versions of 1 to 255 bytes are allowed")
	}
	return validName("API definition", d.Name, d.Description)
}

// FileDescriptor is a file that describes an API.
type FileDescriptor struct {
	Meta
	ID, Definition, Name, Description string
	MimeType, Href                    string // Href with {baseUri}
}

// Validate checks what a descriptor can be judged by alone.
func (f FileDescriptor) Validate() error {
	if f.Href == "" || len(f.Href) > 1024 || len(f.MimeType) > 255 {
		return Errorf(Invalid, "File: a file descriptor needs an href of 1 to 1024 bytes, and a type of at most 255")
	}
	return validName("file descriptor", f.Name, f.Description)
}

// validName checks the name and the description of an entity.
func validName(noun, name, description string) error {
	switch {
	case name == "" || len(name) > 255:
		return Errorf(Invalid, "name: a %s needs a name of 1 to 255 bytes", noun)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return Errorf(Invalid, "name: control characters are not allowed")
	case len(description) > 4096:
		return Errorf(Invalid, "Description: at most 4096 bytes are allowed")
	}
	return nil
}
