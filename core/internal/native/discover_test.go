package native_test

import (
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// id is an uuid that is easily told from others.
func id(n string) string { return strings.Repeat("0", 8-len(n)) + n + "-0000-4000-8000-000000000000" }

func create[E any](t *testing.T, table *catalog.Table[E], e E) E {
	t.Helper()
	e, err := table.Create(t.Context(), "", e)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// furnished is a house with something of every kind. The second service is
// disabled.
func furnished(t *testing.T) (h *house, svc, off core.System) {
	t.Helper()
	h = open(t, nil)
	svc, off = h.service("balancer", 90), h.service("off", 10)
	for n, s := range map[string]core.System{"1": svc, "2": off} {
		create(t, h.cat.Links, core.Link{ID: core.LinkPrefix + id("a"+n), System: s.ID, Href: "{baseUri}x", MimeType: "text/plain", Rel: "down:x", ResourceType: "text/x"})
		create(t, h.cat.Filters, core.Filter{ID: core.FilterPrefix + id("b"+n), System: s.ID, Scope: core.ScopeAPI, URLPattern: "/api/" + s.Name + "/.*"})
		create(t, h.cat.Definitions, core.APIDefinition{
			ID: core.DefinitionPrefix + id("c"+n), System: s.ID, Name: s.Name + "Api", Description: "Some description", EntryPoint: "{baseUri}/loadBalancer",
			Namespace: "com.lirex.loadBalancer", APIVendor: "Lirex", Versions: []string{"100", "1001"},
		})
		create(t, h.cat.Files, core.FileDescriptor{
			ID: core.FilePrefix + id("d"+n), Definition: core.DefinitionPrefix + id("c"+n), Name: "descriptors", Description: "Load balancer descriptors archive",
			MimeType: "application/zip", Href: "{baseUri}/loadBalancerDescriptors/descriptors.zip",
		})
		create(t, h.cat.Classes, core.ResourceClass{
			ID: core.ClassPrefix + id("e"+n), System: s.ID, Name: "Backup", MimeType: "mimeTypeFoo+xml", URLTemplate: "{baseUri}foo/fooType/{resourceId}", NID: "nidFoo", URNPattern: "^myNssFoo(?<id>[0-9]*)",
		})
		create(t, h.cat.Actions, core.ResourceClassAction{ID: core.ActionPrefix + id("f"+n), Class: core.ClassPrefix + id("e"+n), Name: "read", HTTPMethod: "GET", URLPattern: "/api/foo/(?<id>[0-9]+)"})
		create(t, h.cat.Resources, core.ServiceResource{ID: core.ResourcePrefix + id("10"+n), Class: core.ClassPrefix + id("e"+n), Name: "res", OrgID: core.OrgPrefix + acme, ExternalObjectID: "123-456"})
		create(t, h.cat.Rules, core.ACLRule{
			ID: core.RulePrefix + id("11"+n), Action: core.ActionPrefix + id("f"+n), Name: "rule",
			Resource: core.Reach{Access: core.AccessEntity, Entity: core.ResourcePrefix + id("10"+n)}, Org: core.Reach{Access: core.AccessPublished}, Principal: core.Reach{Access: core.AccessShared},
		})
	}
	create(t, h.cat.Rights, core.Right{ID: core.RightPrefix + id("12"), Name: "{acme.balancer.1.0.0}:look", Category: "Looking", ServiceNamespace: svc.Namespace})
	h.enable(off.ID, false)
	return h, svc, off
}

func TestWhatUsersFindOutAboutServices(t *testing.T) {
	t.Parallel()
	h, svc, _ := furnished(t)
	for name, path := range map[string]string{
		"extensibility":       "/api/extensibility",
		"services":            "/api/service",
		"service":             "/api/service/" + svc.UUID(),
		"service-definitions": "/api/service/" + svc.UUID() + "/apidefinitions",
		"definitions":         "/api/apidefinitions",
		"definition":          "/api/apidefinition/" + id("c1"),
		"files":               "/api/apidefinition/" + id("c1") + "/files",
		"file":                "/api/files/" + id("d1"),
		"entity":              "/api/entity/urn:nidFoo:myNssFoo17",
		"entity-org":          "/api/entity/" + core.OrgPrefix + acme,
		"entity-service":      "/api/entity/" + records.ServiceID(svc.ID),
		"querylist-member":    "/api/query",
		"vdc":                 "/api/vdc/" + strings.TrimPrefix(records.VDC{Org: core.Org{ID: core.OrgPrefix + acme}}.ID(), records.VDCPrefix),
	} {
		for _, form := range []string{"xml", "json"} {
			golden(t, "user-"+name+"."+form, bytesOf(t, get(t, h.Native, member(), path, "application/*+"+form+";version=38.0")))
		}
		// A slash at the end changes nothing.
		get(t, h.Native, member(), path+"/", "")
	}
	for _, path := range []string{"/api/service/query", "/api/apidefinitions/query", "/api/service/" + svc.UUID() + "/apidefinitions/query", "/api/apidefinition/" + id("c1") + "/files/query", "/api/file/" + id("d1"), "/api/service/" + records.ServiceID(svc.ID)} {
		get(t, h.Native, member(), path, "")
	}
}

func TestWhatIsDisabledIsNotThereForUsers(t *testing.T) {
	t.Parallel()
	h, svc, off := furnished(t)
	paths := func(s core.System, n string) []string {
		return []string{
			"/api/service/" + s.UUID(), "/api/service/" + s.UUID() + "/apidefinitions", "/api/apidefinition/" + id("c"+n), "/api/apidefinition/" + id("c"+n) + "/files", "/api/files/" + id("d"+n),
		}
	}
	for _, path := range append(paths(off, "2"), "/api/service/x", "/api/service/"+none+"/apidefinitions", "/api/apidefinition/"+none, "/api/files/"+none, "/api/service/"+svc.UUID()+"/x", "/api/files", "/api/apidefinition", "/api/vdc/"+none, "/api/vdc") {
		for _, who := range []core.Caller{member(), administrator()} {
			if m, err := h.Do(t.Context(), call(who, "GET", path)); err == nil || core.ErrorCode(err) != core.NotFound {
				t.Errorf("%s: %+v, %v", path, m.Response, err)
			}
		}
	}
	for _, path := range paths(svc, "1") {
		if _, err := h.Do(t.Context(), call(core.Caller{}, "GET", path)); core.ErrorCode(err) != core.Unauthenticated {
			t.Errorf("%s by nobody: %v", path, err)
		}
		if _, err := h.Do(t.Context(), call(administrator(), "POST", path)); core.ErrorCode(err) != core.NotAllowed {
			t.Errorf("POST %s: %v", path, err)
		}
	}
}

// hrefsOf lists the links of an element.
func hrefsOf(t *testing.T, h *house, who core.Caller, path string) string {
	t.Helper()
	m, err := h.Do(t.Context(), call(who, "GET", path))
	if err != nil {
		return string(core.ErrorCode(err))
	}
	root, err := vxml.ParseXML([]byte(bytesOf(t, *m.Response)))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range root.Children {
		if typ := c.Attr("type"); c.Name == "Link" && !strings.HasSuffix(typ, "+json") {
			out = append(out, strings.TrimPrefix(c.Attr("href"), "https://annex.test:8443"))
		}
	}
	return strings.Join(out, " ")
}

func TestTheEntityResolver(t *testing.T) {
	t.Parallel()
	h, svc, off := furnished(t)
	user := create(t, h.cat.Users, core.User{Name: "zoe", OrgID: core.OrgPrefix + acme, Enabled: true})
	role := create(t, h.cat.Roles, core.Role{Name: "Looker"})
	self := member()
	self.UserID = user.ID
	vdc := records.VDC{Org: core.Org{ID: core.OrgPrefix + other}}.ID()
	admin := "/api/admin/extension/service/"
	for urn, want := range map[string]struct{ member, administrator string }{
		core.OrgPrefix + acme:                   {"/api/org/" + acme + " /api/admin/org/" + acme, "/api/org/" + acme + " /api/admin/org/" + acme},
		core.OrgPrefix + strings.ToUpper(acme):  {"/api/org/" + acme + " /api/admin/org/" + acme, "/api/org/" + acme + " /api/admin/org/" + acme},
		core.OrgPrefix + other:                  {"not found", "/api/org/" + other + " /api/admin/org/" + other},
		vdc:                                     {"not found", "/api/vdc/" + strings.TrimPrefix(vdc, records.VDCPrefix)},
		user.ID:                                 {"/cloudapi/1.0.0/users/" + user.ID, "/cloudapi/1.0.0/users/" + user.ID},
		role.ID:                                 {"not found", "/cloudapi/1.0.0/roles/" + role.ID},
		svc.ID:                                  {"not found", "/cloudapi/extensions/api/" + svc.ID},
		records.ServiceID(svc.ID):               {"/api/service/" + svc.UUID(), "/api/service/" + svc.UUID() + " " + admin + svc.UUID()},
		records.ServiceID(off.ID):               {"not found", admin + off.UUID()},
		core.DefinitionPrefix + id("c1"):        {"/api/apidefinition/" + id("c1"), "/api/apidefinition/" + id("c1") + " " + admin + "apidefinition/" + id("c1")},
		core.DefinitionPrefix + id("c2"):        {"not found", admin + "apidefinition/" + id("c2")},
		core.FilePrefix + id("d1"):              {"/api/files/" + id("d1"), "/api/files/" + id("d1") + " " + admin + "file/" + id("d1")},
		core.FilterPrefix + id("b1"):            {"not found", admin + "apifilter/" + id("b1")},
		core.LinkPrefix + id("a1"):              {"not found", admin + "link/" + id("a1")},
		core.ClassPrefix + id("e1"):             {"not found", admin + "resourceclass/" + id("e1")},
		core.ActionPrefix + id("f1"):            {"not found", admin + "resourceclassaction/" + id("f1")},
		core.ResourcePrefix + id("101"):         {"not found", admin + "serviceresource/" + id("101")},
		core.RulePrefix + id("111"):             {"not found", admin + "aclrule/" + id("111")},
		core.RightPrefix + id("12"):             {"not found", "/api/admin/right/" + id("12")},
		"urn:nidFoo:myNssFoo17":                 {"/api/foo/fooType/17", "/api/foo/fooType/17"},
		"URN:NIDFOO:myNssFoo18":                 {"/api/foo/fooType/18", "/api/foo/fooType/18"},
		"urn:nidFoo:myNssFoo":                   {"/api/foo/fooType/", "/api/foo/fooType/"},
		"urn:nidFoo:other":                      {"not found", "not found"},
		"urn:nobody:x":                          {"not found", "not found"},
		"urn:vcloud:unknown:" + acme:            {"not found", "not found"},
		core.OrgPrefix + none:                   {"not found", "not found"},
		"no URN at all":                         {"not found", "not found"},
		core.EndpointPrefix + "acme:none:1.0.0": {"not found", "not found"},
	} {
		if got := hrefsOf(t, h, self, "/api/entity/"+urn); got != want.member {
			t.Errorf("%s leads a member to %q, want %q", urn, got, want.member)
		}
		if got := hrefsOf(t, h, administrator(), "/api/entity/"+urn); got != want.administrator {
			t.Errorf("%s leads an administrator to %q, want %q", urn, got, want.administrator)
		}
	}
	// Another class knows the same URNs; one without a template leads nowhere.
	create(t, h.cat.Classes, core.ResourceClass{System: svc.ID, Name: "Other", MimeType: "x+json", URLTemplate: "https://elsewhere/{resourceId}", NID: "NIDfoo", URNPattern: "(?<id>.*)"})
	create(t, h.cat.Classes, core.ResourceClass{System: svc.ID, Name: "None", MimeType: "x", NID: "nidFoo", URNPattern: ".*"})
	h.enable(off.ID, true)
	root, err := vxml.ParseXML([]byte(bytesOf(t, get(t, h.Native, member(), "/api/entity/urn:nidFoo:myNssFoo1", ""))))
	if err != nil || len(root.Children) != 3 {
		t.Errorf("all classes together: %+v, %v", root, err)
	}
}

func TestTheQueryService(t *testing.T) {
	t.Parallel()
	h, svc, _ := furnished(t)
	golden(t, "querylist.xml", bytesOf(t, get(t, h.Native, administrator(), "/api/query", "")))
	ask := func(who core.Caller, raw string) (core.Response, error) {
		in := call(who, "GET", "/api/query", "Accept", "application/*+xml;version=38.0")
		in.Request.RawQuery = raw
		m, err := h.Do(t.Context(), in)
		if err != nil {
			return core.Response{}, err
		}
		return *m.Response, nil
	}
	all := "aclRule adminApiDefinition adminFileDescriptor adminOrgVdc adminService apiDefinition apiFilter fileDescriptor organization orgVdc resourceClass resourceClassAction right service serviceLink serviceResource"
	open := "apiDefinition fileDescriptor orgVdc service"
	for _, typ := range strings.Fields(all) {
		for _, format := range []string{"records", "idrecords", "references"} {
			r, err := ask(administrator(), "type="+typ+"&format="+format)
			if err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
			golden(t, "query-"+typ+"-"+format+".xml", bytesOf(t, r))
		}
		_, err := ask(member(), "type="+typ)
		if visible := strings.Contains(" "+open+" ", " "+typ+" "); visible != (err == nil) || !visible && core.ErrorCode(err) != core.Forbidden {
			t.Errorf("type=%s by a member: %v", typ, err)
		}
	}
	for raw, want := range map[string]string{
		"&type=adminOrgVdc&filter=org==https%3A%2F%2Fannex.test%2Fapi%2Forg%2F" + acme + ";orgName==acme;name==acme&filterEncoded=true": "acme",
		"type=adminService&format=records&page=1&filter=name==off;enabled==false":                                                       "off",
		"type=apiDefinition&filter=service==" + svc.UUID():                                                                              "balancerApi",
		"type=adminApiDefinition&filter=service==" + records.ServiceID(svc.ID):                                                          "balancerApi",
		"type=adminApiDefinition&sortDesc=name&pageSize=1":                                                                              "offApi",
		"type=adminApiDefinition&sortDesc=name&pageSize=1&page=2":                                                                       "balancerApi",
		"type=organization&filter=isEnabled==false":                                                                                     "idle",
	} {
		r, err := ask(administrator(), raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		root, err := vxml.ParseXML([]byte(bytesOf(t, r)))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range root.Children {
			if c.Name != "Link" {
				names = append(names, c.Attr("name"))
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s finds %q, want %q", raw, got, want)
		}
	}
	r, err := ask(administrator(), "type=adminApiDefinition&pageSize=1")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "query-nextpage.xml", bytesOf(t, r))
	for raw, code := range map[string]core.Code{
		"type=unknown": core.Invalid, "type=a&type=b": core.Invalid, "type=service&filter=colour==red": core.Invalid, "type=%zz": core.Invalid, "type=service&format=x": core.Invalid,
	} {
		if _, err := ask(administrator(), raw); err == nil || core.ErrorCode(err) != code {
			t.Errorf("%s: %v, want %s", raw, err, code)
		}
	}
	if r, err := ask(member(), "type=orgVdc"); err != nil || !strings.Contains(bytesOf(t, r), `total="1"`) {
		t.Errorf("the data centres of a member: %v", err)
	}
}

func TestWhatIsResolvedInFrontOfAnUpstream(t *testing.T) {
	t.Parallel()
	up := &scripted{}
	h := open(t, up)
	svc := h.service("svc", 50)
	create(t, h.cat.Classes, core.ResourceClass{System: svc.ID, Name: "Backup", MimeType: "x+xml", URLTemplate: "{baseUri}foo/{resourceId}", NID: "nidFoo", URNPattern: "(?<id>[0-9]+)"})
	up.say(200, "<theirs/>", "Content-Type", "text/xml")
	admin := "/api/admin/extension/service/" + svc.UUID()
	for path, want := range map[string]string{
		"/api/entity/urn:nidFoo:17":                "/api/foo/17",
		"/api/entity/urn:nidFoo:x":                 "theirs",
		"/api/entity/" + core.OrgPrefix + acme:     "theirs",
		"/api/entity/" + records.ServiceID(svc.ID): admin,
		"/api/entity/" + svc.ID:                    "/cloudapi/extensions/api/" + svc.ID,
		"/api/entity/no-urn":                       "theirs",
		"/api/query":                               "theirs",
		"/api/extensibility":                       "theirs",
		"/api/service":                             "theirs",
		"/api/org/" + acme:                         "theirs",
		"/api/vdc/" + none:                         "theirs",
		"/api/session":                             "/api/session",
	} {
		up.say(200, "<theirs/>", "Content-Type", "text/xml")
		m, err := h.Do(t.Context(), call(administrator(), "GET", path))
		if err != nil {
			t.Fatal(err)
		}
		if got := bytesOf(t, *m.Response); !strings.Contains(got, want) || want == "theirs" != (got == "<theirs/>") {
			t.Errorf("%s: %s", path, got)
		}
	}
	up.say(200, "<theirs/>", "Content-Type", "text/xml")
	if m, err := h.Do(t.Context(), call(administrator(), "POST", "/api/entity/urn:nidFoo:17")); err != nil || bytesOf(t, *m.Response) != "<theirs/>" {
		t.Errorf("another verb: %v", err)
	}
}
