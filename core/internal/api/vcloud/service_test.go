package vcloud

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// bodyService is what an old client sends to register itself.
func bodyService(namespace, key, more string) string {
	return `<vmext:Service name="cse"` + vmext + `><vcloud:Description>containers</vcloud:Description>` +
		`<vmext:Namespace>` + namespace + `</vmext:Namespace><vmext:Enabled>true</vmext:Enabled>` +
		`<vmext:RoutingKey>` + key + `</vmext:RoutingKey><vmext:Exchange>cse-ext</vmext:Exchange>` + more + `</vmext:Service>`
}

const bodyNested = `<vmext:Priority>70</vmext:Priority><vmext:Vendor>VMware, Inc.</vmext:Vendor>` +
	`<vmext:ApiFilters><vmext:ApiFilter><vmext:UrlPattern>/api/a/.*</vmext:UrlPattern></vmext:ApiFilter>` +
	`<vmext:ApiFilter><vmext:ResponseContentType>text/plain</vmext:ResponseContentType></vmext:ApiFilter></vmext:ApiFilters>` +
	`<vmext:ServiceLinks><vmext:ServiceLink><vmext:LinkHref>{baseUri}x</vmext:LinkHref><vmext:MimeType>a/b</vmext:MimeType><vmext:Rel>down</vmext:Rel>` +
	`<vmext:ResourceType>application/vnd.vmware.vcloud.org+xml</vmext:ResourceType></vmext:ServiceLink></vmext:ServiceLinks>` +
	`<vmext:ApiDefinitions><vmext:ApiDefinition name="api"><vmext:EntryPoint>{baseUri}x</vmext:EntryPoint><vmext:Files>` +
	`<vmext:FileDescriptor><vmext:File href="https://h/a/readme.pdf"/></vmext:FileDescriptor></vmext:Files></vmext:ApiDefinition></vmext:ApiDefinitions>` +
	`<vmext:ResourceClasses><vmext:ResourceClass name="c"><vmext:MimeType>a/c</vmext:MimeType><vmext:ResourceClassActions>` +
	`<vmext:ResourceClassAction name="read"><vmext:HttpMethod>GET</vmext:HttpMethod><vmext:UrlPattern>/api/a/(?&lt;id&gt;.*)</vmext:UrlPattern>` +
	`<vmext:AclRules><vmext:AclRule name="all"><vmext:OrganizationAccess><vmext:Access>Published</vmext:Access></vmext:OrganizationAccess>` +
	`<vmext:PrincipalAccess><vmext:Access>Shared</vmext:Access></vmext:PrincipalAccess></vmext:AclRule></vmext:AclRules>` +
	`</vmext:ResourceClassAction></vmext:ResourceClassActions></vmext:ResourceClass></vmext:ResourceClasses>`

// count counts what is registered below a service.
func (h *house) count(service string) string {
	h.Helper()
	s, err := h.catalog.Systems.ByUnique(h.Context(), "uuid/"+service[strings.LastIndexByte(service, '/')+1:])
	h.must(err)
	var filters, links, definitions, files, classes, actions, rules int
	ctx := h.Context()
	for _, err := range h.catalog.Filters.Under(ctx, s.ID) {
		h.must(err)
		filters++
	}
	for _, err := range h.catalog.Links.Under(ctx, s.ID) {
		h.must(err)
		links++
	}
	for d, err := range h.catalog.Definitions.Under(ctx, s.ID) {
		h.must(err)
		definitions++
		for _, err := range h.catalog.Files.Under(ctx, d.ID) {
			h.must(err)
			files++
		}
	}
	for k, err := range h.catalog.Classes.Under(ctx, s.ID) {
		h.must(err)
		classes++
		for a, err := range h.catalog.Actions.Under(ctx, k.ID) {
			h.must(err)
			actions++
			for _, err := range h.catalog.Rules.Under(ctx, a.ID) {
				h.must(err)
				rules++
			}
		}
	}
	return fmt.Sprint(filters, links, definitions, files, classes, actions, rules)
}

func (h *house) parsed(body string) *vxml.Element {
	h.Helper()
	e, err := vxml.ParseXML([]byte(body))
	h.must(err)
	return e
}

func TestAServiceOfTheOlderFlavourLivesItsLife(t *testing.T) {
	t.Parallel()
	h := build(t)
	item, shown := h.make(servicePath, bodyService("com.acme.cse", "cse", bodyNested))
	golden(t, "service-made.xml", shown)
	golden(t, "service-made.json", h.expect(h.send(h.administrator, "GET", item, "", "Accept", anyJSON), 200))
	if got := h.count(item); got != "2 1 1 1 1 1 1" {
		t.Fatalf("below it are %s", got)
	}

	// What real clients change it with: a few elements, and no Content-Type.
	w := h.send(h.administrator, "PUT", item, `<vmext:Service name="cse"`+vmext+`><vmext:Namespace>com.acme.cse</vmext:Namespace><vmext:Enabled>false</vmext:Enabled><vmext:RoutingKey>new</vmext:RoutingKey><vmext:Exchange>other</vmext:Exchange></vmext:Service>`)
	root := h.parsed(h.expect(w, 200))
	for name, want := range map[string]string{
		"Description": "containers", "Namespace": "com.acme.cse", "Enabled": "false", "AuthorizationEnabled": "false",
		"RoutingKey": "new", "Priority": "70", "Exchange": "other", "Vendor": "VMware, Inc.",
	} {
		if got := root.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := h.count(item); got != "2 1 1 1 1 1 1" {
		t.Errorf("below it are %s after the change", got)
	}
	// What was shown can be sent back.
	h.expect(h.send(h.administrator, "PUT", item, w.Body.String()), 200)

	tag := w.Header().Get("ETag")
	h.expect(h.send(h.administrator, "PUT", item, `<Service/>`, "If-Match", tag), 412)
	again := h.send(h.administrator, "GET", item, "").Header().Get("ETag")
	h.expect(h.send(h.administrator, "PUT", item, `{"enabled":true,"priority":5,"description":""}`, "If-Match", again, "Content-Type", "application/json"), 200)
	if root := h.parsed(h.expect(h.send(h.administrator, "GET", item, "", "Accept", anyXML), 200)); root.Value("Enabled") != "true" || root.Value("Priority") != "5" || root.Child("Description") != nil {
		t.Errorf("changed to %+v", root)
	}

	if body := h.expect(h.send(h.administrator, "DELETE", item+"?force=False&recursive=False", ""), 400); !strings.Contains(body, "disable it") {
		t.Errorf("an enabled one is refused by %s", body)
	}
	h.expect(h.send(h.administrator, "PUT", item, `<Service><Enabled>0</Enabled></Service>`), 200)
	h.expect(h.send(h.administrator, "DELETE", item, "", "If-Match", tag), 412)
	h.expect(h.send(h.administrator, "DELETE", item+"?force=False&recursive=False", ""), 204)
	h.expect(h.send(h.administrator, "GET", item, ""), 404)
	for f, err := range h.catalog.Filters.All(t.Context()) {
		t.Errorf("left is %+v, %v", f, err)
	}

	// Its uuid survives.
	if anew, _ := h.make(servicePath, bodyService("com.acme.cse", "cse", "")); anew != item {
		t.Errorf("registered anew at %s, before at %s", anew, item)
	}
}

func TestServicesThatCannotBe(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.make(servicePath, bodyService("com.acme.one", "one", ""))
	nested := func(filters string) string {
		return bodyService("com.acme.n", "n", "<vmext:ApiFilters>"+filters+"</vmext:ApiFilters>")
	}
	for name, c := range map[string]struct {
		body   string
		status int
		want   string
	}{
		"without a name":                          {strings.Replace(bodyService("com.acme.x", "x", ""), ` name="cse"`, "", 1), 400, "name"},
		"without a namespace":                     {bodyService("", "x", ""), 400, "namespace"},
		"with a namespace of the product":         {bodyService("com.vmware.vcloud", "x", ""), 400, "reserved"},
		"with a namespace that cannot be a URN":   {bodyService("a:b", "x", ""), 400, "namespace"},
		"without a routing key":                   {bodyService("com.acme.x", "", ""), 400, "RoutingKey"},
		"with the namespace of another":           {bodyService("com.acme.one", "x", ""), 409, "com.acme.one"},
		"with the namespace of a service on MQTT": {bodyService("VMWare.cse.1.0.0", "x", ""), 409, "namespace"},
		"with the routing key of another":         {bodyService("com.acme.x", "one", ""), 409, "RoutingKey"},
		"with a priority out of range":            {bodyService("com.acme.x", "x", "<Priority>101</Priority>"), 400, "priority 101"},
		"with a priority that is no number":       {bodyService("com.acme.x", "x", "<Priority>high</Priority>"), 400, "Priority"},
		"neither enabled nor not":                 {strings.Replace(bodyService("com.acme.x", "x", ""), "true", "yes", 1), 400, "Enabled"},
		"with something unknown":                  {bodyService("com.acme.x", "x", "<Colour/>"), 400, "Colour"},
		"with two exchanges":                      {bodyService("com.acme.x", "x", "<Exchange>b</Exchange>"), 400, "Exchange"},
		"of another root":                         {`<ApiFilter/>`, 400, "Service"},
		"with a filter that cannot be":            {nested("<ApiFilter><UrlPattern>/a/(</UrlPattern></ApiFilter>"), 400, "ApiFilters: "},
		"with something else among its filters":   {nested("<ServiceLink/>"), 400, "ServiceLink is not known in ApiFilters"},
	} {
		t.Run(name, func(t *testing.T) {
			h := h.in(t)
			body := h.expect(h.send(h.administrator, "POST", servicePath, c.body), c.status)
			if root := h.parsed(body); root.Name != "Error" || !strings.Contains(root.Attr("message"), c.want) {
				t.Errorf("refused by %s, want %q", body, c.want)
			}
		})
	}
	count := 0
	for _, err := range h.catalog.Systems.All(t.Context()) {
		h.must(err)
		count++
	}
	if count != 2 {
		t.Errorf("%d services are registered: something of what failed was kept", count)
	}
}

func TestChangesThatCannotBe(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.make(servicePath, bodyService("com.acme.one", "one", ""))
	item, _ := h.make(servicePath, bodyService("com.acme.two", "two", ""))
	for name, c := range map[string]struct {
		target, body string
		status       int
	}{
		"another namespace":              {item, `<Service><Namespace>com.acme.three</Namespace></Service>`, 400},
		"the routing key of another":     {item, `<Service><RoutingKey>one</RoutingKey></Service>`, 409},
		"an exchange of one on MQTT":     {h.path, `<Service><Exchange>x</Exchange></Service>`, 400},
		"a priority out of range":        {item, `<Service><Priority>-1</Priority></Service>`, 400},
		"of a service that is not there": {servicePath + "/" + core.NewUUID(), `<Service/>`, 404},
		"of nothing":                     {item, ``, 400},
	} {
		t.Run(name, func(t *testing.T) {
			h := h.in(t)
			h.expect(h.send(h.administrator, "PUT", c.target, c.body), c.status)
		})
	}
	// A service on MQTT can be switched off and on here as well.
	h.expect(h.send(h.administrator, "PUT", h.path, `<Service name="x"><Vendor>y</Vendor><Enabled>false</Enabled><Priority>1</Priority></Service>`), 200)
	s, err := h.catalog.Systems.Get(t.Context(), h.service.ID)
	if err != nil || s.Enabled || s.Priority != 1 || s.Name != "cse" || s.Vendor != "VMWare" {
		t.Errorf("changed to %+v, %v", s, err)
	}
}

func TestAServiceIsFoundByItsNames(t *testing.T) {
	t.Parallel()
	h := build(t)
	want := h.expect(h.send(h.administrator, "GET", h.path, "", "Accept", anyXML), 200)
	for _, id := range []string{h.service.ID, "urn:vcloud:externalService:" + h.service.UUID(), strings.ToUpper(h.service.UUID())} {
		if got := h.expect(h.send(h.administrator, "GET", servicePath+"/"+id, "", "Accept", anyXML), 200); got != want {
			t.Errorf("%s: %s", id, got)
		}
		h.expect(h.send(h.administrator, "GET", servicePath+"/"+id+"/apifilters", ""), 200)
	}
	h.expect(h.send(h.administrator, "GET", servicePath+"/urn:vcloud:extension-api:a:b:1.0.0", ""), 404)
}

func TestServicesAreQueried(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.make(servicePath, bodyService("com.acme.one", "one", ""))
	_, err := h.catalog.Systems.Create(t.Context(), "", core.System{
		Kind: core.KindHTTPS, Vendor: "acme", Name: "page", Version: "1.0.0", Settings: core.EncodeSettings(core.HTTPSSettings{RootURL: "https://h"}),
	})
	h.must(err)
	query := servicePath + "/query"
	golden(t, "services.xml", h.expect(h.send(h.administrator, "GET", query+"?sortAsc=name", "", "Accept", anyXML), 200))
	golden(t, "services.json", h.expect(h.send(h.administrator, "GET", query+"?sortAsc=name&format=references", "", "Accept", anyJSON), 200))
	root := h.parsed(h.expect(h.send(h.administrator, "GET", query+"?filter=name==cse;namespace==com.acme.one", "", "Accept", anyXML), 200))
	if r := root.Child("AdminServiceRecord"); root.Attr("total") != "1" || r == nil || r.Attr("routingKey") != "one" || r.Attr("isAuthorizationEnabled") != "false" {
		t.Errorf("found %+v", root)
	}
}

func TestARepeatedOperationHappensOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	once := strings.Replace(bodyService("com.acme.cse", "cse", bodyNested), "<vmext:Service ", `<vmext:Service operationKey="k1" `, 1)
	item, shown := h.make(servicePath, once)
	again, repeated := h.make(servicePath, once)
	if again != item || repeated != shown || h.count(item) != "2 1 1 1 1 1 1" {
		t.Errorf("again at %s with %s below it:\n%s", again, h.count(item), repeated)
	}
	h.expect(h.send(h.administrator, "POST", servicePath, strings.Replace(once, "k1", "k2", 1)), 409)

	// A key belongs to what it was used under.
	filter := strings.Replace(bodyFilter, "<vmext:ApiFilter ", `<vmext:ApiFilter operationKey="k1" `, 1)
	one, _ := h.make(h.path+"/apifilters", filter)
	two, _ := h.make(h.path+"/apifilters", filter)
	other, _ := h.make(item+"/apifilters", filter)
	if one != two || other == one {
		t.Errorf("made %s, %s and %s", one, two, other)
	}
	h.expect(h.send(h.administrator, "DELETE", one, ""), 204)
	if anew, _ := h.make(h.path+"/apifilters", filter); anew == one {
		t.Error("the key outlived its filter")
	}
	right := `<Right operationKey="k1" name="r"/>`
	r1, _ := h.make(h.path+"/rights", right)
	r2, _ := h.make(h.path+"/rights", right)
	if r1 != r2 {
		t.Errorf("rights %s and %s", r1, r2)
	}
	h.expect(h.send(h.administrator, "POST", h.path+"/apifilters", strings.Replace(filter, "k1", strings.Repeat("k", 256), 1)), 400)
}

func TestWhatIsReferredToMustBeThere(t *testing.T) {
	t.Parallel()
	e := settle(t)
	none := core.NewUUID()
	rule := func(service, org, principal string) string {
		return `<AclRule name="r"><ServiceResourceAccess>` + service + `</ServiceResourceAccess><OrganizationAccess>` + org + `</OrganizationAccess><PrincipalAccess>` + principal + `</PrincipalAccess></AclRule>`
	}
	entity := func(href string) string { return `<Access>Entity</Access><Entity href="` + href + `"/>` }
	const shared = `<Access>Shared</Access>`
	for name, c := range map[string]struct{ list, body, want string }{
		"an organisation that is not there":  {e.class + "/serviceresources", strings.ReplaceAll(bodyResource(core.OrgPrefix+none), "123-456", "7"), none},
		"no organisation":                    {e.class + "/serviceresources", `<ServiceResource name="r"><ExternalObjectId>7</ExternalObjectId></ServiceResource>`, "Org"},
		"a user for an organisation":         {e.class + "/serviceresources", `<ServiceResource name="r"><Org href="https://h/api/admin/user/` + none + `"/><ExternalObjectId>7</ExternalObjectId></ServiceResource>`, "Org"},
		"a right that is not there":          {e.action + "/aclrules", bodyRule(core.RightPrefix + none), none},
		"a user that is not there":           {e.action + "/aclrules", rule(shared, shared, entity("https://h/api/admin/user/"+none)), none},
		"a resource that is not there":       {e.action + "/aclrules", rule(entity("https://h/service/serviceresource/"+none), shared, shared), none},
		"an organisation of a rule":          {e.action + "/aclrules", rule(shared, entity("/api/org/"+none), shared), none},
		"an organisation for a principal":    {e.action + "/aclrules", rule(shared, shared, entity("/api/org/"+none)), "PrincipalAccess"},
		"an entity without a reference":      {e.action + "/aclrules", rule(shared, shared, `<Access>Entity</Access>`), "PrincipalAccess"},
		"an access that nobody knows":        {e.action + "/aclrules", rule(shared, `<Access>Public</Access>`, shared), "Public"},
		"a rule for nobody":                  {e.action + "/aclrules", `<AclRule name="r"/>`, "OrganizationAccess"},
		"something unknown in an access":     {e.action + "/aclrules", rule(shared, `<Access>Shared</Access><Org/>`, shared), "OrganizationAccess"},
		"a pattern with two ids":             {e.class + "/resourceclassactions", `<ResourceClassAction name="a"><HttpMethod>GET</HttpMethod><UrlPattern>/(?&lt;id&gt;a)/(?&lt;id&gt;b)</UrlPattern></ResourceClassAction>`, "id"},
		"a pattern with another group":       {e.class + "/resourceclassactions", `<ResourceClassAction name="a"><HttpMethod>GET</HttpMethod><UrlPattern>/api/backup/(?&lt;url&gt;[-,a-g,0-9]*)</UrlPattern></ResourceClassAction>`, "url"},
		"a URN pattern with another group":   {e.path + "/resourceclasses", `<ResourceClass name="a"><MimeType>a/b</MimeType><UrnPattern>(?&lt;x&gt;a)</UrnPattern></ResourceClass>`, "x"},
		"a method that no action can name":   {e.class + "/resourceclassactions", `<ResourceClassAction name="a"><HttpMethod>PATCH</HttpMethod><UrlPattern>/a</UrlPattern></ResourceClassAction>`, "PATCH"},
		"a resource that is there already":   {e.class + "/serviceresources", bodyResource(e.org), "ExternalObjectId"},
		"a file without one":                 {e.definition + "/files", `<FileDescriptor/>`, "File"},
		"too many versions":                  {e.path + "/apidefinitions", `<ApiDefinition name="x"><SupportedApiVersions>` + strings.Repeat("<Version>1</Version>", 101) + `</SupportedApiVersions></ApiDefinition>`, "SupportedApiVersions"},
		"a version list with something else": {e.path + "/apidefinitions", `<ApiDefinition name="x"><SupportedApiVersions><V/></SupportedApiVersions></ApiDefinition>`, "SupportedApiVersions"},
	} {
		t.Run(name, func(t *testing.T) {
			h := e.in(t)
			status := 400
			if strings.Contains(name, "already") {
				status = 409
			}
			body := h.expect(h.send(h.administrator, "POST", c.list, c.body), status)
			if root := h.parsed(body); !strings.Contains(root.Attr("message"), c.want) {
				t.Errorf("refused by %s, want %q in it", body, c.want)
			}
		})
	}
}

func TestReferencesAreReadInEveryForm(t *testing.T) {
	t.Parallel()
	e := settle(t)
	uuid := strings.TrimPrefix(e.user, core.UserPrefix)
	for name, entity := range map[string]string{
		"by the address":                  `<Entity href="https://elsewhere/api/admin/user/` + uuid + `"/>`,
		"by the address, in capitals":     `<Entity href="/api/admin/USER/` + strings.ToUpper(uuid) + `?x=y"/>`,
		"by an address with a URN":        `<Entity href="https://h/cloudapi/1.0.0/users/` + e.user + `"/>`,
		"by the URN":                      `<Entity id="` + e.user + `"/>`,
		"by the URN, whatever the href":   `<Entity id="` + e.user + `" href="https://h/x"/>`,
		"by the uuid and the media type":  `<Entity id="` + uuid + `" type="application/vnd.vmware.admin.user+xml"/>`,
		"by a uuid alone, and media type": `<Entity href="` + uuid + `" type="application/vnd.vmware.admin.user+json"/>`,
	} {
		item, shown := e.make(e.action+"/aclrules", `<AclRule name="r"><OrganizationAccess><Access>Shared</Access><Entity href="ignored"/></OrganizationAccess><PrincipalAccess><Access>Entity</Access>`+entity+`</PrincipalAccess></AclRule>`)
		if !strings.Contains(shown, `href="`+base+`/api/admin/user/`+uuid+`" type="application/vnd.vmware.admin.user+xml"`) {
			t.Errorf("%s: %s", name, shown)
		}
		e.expect(e.send(e.administrator, "DELETE", item, ""), 204)
	}
}

func TestWhatIsInUseStays(t *testing.T) {
	t.Parallel()
	e := settle(t)
	_, _ = e.make(e.action+"/aclrules", `<AclRule name="just one"><ServiceResourceAccess><Access>Entity</Access><Entity href="`+base+e.resource+`"/></ServiceResourceAccess>`+
		`<OrganizationAccess><Access>Shared</Access></OrganizationAccess><PrincipalAccess><Access>Shared</Access></PrincipalAccess></AclRule>`)
	if body := e.expect(e.send(e.administrator, "DELETE", e.resource, ""), 409); !strings.Contains(body, "just one") {
		t.Errorf("refused by %s", body)
	}
	e.expect(e.send(e.administrator, "DELETE", e.class, ""), 204) // takes both along
	for _, gone := range []string{e.class, e.action, e.resource, e.rule} {
		e.expect(e.send(e.administrator, "GET", gone, ""), 404)
	}
}

func TestHostileBodiesCostLittle(t *testing.T) {
	h := build(t)
	million := func(open, end string) string {
		return "<ApiFilter>" + strings.Repeat(open+end, 1_000_000) + "</ApiFilter>"
	}
	for name, body := range map[string]string{
		"a million elements":        million("<a/>", ""),
		"a million within a MiB":    "<ApiFilter>" + strings.Repeat("<a/>", 260_000) + "</ApiFilter>",
		"deep nesting":              strings.Repeat("<a>", 340_000),
		"a million attributes":      "<ApiFilter " + strings.Repeat(`a="" `, 200_000) + "/>",
		"entities":                  `<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;&x;">]><ApiFilter><UrlPattern>&z;</UrlPattern></ApiFilter>`,
		"an unknown namespace":      `<ApiFilter xmlns="urn:evil"><UrlPattern>/x</UrlPattern></ApiFilter>`,
		"the wrong root":            `<ServiceLink/>`,
		"duplicates":                `<ApiFilter><UrlPattern>/x</UrlPattern><UrlPattern>/x</UrlPattern></ApiFilter>`,
		"no end":                    `<ApiFilter><UrlPattern>`,
		"a long text":               "<ApiFilter><UrlPattern>" + strings.Repeat("/", 1<<20) + "</UrlPattern></ApiFilter>",
		"nothing":                   "",
		"a long name":               "<ApiFilter><" + strings.Repeat("a", 1<<19) + "/></ApiFilter>",
		"a long value":              "<ServiceLink>" + strings.Repeat("a", 1<<19) + "</ServiceLink>",
		"JSON in the name of XML":   `{"urlPattern":"/x"}`,
		"a million comments in one": "<ApiFilter>" + strings.Repeat("<!---->", 149_000) + "</ApiFilter>",
	} {
		t.Run(name, func(t *testing.T) {
			h := h.in(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			w := h.send(h.administrator, "POST", h.path+"/apifilters", body, "Content-Type", typeFilter)
			runtime.ReadMemStats(&after)
			if root := h.parsed(h.expect(w, 400)); root.Name != "Error" || root.Attr("majorErrorCode") != "400" {
				t.Errorf("answer %s", w.Body)
			}
			if w.Body.Len() > 8<<10 {
				t.Errorf("an answer of %d bytes", w.Body.Len())
			}
			if cost := after.TotalAlloc - before.TotalAlloc; cost > 20<<20 {
				t.Errorf("it cost %d bytes", cost)
			}
		})
	}
}

func TestOfTwoWritersOneWins(t *testing.T) {
	t.Parallel()
	h := build(t)
	codes := func(n int, send func(i int) int) map[int]int {
		out, mu, wg := map[int]int{}, sync.Mutex{}, sync.WaitGroup{}
		for i := range n {
			wg.Go(func() {
				code := send(i)
				mu.Lock()
				defer mu.Unlock()
				out[code]++
			})
		}
		wg.Wait()
		return out
	}
	got := codes(8, func(int) int {
		return h.send(h.administrator, "POST", servicePath, bodyService("com.acme.race", "race", bodyNested)).Code
	})
	if got[201] != 1 || got[409] != 7 {
		t.Errorf("registering the same gives %v", got)
	}
	item := servicePath + "/" + core.System{ID: core.ServicePrefix + "com.acme.race"}.UUID()
	if n := h.count(item); n != "2 1 1 1 1 1 1" {
		t.Errorf("below it are %s", n)
	}
	tag := h.send(h.administrator, "GET", item, "").Header().Get("ETag")
	got = codes(8, func(i int) int {
		return h.send(h.administrator, "PUT", item, fmt.Sprintf("<Service><Priority>%d</Priority></Service>", i), "If-Match", tag).Code
	})
	if got[200] != 1 || got[412] != 7 {
		t.Errorf("changing the same gives %v", got)
	}
}
