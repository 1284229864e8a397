package operator

import (
	"slices"

	"github.com/annex-gateway/annex/core"
)

// The paths of the JSON API.
const (
	api        = "/cloudapi/1.0.0/"
	extensions = "/cloudapi/extensions/"
)

// nouns are all entities that have commands.
func nouns() []noun {
	return slices.Concat(systemNouns(), contentNouns(), peopleNouns(), frameworkNouns())
}

// tripletFields name a system; they cannot be changed.
func tripletFields() []field {
	return []field{
		{flag: "vendor", path: "vendor", help: "who made it", needed: true, born: true},
		{flag: "name", path: "name", help: "its name", needed: true, born: true},
		{flag: "version", path: "version", help: "its version, such as 1.0.0", needed: true, born: true},
	}
}

func description() field {
	return field{flag: "description", path: "description", help: "what it is for"}
}

func enabledField() field {
	return field{flag: "enabled", path: "enabled", help: "whether it takes part", kind: truth, initial: true}
}

func systemNouns() []noun {
	priority := field{flag: "priority", path: "priority", help: "100 is asked first, 0 last", kind: whole}
	return []noun{
		{
			word: "ext", what: "external service", path: extensions + "api", prefix: core.ServicePrefix,
			naming: naming{attribute: "name", triplet: true}, enabled: "enabled", upload: uploadModule,
			fields: slices.Concat(tripletFields(), []field{
				description(), enabledField(), priority,
				{flag: "authorization", path: "authorizationEnabled", help: "let ACL rules decide who may call it", kind: truth},
			}, moduleFields()),
			columns: []column{
				{"NAME", "vendor/name/version"},
				{"KIND", "kind?mqtt"},
				{"PRIORITY", "priority"},
				{"ENABLED", "enabled"},
				{"AUTHORIZATION", "authorizationEnabled"},
				{"DESCRIPTION", "description"},
			},
		},
		{
			word: "endpoint", what: "external endpoint", path: api + "externalEndpoints", prefix: core.EndpointPrefix,
			naming: naming{attribute: "name", triplet: true}, enabled: "enabled",
			fields: append(tripletFields(), description(), enabledField(), priority,
				field{flag: "root-url", path: "rootUrl", help: "https URL that the rest of the path is appended to", needed: true}),
			columns: []column{{"NAME", "vendor/name/version"}, {"ROOT URL", "rootUrl"}, {"ENABLED", "enabled"}, {"DESCRIPTION", "description"}},
		},
		{
			word: "filter", what: "API filter", path: api + "apiFilters", prefix: core.FilterPrefix, complete: completeFilter,
			fields: []field{
				{flag: "system", path: "externalSystem", help: "external service or endpoint that the messages go to", kind: reference, nouns: []string{"ext", "endpoint"}, needed: true},
				{flag: "url-pattern", path: "urlMatcher.urlPattern", help: "Java pattern that the whole path matches"},
				{flag: "scope", path: "urlMatcher.urlScope", help: "API, EXT_API, EXT_UI_PROVIDER or EXT_UI_TENANT; by default API for services and EXT_API for endpoints"},
				{flag: "response-type", path: "responseContentType", help: "content type of responses that the service sees, in place of a pattern"},
				{flag: "stage", path: "stage", help: "where a WASM module stands: " + stageNames()},
			},
			columns: []column{{"ID", "id"}, {"SYSTEM", "externalSystem.id"}, {"SCOPE", "urlMatcher.urlScope"}, {"PATTERN", "urlMatcher.urlPattern"}, {"RESPONSE TYPE", "responseContentType"}},
		},
	}
}

// moduleFields are the settings of a service that is a WASM module.
func moduleFields() []field {
	return []field{
		{flag: "wasm", path: "wasm.module", help: "the service is this WASM module: a file, or the sha256:… of an uploaded one"},
		{flag: "config", path: "wasm.config", help: "configuration of the module: JSON, or @FILE", kind: document},
		{flag: "memory-bytes", path: "wasm.memoryBytes", help: "memory of the module", kind: whole},
		{flag: "deadline-ms", path: "wasm.deadlineMs", help: "time of the module for one call, in ms", kind: whole},
		{flag: "start-ms", path: "wasm.startMs", help: "time for the start of a guest of the module, in ms", kind: whole},
		{flag: "concurrency", path: "wasm.concurrency", help: "calls that the module works on at once", kind: whole},
		{flag: "log-lines", path: "wasm.logLinesPerSecond", help: "lines that the module may log in a second", kind: whole},
		{flag: "body-bytes", path: "wasm.bodyBytes", help: "largest body that is kept in memory for the module", kind: whole},
		{flag: "state-bytes", path: "wasm.stateBytes", help: "state of a module of the border annex in the store", kind: whole},
		{flag: "rewrite", path: "wasm.rewrite", help: "let the module change method and path", kind: truth},
		{flag: "border", path: "wasm.border", help: "http-wasm, proxy-wasm or annex; by default what the module is written for"},
		{flag: "cluster", path: "wasm.clusters", help: "where the module may call, as NAME=https://HOST:PORT; may be repeated; takes the place of all", kind: pairs},
		{flag: "vm-config", path: "wasm.vmConfig", help: "configuration of a proxy-wasm machine: JSON, or @FILE", kind: document},
		{flag: "root-id", path: "wasm.rootId", help: "which plugin of a proxy-wasm module is meant"},
		{flag: "vm-id", path: "wasm.vmId", help: "machine of a proxy-wasm plugin: those of one vendor that name theirs find each other's queues"},
		{flag: "property", path: "wasm.properties", help: "what a proxy-wasm plugin reads as a property, as NAME=VALUE; may be repeated; takes the place of all", kind: pairs},
		{flag: "env", path: "wasm.environment", help: "variable that the module reads, as NAME=VALUE; may be repeated; takes the place of all", kind: pairs},
		{flag: "failure-policy", path: "wasm.failurePolicy", help: "what becomes of calls when the module fails: closed (they fail) or open (they go on without it)"},
	}
}

// contentNouns are what systems work with.
func contentNouns() []noun {
	return []noun{
		{
			word: "module", what: "WASM module", path: extensions + "modules", prefix: "sha256:", fixed: true,
			columns: []column{{"ID", "id"}, {"SIZE", "size"}, {"CREATED", "created"}},
		},
		{
			word: "token", what: "token", path: api + "tokens", prefix: core.TokenPrefix, constant: true,
			naming: naming{attribute: "name"},
			fields: []field{
				{flag: "name", path: "name", help: "its name", needed: true},
				{flag: "type", path: "type", help: "EXTENSION: a service's password on the message bus", initial: "EXTENSION"},
				{flag: "ext", path: "extensionId", help: "external service that it stands for", kind: reference, nouns: []string{"ext"}, needed: true},
			},
			columns: []column{{"NAME", "name"}, {"TYPE", "type"}, {"OWNER", "owner"}, {"ORGANISATION", "org"}, {"ID", "id"}},
			once:    []column{{"SECRET (SHOWN ONLY NOW)", "token"}},
		},
		{
			word: "cert", what: "trusted certificate", path: api + "ssl/trustedCertificates", prefix: core.CertificatePrefix, constant: true,
			naming: naming{attribute: "alias"},
			fields: []field{
				{flag: "alias", path: "alias", help: "its name", needed: true},
				{flag: "file", path: "certificate", help: "PEM file with the certificate", kind: content, needed: true},
			},
			columns: []column{{"ALIAS", "alias"}, {"ID", "id"}},
		},
	}
}

func stageNames() string {
	list := ""
	for _, s := range core.Stages() {
		if list != "" {
			list += ", "
		}
		list += string(s)
	}
	return list
}

// completeFilter keeps pattern and content type from being there together,
// and gives a new pattern the scope of its system's kind.
func completeFilter(body map[string]any, given func(string) bool) {
	if given("response-type") {
		delete(body, "urlMatcher")
		return
	}
	if !given("url-pattern") {
		return
	}
	body["responseContentType"] = nil
	if m, ok := body["urlMatcher"].(map[string]any); ok && m["urlScope"] == nil {
		m["urlScope"] = string(core.ScopeAPI)
		if sys, ok := body["externalSystem"].(map[string]any); ok {
			if id, _ := sys["id"].(string); len(id) > len(core.EndpointPrefix) && id[:len(core.EndpointPrefix)] == core.EndpointPrefix {
				m["urlScope"] = string(core.ScopeExtAPI)
			}
		}
	}
}

func peopleNouns() []noun {
	org := field{flag: "org", path: "orgEntityRef", help: "organisation; by default your own", kind: reference, nouns: []string{"org"}, born: true}
	return []noun{
		{
			word: "org", what: "organisation", path: api + "orgs", prefix: core.OrgPrefix,
			naming: naming{attribute: "name"}, enabled: "isEnabled", recursive: true,
			fields: []field{
				{flag: "name", path: "name", help: "its name", needed: true},
				{flag: "display-name", path: "displayName", help: "what people call it", needed: true},
				description(),
				{flag: "enabled", path: "isEnabled", help: "whether its members may log in", kind: truth, initial: true},
			},
			columns: []column{{"NAME", "name"}, {"DISPLAY NAME", "displayName"}, {"ENABLED", "isEnabled"}, {"USERS", "userCount"}, {"ID", "id"}},
		},
		{
			word: "user", what: "user", path: api + "users", prefix: core.UserPrefix,
			naming: naming{attribute: "username", member: true}, enabled: "enabled",
			fields: []field{
				{flag: "name", path: "username", help: "the name to log in with", needed: true},
				org,
				{flag: "role", path: "roleEntityRefs", help: "role; may be repeated", kind: references, nouns: []string{"role"}},
				{flag: "password-file", path: "password", help: "file with the password in its first line; - for standard input", kind: secret},
				{flag: "full-name", path: "fullName", help: "what people call them"},
				{flag: "email", path: "email", help: "where to write to them"},
				description(),
				{flag: "enabled", path: "enabled", help: "whether they may log in", kind: truth, initial: true},
				{flag: "provider-type", path: "providerType", help: "LOCAL: logs in with a password; OAUTH: comes with a token of an issuer"},
			},
			columns: []column{{"NAME", "username"}, {"ORGANISATION", "orgEntityRef"}, {"ROLES", "roleEntityRefs"}, {"ENABLED", "enabled"}, {"FULL NAME", "fullName"}},
		},
		{
			word: "role", what: "role", path: api + "roles", prefix: core.RolePrefix, sub: "rights",
			naming: naming{attribute: "name"},
			fields: []field{
				{flag: "name", path: "name", help: "its name", needed: true},
				description(),
				{flag: "bundle-key", path: "bundleKey", help: "key of its translations"},
				{flag: "right", help: "right that it holds; may be repeated, and replaces all that it held", kind: members, nouns: []string{"right"}},
			},
			columns: []column{{"NAME", "name"}, {"READ ONLY", "readOnly"}, {"DESCRIPTION", "description"}, {"ID", "id"}},
		},
		{
			word: "issuer", what: "OpenID Connect issuer", path: api + "oidcIssuers", prefix: core.IssuerPrefix,
			naming: naming{attribute: "name"}, enabled: "enabled",
			fields: []field{
				{flag: "name", path: "name", help: "its name", needed: true},
				{flag: "org", path: "orgEntityRef", help: "organisation whose users it names", kind: reference, nouns: []string{"org"}, needed: true, born: true},
				{flag: "url", path: "url", help: "https URL of the issuer, as its tokens name it", needed: true},
				{flag: "audience", path: "audience", help: "what the aud claim must hold", needed: true},
				{flag: "user-claim", path: "userClaim", help: "claim that names the user; by default preferred_username, email or sub"},
				{flag: "role-claim", path: "roleClaim", help: "claim that names roles"},
				{flag: "default-role", path: "defaultRoleEntityRefs", help: "role of users that are seen for the first time; may be repeated", kind: references, nouns: []string{"role"}},
				{flag: "auto-create", path: "autoCreate", help: "make users that are seen for the first time", kind: truth},
				enabledField(),
				{flag: "ca", path: "ca", help: "PEM file with the authority of its server", kind: content},
			},
			columns: []column{{"NAME", "name"}, {"ORGANISATION", "orgEntityRef"}, {"URL", "url"}, {"ENABLED", "enabled"}},
		},
	}
}
