package cloudapi_test

import (
	"strings"
	"testing"
)

// framework is a service with one of each of what can belong to it.
type framework struct{ service, right, class, action, resource, rule, link, definition, file string }

func (h *house) addFramework() framework {
	h.t.Helper()
	id := func(path, body string) string {
		h.t.Helper()
		return h.post("/cloudapi/extensions/"+path, body).want(201)["id"].(string)
	}
	f := framework{service: id("api", `{"vendor":"acme","name":"backup","version":"1.0.0"}`)}
	of := `"service":{"id":"` + f.service + `","name":""},`
	f.right = id("rights", `{`+of+`"name":"Restore","category":"Backup"}`)
	f.class = id("resourceClasses", `{`+of+`"name":"backup","mimeType":"application/vnd.acme.backup+xml","nid":"acme","urnPattern":"(?<id>.*)"}`)
	class := `"resourceClass":{"id":"` + f.class + `","name":""},`
	f.action = id("resourceClassActions", `{`+class+`"name":"view","httpMethod":"GET","urlPattern":"/api/backup/(?<id>.*)"}`)
	f.resource = id("serviceResources", `{`+class+`"name":"monday","externalObjectId":"b-1","org":{"id":"`+h.acmeID+`","name":""}}`)
	f.rule = id("aclRules", `{"resourceClassAction":{"id":"`+f.action+`","name":""},"name":"viewers","organizationAccess":{"access":"Published"},`+
		`"serviceResourceAccess":{"access":"Entity","entity":{"id":"`+f.resource+`","name":""}},"principalAccess":{"access":"Entity","entity":{"id":"`+f.right+`","name":""}}}`)
	f.link = id("serviceLinks", `{`+of+`"linkHref":"{baseUri}/backup","mimeType":"a/b","rel":"down:backup","resourceType":"application/vnd.vmware.vcloud.org+xml"}`)
	f.definition = id("apiDefinitions", `{`+of+`"name":"backup API","entryPoint":"{baseUri}/backup","supportedApiVersions":["1.0"]}`)
	f.file = id("fileDescriptors", `{"apiDefinition":{"id":"`+f.definition+`","name":""},"name":"schema","href":"{baseUri}/backup.xsd"}`)
	return f
}

func TestTheFrameworkIsShownAsItIsSentBack(t *testing.T) {
	h := newHouse(t)
	f := h.addFramework()
	for path, id := range map[string]string{
		"rights": f.right, "resourceClasses": f.class, "resourceClassActions": f.action, "serviceResources": f.resource,
		"aclRules": f.rule, "serviceLinks": f.link, "apiDefinitions": f.definition, "fileDescriptors": f.file,
	} {
		item := "/cloudapi/extensions/" + path + "/" + id
		shown := h.get(item)
		shown.want(200)
		again := h.put(item, string(shown.body))
		again.want(200)
		if string(shown.body) != string(again.body) {
			t.Errorf("%s shows\n%s\nand after it was sent back\n%s", path, string(shown.body), string(again.body))
		}
		if strings.Contains(string(shown.body), `"name":""`) {
			t.Errorf("%s leaves a name out: %s", path, string(shown.body))
		}
		h.do(call{method: "GET", target: item, token: h.tenant}).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "")
		list := h.get("/cloudapi/extensions/" + path + "?filter=id==" + id).want(200)
		if list["resultTotal"] != 1.0 {
			t.Errorf("%s lists %v", path, list)
		}
	}
}

func TestTheFrameworkRefusesWhatCannotBe(t *testing.T) {
	h := newHouse(t)
	f := h.addFramework()
	for _, c := range []struct{ name, method, path, body, want string }{
		{"a class of nobody", "POST", "resourceClasses", `{"name":"x","mimeType":"a/b"}`, "service: what it belongs to is missing"},
		{"a class of an endpoint", "POST", "resourceClasses", `{"service":{"id":"urn:vcloud:extensionEndpoint:a:b:1.0.0","name":""},"name":"x","mimeType":"a/b"}`, "no external service"},
		{"a class that moves", "PUT", "resourceClasses/" + f.class, `{"service":{"id":"urn:vcloud:extension-api:a:b:1.0.0","name":""},"name":"x","mimeType":"a/b"}`, "cannot be changed"},
		{"an action with a group that is not id", "PUT", "resourceClassActions/" + f.action, `{"name":"x","httpMethod":"GET","urlPattern":"(?<other>.*)"}`, "group"},
		{"an action with a method that is none", "PUT", "resourceClassActions/" + f.action, `{"name":"x","httpMethod":"PATCH","urlPattern":".*"}`, "HttpMethod"},
		{"a resource of no organisation", "POST", "serviceResources", `{"resourceClass":{"id":"` + f.class + `","name":""},"name":"x","externalObjectId":"y"}`, "org:"},
		{"a rule about a resource that is not there", "PUT", "aclRules/" + f.rule, `{"name":"x","serviceResourceAccess":{"access":"Entity","entity":{"id":"urn:vcloud:serviceResource:x","name":""}}}`, "ServiceResourceAccess"},
		{"a rule that reaches too far", "PUT", "aclRules/" + f.rule, `{"name":"x","principalAccess":{"access":"Published"}}`, "PrincipalAccess"},
		{"a right without a name", "POST", "rights", `{"service":{"id":"` + f.service + `","name":""},"name":""}`, "name"},
		{"a right of a service that is not there", "POST", "rights", `{"service":{"id":"urn:vcloud:extension-api:a:b:1.0.0","name":""},"name":"x"}`, "no external service"},
		{"a link without a relation", "PUT", "serviceLinks/" + f.link, `{"linkHref":"x","mimeType":"a/b","resourceType":"c/d"}`, "Rel"},
		{"a key that is not known", "PUT", "apiDefinitions/" + f.definition, `{"name":"x","entrypoint":"y"}`, "entryPoint"},
		{"a file without a place", "PUT", "fileDescriptors/" + f.file, `{"name":"x","href":""}`, "href"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.do(call{method: c.method, target: "/cloudapi/extensions/" + c.path, body: c.body}).wantError(400, "BAD_REQUEST", c.want)
		})
	}
	h.delete("/cloudapi/extensions/rights/"+f.right).wantError(409, "CONFLICT", "in use")
	h.delete("/cloudapi/extensions/serviceResources/"+f.resource).wantError(409, "CONFLICT", "in use")
}

func TestBuiltInRightsStayAsTheyAre(t *testing.T) {
	h := newHouse(t)
	list := h.get("/cloudapi/extensions/rights?filter=name==User*&sortAsc=name").want(200)["values"].([]any)
	item := "/cloudapi/extensions/rights/" + list[0].(map[string]any)["id"].(string)
	h.put(item, `{"name":"x","description":"y"}`).wantError(400, "BAD_REQUEST", "built in")
	h.delete(item).wantError(409, "CONFLICT", "in use by the role")
}
