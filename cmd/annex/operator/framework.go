package operator

import (
	"slices"

	"github.com/annex-gateway/annex/core"
)

// frameworkNouns are what a service's access control and discovery are made
// of.
func frameworkNouns() []noun {
	return slices.Concat(resourceNouns(), ruleNouns(), discoveryNouns())
}

func nameField() field { return field{flag: "name", path: "name", help: "its name", needed: true} }

func ofService() field {
	return field{flag: "ext", path: "service", help: "external service that it belongs to", kind: reference, nouns: []string{"ext"}, needed: true, born: true}
}

func ofClass() field {
	return field{flag: "class", path: "resourceClass", help: "resource class that it belongs to", kind: reference, nouns: []string{"class"}, needed: true, born: true}
}

func resourceNouns() []noun {
	return []noun{
		{
			word: "right", what: "right", path: extensions + "rights", prefix: core.RightPrefix, naming: naming{attribute: "name"},
			fields: []field{
				ofService(),
				{flag: "name", path: "name", help: "its name, without the namespace", needed: true, born: true},
				description(),
				{flag: "category", path: "category", help: "what it is listed under"},
				{flag: "bundle-key", path: "bundleKey", help: "key of its translations"},
			},
			columns: []column{{"NAME", "name"}, {"CATEGORY", "category"}, {"TYPE", "rightType"}, {"DESCRIPTION", "description"}},
		},
		{
			word: "class", what: "resource class", path: extensions + "resourceClasses", prefix: core.ClassPrefix,
			naming: naming{attribute: "name", parent: "ext", under: "service.id"},
			fields: []field{
				ofService(), nameField(), description(),
				{flag: "mime-type", path: "mimeType", help: "media type of its resources; one of organisations makes those its resources", needed: true},
				{flag: "url-template", path: "urlTemplate", help: "where a resource is, with {baseUri} and {resourceId}"},
				{flag: "nid", path: "nid", help: "namespace identifier of its resources' URNs"},
				{flag: "urn-pattern", path: "urnPattern", help: "Java pattern of the rest of such a URN; its group id is the resource id"},
			},
			columns: []column{{"NAME", "name"}, {"SERVICE", "service"}, {"MIME TYPE", "mimeType"}, {"URL TEMPLATE", "urlTemplate"}},
		},
		{
			word: "resource", what: "service resource", path: extensions + "serviceResources", prefix: core.ResourcePrefix,
			naming: naming{attribute: "name", parent: "class", under: "resourceClass.id"},
			fields: []field{
				ofClass(), nameField(), description(),
				{flag: "external-id", path: "externalObjectId", help: "id that the service knows it by", needed: true},
				{flag: "org", path: "org", help: "organisation that owns it", kind: reference, nouns: []string{"org"}, needed: true},
			},
			columns: []column{{"NAME", "name"}, {"CLASS", "resourceClass"}, {"EXTERNAL ID", "externalObjectId"}, {"ORGANISATION", "org"}},
		},
	}
}

func ruleNouns() []noun {
	return []noun{
		{
			word: "action", what: "resource class action", path: extensions + "resourceClassActions", prefix: core.ActionPrefix,
			naming: naming{attribute: "name", parent: "class", under: "resourceClass.id"},
			fields: []field{
				ofClass(), nameField(), description(),
				{flag: "method", path: "httpMethod", help: "GET, PUT, POST or DELETE", needed: true},
				{flag: "url-pattern", path: "urlPattern", help: "Java pattern of the path; its group id is the resource", needed: true},
			},
			columns: []column{{"NAME", "name"}, {"CLASS", "resourceClass"}, {"METHOD", "httpMethod"}, {"PATTERN", "urlPattern"}},
		},
		{
			word: "acl", what: "ACL rule", path: extensions + "aclRules", prefix: core.RulePrefix,
			naming: naming{attribute: "name", parent: "action", under: "resourceClassAction.id"},
			fields: []field{
				{flag: "action", path: "resourceClassAction", help: "action that it allows", kind: reference, nouns: []string{"action"}, needed: true, born: true},
				nameField(), description(),
				{flag: "resource", path: "serviceResourceAccess", help: "Shared for all resources, or a resource, or org:NAME", kind: reach, nouns: []string{"resource", "org"}, initial: "Shared"},
				{flag: "organization", path: "organizationAccess", help: "Shared for the resource's owner, Published for all, or an organisation", kind: reach, nouns: []string{"org"}, initial: "Shared"},
				{flag: "principal", path: "principalAccess", help: "Shared for all users, user:NAME@ORGANISATION, or right:NAME", kind: reach, nouns: []string{"user", "right"}, initial: "Shared"},
			},
			columns: []column{
				{"NAME", "name"},
				{"ACTION", "resourceClassAction"},
				{"RESOURCE", "serviceResourceAccess.access/serviceResourceAccess.entity"},
				{"ORGANISATION", "organizationAccess.access/organizationAccess.entity"},
				{"PRINCIPAL", "principalAccess.access/principalAccess.entity"},
			},
		},
	}
}

func discoveryNouns() []noun {
	return []noun{
		{
			word: "link", what: "service link", path: extensions + "serviceLinks", prefix: core.LinkPrefix,
			fields: []field{
				ofService(),
				{flag: "href", path: "linkHref", help: "where it leads, with {baseUri} and {resourceId}", needed: true},
				{flag: "mime-type", path: "mimeType", help: "media type of what is there", needed: true},
				{flag: "rel", path: "rel", help: "what that is to the resource, such as down:backup", needed: true},
				{flag: "resource-type", path: "resourceType", help: "media type of the resources that show it", needed: true},
				{flag: "resource-id", path: "resourceId", help: "URN of the one resource that shows it"},
				{flag: "external-id", path: "externalResourceId", help: "id of the link that is shown"},
			},
			columns: []column{{"ID", "id"}, {"SERVICE", "service"}, {"REL", "rel"}, {"RESOURCE TYPE", "resourceType"}, {"HREF", "linkHref"}},
		},
		{
			word: "definition", what: "API definition", path: extensions + "apiDefinitions", prefix: core.DefinitionPrefix,
			naming: naming{attribute: "name", parent: "ext", under: "service.id"},
			fields: []field{
				ofService(), nameField(), description(),
				{flag: "entry-point", path: "entryPoint", help: "where the API begins, with {baseUri}"},
				{flag: "namespace", path: "namespace", help: "namespace of its elements"},
				{flag: "api-vendor", path: "apiVendor", help: "who made the API"},
				{flag: "api-version", path: "supportedApiVersions", help: "version that it understands; may be repeated", kind: several},
			},
			columns: []column{{"NAME", "name"}, {"SERVICE", "service"}, {"ENTRY POINT", "entryPoint"}, {"VERSIONS", "supportedApiVersions"}},
		},
		{
			word: "file", what: "file descriptor", path: extensions + "fileDescriptors", prefix: core.FilePrefix,
			naming: naming{attribute: "name", parent: "definition", under: "apiDefinition.id"},
			fields: []field{
				{flag: "definition", path: "apiDefinition", help: "API definition that it belongs to", kind: reference, nouns: []string{"definition"}, needed: true, born: true},
				nameField(), description(),
				{flag: "mime-type", path: "mimeType", help: "media type of the file"},
				{flag: "href", path: "href", help: "where it is, with {baseUri}", needed: true},
			},
			columns: []column{{"NAME", "name"}, {"DEFINITION", "apiDefinition"}, {"MIME TYPE", "mimeType"}, {"HREF", "href"}},
		},
	}
}
