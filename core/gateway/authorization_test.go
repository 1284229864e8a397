package gateway_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

const extension = "/api/admin/extension/service/"

// post makes something by a document in XML and gives its uuid.
func (h *house) post(path, body string) string {
	h.Helper()
	got := h.as(h.token, "POST", path, `<?xml version="1.0" encoding="UTF-8"?>`+body, "Accept", "application/*+xml;version=38.0")
	location := got.header.Get("Location")
	if got.status != 201 || !strings.Contains(location, "/api/admin/") {
		h.Fatalf("POST %s: %d %s", path, got.status, got.body)
	}
	return location[strings.LastIndexByte(location, '/')+1:]
}

// linked gives the address that a service's Link header has, as an author
// finds it.
func (h *house) linked(id, what string) string {
	h.Helper()
	got := h.as(h.token, "GET", "/cloudapi/extensions/api/"+id, "")
	m := regexp.MustCompile(`<[^<>]*(/api/admin/extension/service/[^<>/]*/` + what + `)>`).FindStringSubmatch(got.header.Get("Link"))
	if m == nil {
		h.Fatalf("no link to %s in %q", what, got.header.Get("Link"))
	}
	return m[1]
}

func element(name, attributes, children string) string {
	return `<vmext:` + name + ` xmlns:vmext="http://www.vmware.com/vcloud/extension/v1.5" xmlns:vcloud="http://www.vmware.com/vcloud/v1.5"` +
		` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ` + attributes + `>` + children + `</vmext:` + name + `>`
}

// rule allows an action for everything, all organisations and a principal.
func rule(principal string) string {
	return element("AclRule", `name="Acl for the resource Type Backup and shared Org"`,
		`<vmext:ServiceResourceAccess><vmext:Access>Shared</vmext:Access></vmext:ServiceResourceAccess>`+
			`<vmext:OrganizationAccess><vmext:Access>Published</vmext:Access></vmext:OrganizationAccess>`+
			`<vmext:PrincipalAccess>`+principal+`</vmext:PrincipalAccess>`)
}

// may demands that calls with these tokens have these outcomes.
func (h *house) may(path string, want map[string]int) {
	h.Helper()
	for token, status := range want {
		if got := h.as(token, "GET", path, ""); got.status != status {
			h.Errorf("GET %s: %d %s, want %d", path, got.status, got.body, status)
		}
	}
}

// clock is a service that answers every request, with authorization as told.
func (h *house) clock() (id string) {
	h.Helper()
	id = h.service("test", 100, filter(core.ScopeAPI, "/api/org/.*/currentTime"))
	h.listen(id, "test", func(r wire.Request) []byte { return reply(r, 200, "now", "Content-Type", "text/plain") })
	return id
}

func (h *house) authorize(id string, on bool) {
	h.Helper()
	got := h.as(h.token, "PUT", "/cloudapi/extensions/api/"+id, fmt.Sprintf(
		`{"name":"test","version":"1.0.0","vendor":"acme","priority":100,"enabled":true,"authorizationEnabled":%v}`, on), "Content-Type", "application/json")
	if got.status != 200 {
		h.Fatalf("authorizationEnabled %v: %d %s", on, got.status, got.body)
	}
}

func TestAuthorizationOnOrganisationsAndARight(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	alice, acme, aliceID := h.member("acme", "alice")
	bob, _, bobID := h.member("other", "bob")
	id := h.clock()
	acmeUUID := strings.TrimPrefix(acme, core.OrgPrefix)
	path := "/api/org/" + acmeUUID + "/currentTime"

	// Without authorization everybody may; with it, and nothing else, nobody.
	h.may(path, map[string]int{alice: 200, bob: 200, h.token: 200})
	h.authorize(id, true)
	h.may(path, map[string]int{alice: 403, bob: 403, h.token: 403})

	right := h.post(h.linked(id, "rights"), `<vcloud:Right xmlns:vcloud="http://www.vmware.com/vcloud/v1.5" name="TestExtensionRight">`+
		`<vcloud:Description>testDescription</vcloud:Description><vcloud:Category>testCategory</vcloud:Category><vcloud:BundleKey>testBundleKey</vcloud:BundleKey>`+
		`<vcloud:ServiceNamespace>ServiceNamespace</vcloud:ServiceNamespace></vcloud:Right>`)
	class := h.post(h.linked(id, "resourceclasses"), element("ResourceClass", `name="org"`,
		`<vmext:MimeType>application/vnd.vmware.admin.organization+xml</vmext:MimeType><vmext:Nid>org</vmext:Nid>`))
	action := h.post(extension+"resourceclass/"+class+"/resourceclassactions", element("ResourceClassAction", `name="Get current time"`,
		`<vmext:HttpMethod>GET</vmext:HttpMethod><vmext:UrlPattern>/api/org/(?&lt;id&gt;[-,a-g,0-9]+)/currentTime</vmext:UrlPattern>`))
	h.may(path, map[string]int{alice: 403, h.token: 403})
	h.post(extension+"resourceclassaction/"+action+"/aclrules", rule(`<vmext:Access>Entity</vmext:Access>`+
		`<vmext:Entity xsi:type="vcloud:ResourceReferenceType" type="application/vnd.vmware.admin.right+xml" href="https://localhost:8443/api/admin/right/`+right+`"></vmext:Entity>`))

	// System administrators hold every right; the others not yet.
	h.may(path, map[string]int{alice: 403, bob: 403, h.token: 200})
	tenant := []string{"Content-Type", "application/json", "X-VMWARE-VCLOUD-TENANT-CONTEXT", acmeUUID}
	got := h.as(h.token, "POST", "/cloudapi/1.0.0/roles", `{"name":"timekeepers"}`, tenant...)
	role := core.RolePrefix + regexp.MustCompile(`urn:vcloud:role:([-0-9a-f]+)`).FindStringSubmatch(got.body)[1]
	got = h.as(h.token, "POST", "/cloudapi/1.0.0/roles/"+role+"/rights", fmt.Sprintf(`{"values":[{"id":%q}]}`, core.RightPrefix+right), tenant...)
	if got.status != 200 {
		t.Fatalf("the right of the role: %d %s", got.status, got.body)
	}
	h.give(aliceID, role)
	h.may(path, map[string]int{alice: 200, bob: 403, h.token: 200})

	// The same question by the API.
	check := func(user string) string {
		t.Helper()
		got := h.as(h.token, "POST", extension+"authorizationcheck", element("AuthorizationCheckParams", "",
			`<vmext:User href="https://h/api/admin/user/`+strings.TrimPrefix(user, core.UserPrefix)+`"/><vmext:HttpMethod>GET</vmext:HttpMethod><vmext:URL>`+path+`</vmext:URL>`))
		return regexp.MustCompile(`IsAuthorized>(\w+)<`).FindString(got.body)
	}
	if a, b := check(aliceID), check(bobID); a != "IsAuthorized>true<" || b != "IsAuthorized>false<" {
		t.Errorf("alice %s, bob %s", a, b)
	}

	// The id must be an organisation's, and HEAD is judged as GET.
	h.may("/api/org/00000000-0000-4000-8000-00000000abcd/currentTime", map[string]int{alice: 403, h.token: 403})
	if got := h.as(alice, "HEAD", path, ""); got.status != 200 {
		t.Errorf("HEAD: %d", got.status)
	}
	if got := h.as(alice, "POST", path, ""); got.status != 403 {
		t.Errorf("POST: %d", got.status)
	}

	// A right that is in use stays; once it is taken away it counts at once.
	if got := h.as(h.token, "DELETE", "/api/admin/right/"+right, ""); got.status != 409 {
		t.Errorf("deleting the right: %d %s", got.status, got.body)
	}
	h.give(aliceID, h.find("/cloudapi/1.0.0/roles", "name==Organization%20Administrator"))
	h.may(path, map[string]int{alice: 403})
	h.authorize(id, false)
	h.may(path, map[string]int{alice: 200, bob: 200})
}

// give makes a role the only one that a user has.
func (h *house) give(user, role string) {
	h.Helper()
	h.edit("/cloudapi/1.0.0/users/"+user, "roleEntityRefs", []map[string]string{{"id": role}})
}

func TestAuthorizationOnResourcesOfAService(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	alice, _, _ := h.member("acme", "alice")
	bob, _, _ := h.member("other", "bob")
	id := h.clock()
	h.filters(id, filter(core.ScopeAPI, "/api/customResource1/[-,a-g,0-9]+/getResource"))
	h.authorize(id, true)
	class := h.post(h.linked(id, "resourceclasses"), element("ResourceClass", `name="customResource1"`,
		`<vmext:MimeType>application/customResource1+xml</vmext:MimeType><vmext:Nid>testNid</vmext:Nid>`))
	action := h.post(extension+"resourceclass/"+class+"/resourceclassactions", element("ResourceClassAction", `name="Get current time"`,
		`<vmext:HttpMethod>GET</vmext:HttpMethod><vmext:UrlPattern>/api/customResource1/(?&lt;id&gt;[-,a-g,0-9]+)/getResource</vmext:UrlPattern>`))
	h.post(extension+"resourceclassaction/"+action+"/aclrules", rule(`<vmext:Access>Shared</vmext:Access>`))
	path := "/api/customResource1/123-456-ab/getResource"
	h.may(path, map[string]int{alice: 403, bob: 403, h.token: 403})
	resource := h.post(extension+"resourceclass/"+class+"/serviceresources", element("ServiceResource", `name="res-backup-1"`,
		`<vmext:Org type="application/vnd.vmware.admin.organization+xml" name="" href="https://localhost:8443/api/admin/org/a93c9db9-7471-3192-8d09-a8f7eeda85f9"/>`+
			`<vmext:ExternalObjectId>123-456-ab</vmext:ExternalObjectId>`))
	h.may(path, map[string]int{alice: 200, bob: 200, h.token: 200})
	h.may("/api/customResource1/123-456-ac/getResource", map[string]int{alice: 403, h.token: 403})
	if got := h.do("GET", path, ""); got.status != 401 {
		t.Errorf("nobody: %d %s", got.status, got.body)
	}
	if got := h.as(h.token, "DELETE", extension+"serviceresource/"+resource, ""); got.status != 204 {
		t.Errorf("deleting the resource: %d %s", got.status, got.body)
	}
	h.may(path, map[string]int{alice: 403})
}

func TestAServiceOnAMQPIsKeptWithoutABroker(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	service := h.post("/api/admin/extension/service", element("Service", `name="backup"`,
		`<vmext:Namespace>com.acme.backup</vmext:Namespace><vmext:Enabled>true</vmext:Enabled><vmext:RoutingKey>k</vmext:RoutingKey><vmext:Exchange>x</vmext:Exchange>`+
			`<vmext:ApiFilters><vmext:ApiFilter><vmext:UrlPattern>/api/backup/.*</vmext:UrlPattern></vmext:ApiFilter></vmext:ApiFilters>`))
	got := h.as(h.token, "GET", "/api/backup/1", "")
	if got.status != 503 || !strings.Contains(got.body, "com.acme.backup") {
		t.Errorf("a call gives %d %s", got.status, got.body)
	}
	h.may("/readyz", map[string]int{"": 200})
	h.as(h.token, "PUT", extension+service, `<Service><Enabled>false</Enabled></Service>`)
	h.may("/api/backup/1", map[string]int{h.token: 404})
}

func TestSchemaFilesAreServedToEverybody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for _, file := range []string{"master.xsd", "vmwextensions.xsd"} {
		if got := h.do("GET", "/api/v1.5/schema/"+file, ""); got.status != 200 || !strings.Contains(got.body, "<xs:schema") {
			t.Errorf("%s: %d %s", file, got.status, got.body)
		}
	}
	if got := h.do("GET", "/api/v1.5/schema/x.xsd", ""); got.status != 401 {
		t.Errorf("another file: %d", got.status)
	}
}
