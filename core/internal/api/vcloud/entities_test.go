package vcloud

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// estate is a house whose service has one of everything below it.
type estate struct {
	*house
	org, right, user                          string // URNs
	class, action, definition, resource, rule string // paths
}

const vmext = ` xmlns:vmext="http://www.vmware.com/vcloud/extension/v1.5" xmlns:vcloud="http://www.vmware.com/vcloud/v1.5" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`

const (
	bodyClass = `<vmext:ResourceClass name="Backup"` + vmext + `><vcloud:Description>what is kept</vcloud:Description>` +
		`<vmext:MimeType>mimeTypeFoo+xml</vmext:MimeType><vmext:UrlTemplate>{baseUri}foo/fooType/{resourceId}</vmext:UrlTemplate>` +
		`<vmext:Nid>nidFoo</vmext:Nid><vmext:UrnPattern>^myNssFoo(?&lt;id&gt;[0-9]*)</vmext:UrnPattern></vmext:ResourceClass>`
	bodyAction = `<vmext:ResourceClassAction name="Read backups"` + vmext + `><vmext:HttpMethod>GET</vmext:HttpMethod>` +
		`<vmext:UrlPattern>/api/backup/(?&lt;id&gt;[-,a-g,0-9]*)</vmext:UrlPattern></vmext:ResourceClassAction>`
	bodyLink = `<vmext:ServiceLink` + vmext + `><vmext:LinkHref>{baseUri}org/{resourceId}/currentTime</vmext:LinkHref><vmext:MimeType>text/plain</vmext:MimeType>` +
		`<vmext:Rel>down:currentTime</vmext:Rel><vmext:ResourceType>application/vnd.vmware.vcloud.org+xml</vmext:ResourceType>` +
		`<vmext:ResourceId>urn:vcloud:org:a93c9db9-7471-3192-8d09-a8f7eeda85f9</vmext:ResourceId><vmext:ExternalResourceId>x</vmext:ExternalResourceId></vmext:ServiceLink>`
	bodyDefinition = `<vmext:ApiDefinition name="loadBalancerApi" operationKey="apiDef:loadBalancer"` + vmext + `><vcloud:Description>Some description</vcloud:Description>` +
		`<vmext:EntryPoint>{baseUri}/loadBalancer</vmext:EntryPoint><vmext:Namespace>com.acme.lb</vmext:Namespace><vmext:ApiVendor>Acme</vmext:ApiVendor>` +
		`<vmext:SupportedApiVersions><vmext:Version>100</vmext:Version><vmext:Version>1001</vmext:Version></vmext:SupportedApiVersions>` +
		`<vmext:Files><vmext:FileDescriptor><vmext:Description>all of them</vmext:Description>` +
		`<vmext:File name="descriptors" type="application/zip" href="{baseUri}/lb/descriptors.zip"/></vmext:FileDescriptor></vmext:Files></vmext:ApiDefinition>`
	bodyFile = `<vmext:FileDescriptor` + vmext + `><vmext:Description>read it</vmext:Description>` +
		`<vmext:File name="readme" type="application/pdf" href="https://filestore/readme.pdf"/></vmext:FileDescriptor>`
)

func bodyResource(org string) string {
	return `<vmext:ServiceResource name="res-backup-1"` + vmext + `><vmext:Org type="application/vnd.vmware.admin.organization+xml" name="" href="https://10.23.118.207/api/admin/org/` +
		strings.TrimPrefix(org, core.OrgPrefix) + `"/><vmext:ExternalObjectId>123-456</vmext:ExternalObjectId></vmext:ServiceResource>`
}

func bodyRule(right string) string {
	return `<vmext:AclRule name="who"` + vmext + `><vmext:ServiceResourceAccess><vmext:Access>Shared</vmext:Access></vmext:ServiceResourceAccess>` +
		`<vmext:OrganizationAccess><vmext:Access>Published</vmext:Access></vmext:OrganizationAccess><vmext:PrincipalAccess><vmext:Access>Entity</vmext:Access>` +
		`<vmext:Entity xsi:type="vcloud:ResourceReferenceType" type="application/vnd.vmware.admin.right+xml" href="https://localhost:8443/api/admin/right/` +
		strings.TrimPrefix(right, core.RightPrefix) + `"/></vmext:PrincipalAccess></vmext:AclRule>`
}

func settle(t *testing.T) *estate {
	t.Helper()
	e := &estate{house: build(t)}
	o, err := e.catalog.Orgs.ByUnique(t.Context(), "name/acme")
	e.must(err)
	e.org = o.ID
	for u, err := range e.catalog.Users.Under(t.Context(), o.ID) {
		e.must(err)
		e.user = u.ID
	}
	path, _ := e.make(e.path+"/rights", `<vcloud:Right name="look"`+vmext+`><vcloud:Category>c</vcloud:Category></vcloud:Right>`)
	e.right = core.RightPrefix + path[strings.LastIndexByte(path, '/')+1:]
	e.class, _ = e.make(e.path+"/resourceclasses", bodyClass)
	e.action, _ = e.make(e.class+"/resourceclassactions", bodyAction)
	e.definition, _ = e.make(e.path+"/apidefinitions", bodyDefinition)
	e.resource, _ = e.make(e.class+"/serviceresources", bodyResource(e.org))
	e.rule, _ = e.make(e.action+"/aclrules", bodyRule(e.right))
	return e
}

func TestEveryEntityLivesItsLife(t *testing.T) {
	t.Parallel()
	e := settle(t)
	for name, c := range map[string]struct{ list, also, word, body string }{
		"apifilter":           {list: e.path + "/apifilters", word: "apifilter", body: bodyFilter},
		"servicelink":         {list: e.path + "/links", word: "link", body: bodyLink},
		"apidefinition":       {list: e.path + "/apidefinitions", also: e.path + "/definitions", word: "apidefinition", body: strings.ReplaceAll(bodyDefinition, "apiDef:", "other:")},
		"filedescriptor":      {list: e.definition + "/files", also: strings.Replace(e.definition, "/apidefinition/", "/definition/", 1) + "/files", word: "file", body: bodyFile},
		"resourceclass":       {list: e.path + "/resourceclasses", word: "resourceclass", body: bodyClass},
		"resourceclassaction": {list: e.class + "/resourceclassactions", word: "resourceclassaction", body: bodyAction},
		"serviceresource":     {list: e.class + "/serviceresources", word: "serviceresource", body: strings.ReplaceAll(bodyResource(e.org), "123-456", "other")},
		"aclrule":             {list: e.action + "/aclrules", word: "aclrule", body: bodyRule(e.right)},
	} {
		t.Run(name, func(t *testing.T) {
			h := e.in(t)
			get := func(target, accept string) string {
				t.Helper()
				return h.expect(h.send(h.administrator, "GET", target, "", "Accept", accept), 200)
			}
			item, shown := h.make(c.list, c.body)
			if !strings.HasPrefix(item, servicePath+"/"+c.word+"/") {
				t.Fatalf("made at %s", item)
			}
			golden(t, name+".xml", shown)
			if got := get(item, anyXML); got != shown {
				t.Errorf("shown as\n%s\nand at first\n%s", got, shown)
			}
			asJSON := get(item, anyJSON)
			golden(t, name+".json", asJSON)
			for _, format := range []string{"records", "idrecords", "references"} {
				page := c.list + "?format=" + format + "&filter=id==" + item[strings.LastIndexByte(item, '/')+1:]
				xml := get(page, anyXML)
				if root, err := vxml.ParseXML([]byte(xml)); err != nil || root.Attr("total") != "1" {
					t.Errorf("%v, %s", err, xml)
				}
				golden(t, name+"-"+format+".xml", xml)
				golden(t, name+"-"+format+".json", get(page, anyJSON))
			}
			if c.also != "" && get(c.also, anyXML) != strings.ReplaceAll(get(c.list, anyXML), c.list, c.also) {
				t.Errorf("%s is not %s", c.also, c.list)
			}
			h.expect(h.send(h.administrator, "PUT", item, c.body), 405)
			h.expect(h.send(h.administrator, "DELETE", item, "", "If-Match", `"1"`), 412)
			h.expect(h.send(h.administrator, "DELETE", item+"?force=False&recursive=False", ""), 204)
			h.expect(h.send(h.administrator, "GET", item, ""), 404)

			// What was shown in JSON can be sent as it is.
			w := h.send(h.administrator, "POST", c.list, strings.ReplaceAll(asJSON, base+"/api/lb", "{baseUri}lb"), "Content-Type", "application/vnd.x+json", "Accept", anyXML)
			again := h.expect(w, 201)
			if randomID.ReplaceAllString(again, "") != randomID.ReplaceAllString(shown, "") {
				t.Errorf("made of JSON it is\n%s\nwant\n%s", again, shown)
			}
			h.expect(h.send(h.administrator, "DELETE", strings.TrimPrefix(w.Header().Get("Location"), base), ""), 204)
		})
	}
}

func TestRightsLiveTheirLife(t *testing.T) {
	t.Parallel()
	e := settle(t)
	list := e.path + "/rights"
	item, shown := e.make(list, `<vcloud:Right name="TestExtensionRight"`+vmext+`><vcloud:Description>testDescription</vcloud:Description>`+
		`<vcloud:Category>testCategory</vcloud:Category><vcloud:BundleKey>testBundleKey</vcloud:BundleKey><vcloud:ServiceNamespace>other</vcloud:ServiceNamespace></vcloud:Right>`)
	if !strings.HasPrefix(item, "/api/admin/right/") || !strings.Contains(shown, `name="{VMWare.cse.1.0.0}:TestExtensionRight"`) {
		t.Fatalf("made at %s: %s", item, shown)
	}
	golden(t, "right.xml", shown)
	golden(t, "right.json", e.expect(e.send(e.administrator, "GET", item, "", "Accept", anyJSON), 200))
	golden(t, "rights.xml", e.expect(e.send(e.administrator, "GET", list, "", "Accept", anyXML), 200))
	golden(t, "rights.json", e.expect(e.send(e.administrator, "GET", list, "", "Accept", anyJSON), 200))
	urn := "/api/admin/right/" + core.RightPrefix + item[strings.LastIndexByte(item, '/')+1:]
	if got := e.expect(e.send(e.administrator, "GET", urn, "", "Accept", anyXML), 200); got != shown {
		t.Errorf("by its URN it is %s", got)
	}

	e.expect(e.send(e.administrator, "POST", list, `<Right name="TestExtensionRight"/>`), 409)
	e.expect(e.send(e.administrator, "POST", list, `<Right/>`), 400)

	w := e.send(e.administrator, "GET", item, "")
	tag := w.Header().Get("ETag")
	changed := e.expect(e.send(e.administrator, "PUT", item, `<Right name="whatever"><Description>new</Description><Category>c2</Category></Right>`, "If-Match", tag), 200)
	root, err := vxml.ParseXML([]byte(changed))
	e.must(err)
	if root.Value("Description") != "new" || root.Value("Category") != "c2" || root.Value("BundleKey") != "" || root.Attr("name") != "{VMWare.cse.1.0.0}:TestExtensionRight" {
		t.Errorf("changed to %s", changed)
	}
	e.expect(e.send(e.administrator, "PUT", item, `<Right/>`, "If-Match", tag), 412)
	e.expect(e.send(e.administrator, "DELETE", item, "", "If-Match", tag), 412)

	// One that a rule or a role names stays, and the answer says who names it.
	used := "/api/admin/right/" + strings.TrimPrefix(e.right, core.RightPrefix)
	if body := e.expect(e.send(e.administrator, "DELETE", used, ""), 409); !strings.Contains(body, `ACL rule &#34;who&#34;`) {
		t.Errorf("refused by %s", body)
	}
	e.expect(e.send(e.administrator, "DELETE", e.rule, ""), 204)
	role, err := e.catalog.Roles.Create(t.Context(), "", core.Role{Name: "keeper", RightIDs: []string{e.right}})
	e.must(err)
	if body := e.expect(e.send(e.administrator, "DELETE", used, ""), 409); !strings.Contains(body, `role &#34;keeper&#34;`) {
		t.Errorf("refused by %s", body)
	}
	e.must(e.catalog.Roles.Delete(t.Context(), role.ID, nil))
	e.expect(e.send(e.administrator, "DELETE", used, ""), 204)
	e.expect(e.send(e.administrator, "DELETE", item, ""), 204)
	e.expect(e.send(e.administrator, "GET", item, ""), 404)

	builtIn, err := e.catalog.Rights.Create(t.Context(), "", core.Right{Name: "User: View"})
	e.must(err)
	target := "/api/admin/right/" + strings.TrimPrefix(builtIn.ID, core.RightPrefix)
	e.expect(e.send(e.administrator, "GET", target, ""), 200)
	e.expect(e.send(e.administrator, "PUT", target, `<Right/>`), 400)
	e.expect(e.send(e.administrator, "DELETE", target, ""), 400)
	for _, missing := range []string{"/api/admin/right", "/api/admin/right/x", "/api/admin/right/" + core.NewUUID(), target + "/x"} {
		e.expect(e.send(e.administrator, "GET", missing, ""), 404)
		e.expect(e.send(e.tenant, "GET", missing, ""), 403)
		e.expect(e.send("", "GET", missing, ""), 401)
	}
}

func TestSeveralRightsAtOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	list := h.path + "/rights"
	names := func() string {
		root, err := vxml.ParseXML([]byte(h.expect(h.send(h.administrator, "GET", list, "", "Accept", anyXML), 200)))
		h.must(err)
		var out []string
		for _, r := range root.Children {
			if r.Name == "Right" {
				out = append(out, strings.TrimPrefix(r.Attr("name"), "{VMWare.cse.1.0.0}:"))
			}
		}
		return fmt.Sprint(len(out), " ", strings.Contains(strings.Join(out, ","), "b"))
	}
	update := func(method, body, contentType string, status int) {
		t.Helper()
		h.expect(h.send(h.administrator, method, list, body, "Content-Type", contentType), status)
	}
	update("POST", `<vmext:UpdateRightsParams`+vmext+`><vmext:AddRight name="a"><vcloud:Category>c</vcloud:Category></vmext:AddRight><vmext:AddRight name="b"/></vmext:UpdateRightsParams>`, "application/vnd.vmware.admin.updateRightsParams+xml", 200)
	if got := names(); got != "2 true" {
		t.Fatalf("rights %s", got)
	}
	update("POST", `{"addRight":[{"name":"c"}],"removeRight":["a","{VMWare.cse.1.0.0}:b"]}`, "application/json", 200)
	if got := names(); got != "1 false" {
		t.Fatalf("rights %s", got)
	}
	update("PUT", `<UpdateRightsParams><AddRight name="b"/><RemoveRight>nobody</RemoveRight></UpdateRightsParams>`, "application/xml", 400)
	update("PUT", `<UpdateRightsParams><AddRight name="b"/><AddRight name="c"/></UpdateRightsParams>`, "application/xml", 409)
	update("PUT", `<UpdateRightsParams><RightToAdd/></UpdateRightsParams>`, "application/xml", 400)
	if got := names(); got != "1 false" {
		t.Fatalf("rights %s: something of what failed was kept", got)
	}
	update("PUT", `<UpdateRightsParams><RemoveRight>c</RemoveRight></UpdateRightsParams>`, "application/xml", 200)
	if got := names(); got != "0 false" {
		t.Fatalf("rights %s", got)
	}
}

func TestUnusedRightsAreCleared(t *testing.T) {
	t.Parallel()
	e := settle(t)
	_, err := e.catalog.Roles.Create(t.Context(), "", core.Role{Name: "keeper", RightIDs: []string{e.right}})
	e.must(err)
	e.expect(e.send(e.administrator, "PUT", e.path, `<Service><Enabled>false</Enabled></Service>`), 200)
	e.expect(e.send(e.administrator, "DELETE", e.path, ""), 204)
	used := "/api/admin/right/" + strings.TrimPrefix(e.right, core.RightPrefix)
	e.expect(e.send(e.administrator, "POST", servicePath+"/action/clearUnusedRights", ""), 204)
	e.expect(e.send(e.administrator, "GET", used, ""), 200)
	for r, err := range e.catalog.Roles.All(t.Context()) {
		e.must(err)
		if r.Name == "keeper" {
			e.must(e.catalog.Roles.Delete(t.Context(), r.ID, nil))
		}
	}
	e.expect(e.send(e.administrator, "POST", servicePath+"/action/CLEARUNUSEDRIGHTS", ""), 204)
	e.expect(e.send(e.administrator, "GET", used, ""), 404)
	e.expect(e.send(e.administrator, "GET", servicePath+"/action/clearunusedrights", ""), 405)
	e.expect(e.send(e.administrator, "POST", servicePath+"/action/other", ""), 404)
}

func TestJSONIsJSON(t *testing.T) {
	t.Parallel()
	e := settle(t)
	for _, target := range []string{e.path, e.class, e.action, e.definition, e.resource, e.rule, e.path + "/rights", servicePath + "/query", servicePath} {
		if body := e.expect(e.send(e.administrator, "GET", target, "", "Accept", anyJSON), 200); !json.Valid([]byte(body)) {
			t.Errorf("%s: %s", target, body)
		}
	}
}
