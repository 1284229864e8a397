package vcloud

import (
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// asks tells whether a user may make a call, in the two forms.
func (e *estate) asks(target, user, method, url string) string {
	e.Helper()
	xml := `<vmext:AuthorizationCheckParams` + vmext + `><vmext:User href="` + base + `/api/admin/user/` + strings.TrimPrefix(user, core.UserPrefix) + `"/>` +
		`<vmext:HttpMethod>` + method + `</vmext:HttpMethod><vmext:URL>` + url + `</vmext:URL></vmext:AuthorizationCheckParams>`
	w := e.send(e.administrator, "POST", target, xml, "Content-Type", "application/vnd.vmware.admin.authorizationCheckParams+xml", "Accept", anyXML)
	answer := e.parsed(e.expect(w, 200)).Value("IsAuthorized")
	if got := w.Header().Get("Content-Type"); got != "application/vnd.vmware.admin.authorizationCheckResponse+xml;version=36.0" {
		e.Errorf("Content-Type %s", got)
	}
	asJSON := `{"user":{"id":"` + user + `"},"httpMethod":"` + method + `","url":"` + url + `"}`
	twin := e.expect(e.send(e.administrator, "POST", target, asJSON, "Content-Type", "application/json", "Accept", anyJSON), 200)
	if twin != `{"isAuthorized":`+answer+"}\n" {
		e.Errorf("in JSON it is %s, in XML %s", twin, answer)
	}
	return answer
}

func TestAuthorizationChecks(t *testing.T) {
	t.Parallel()
	e := settle(t)
	_, _ = e.make(e.path+"/apifilters", `<ApiFilter><UrlPattern>/api/backup/.*</UrlPattern></ApiFilter>`)
	eve := e.user
	joe, err := e.catalog.Users.Create(t.Context(), "", core.User{Name: "joe", OrgID: e.org, Enabled: true})
	e.must(err)
	off, err := e.catalog.Users.Create(t.Context(), "", core.User{Name: "off", OrgID: e.org})
	e.must(err)
	role, err := e.catalog.Roles.Create(t.Context(), "", core.Role{Name: "lookers", RightIDs: []string{e.right}})
	e.must(err)
	_, err = e.catalog.Users.Update(t.Context(), "", eve, nil, func(u core.User) (core.User, error) {
		u.RoleIDs = append(u.RoleIDs, role.ID)
		return u, nil
	})
	e.must(err)
	const all, url = servicePath + "/authorizationcheck", "/api/backup/123-456"
	one := e.path + "/AuthorizationCheck"

	// Before authorization is enabled everybody may who may make calls at all.
	for _, target := range []string{all, one} {
		if e.asks(target, joe.ID, "GET", url) != "true" || e.asks(target, off.ID, "GET", url) != "false" {
			t.Errorf("%s refuses joe, or allows a disabled user", target)
		}
	}
	e.expect(e.send(e.administrator, "PUT", e.path, `<Service><AuthorizationEnabled>true</AuthorizationEnabled></Service>`), 200)
	for name, c := range map[string]struct{ target, user, method, url, want string }{
		"who holds the right may":                       {all, eve, "GET", url, "true"},
		"as the service alone says":                     {one, eve, "GET", url, "true"},
		"with a method in lower case":                   {one, eve, "get", url, "true"},
		"relative to the gateway":                       {one, eve, "GET", "api/backup/123-456", "true"},
		"relative to the API":                           {all, eve, "GET", "backup/123-456?x=y", "true"},
		"the absolute form":                             {all, eve, "GET", base + url, "true"},
		"who does not hold it may not":                  {all, joe.ID, "GET", url, "false"},
		"as the service alone says too":                 {one, joe.ID, "GET", url, "false"},
		"a disabled user may not":                       {all, off.ID, "GET", url, "false"},
		"nor with another method":                       {all, eve, "DELETE", url, "false"},
		"nor with one that no action can name":          {one, eve, "PATCH", url, "false"},
		"nor what is no resource":                       {all, eve, "GET", "/api/backup/999", "false"},
		"nor on another path, as the service says":      {one, eve, "GET", "/api/other", "false"},
		"where no filter matches nobody refuses":        {all, joe.ID, "GET", "/api/other", "true"},
		"nor where one nearly matches":                  {all, joe.ID, "GET", "/api/backupx/123-456", "true"},
		"a path that is written otherwise is the same ": {all, joe.ID, "GET", "/api/%62ackup/123-456", "false"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := *e
			inner.house = e.in(t)
			if got := inner.asks(c.target, c.user, c.method, c.url); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}

	// What changes counts at once.
	e.must(e.catalog.Rules.Delete(t.Context(), core.RulePrefix+e.rule[strings.LastIndexByte(e.rule, '/')+1:], nil))
	if e.asks(all, eve, "GET", url) != "false" {
		t.Error("allowed without a rule")
	}
	// A disabled service is as if absent.
	e.expect(e.send(e.administrator, "PUT", e.path, `<Service><Enabled>false</Enabled></Service>`), 200)
	if e.asks(all, eve, "GET", url) != "true" {
		t.Error("refused by a disabled service")
	}

	for name, body := range map[string]string{
		"nobody":             `<AuthorizationCheckParams><HttpMethod>GET</HttpMethod><URL>/x</URL></AuthorizationCheckParams>`,
		"an unknown user":    `<AuthorizationCheckParams><User id="` + core.UserPrefix + core.NewUUID() + `"/><HttpMethod>GET</HttpMethod><URL>/x</URL></AuthorizationCheckParams>`,
		"no method":          `<AuthorizationCheckParams><User id="` + eve + `"/><URL>/x</URL></AuthorizationCheckParams>`,
		"no URL":             `<AuthorizationCheckParams><User id="` + eve + `"/><HttpMethod>GET</HttpMethod></AuthorizationCheckParams>`,
		"a URL that is none": `<AuthorizationCheckParams><User id="` + eve + `"/><HttpMethod>GET</HttpMethod><URL>/../x</URL></AuthorizationCheckParams>`,
		"something else":     `<AuthorizationCheckParams><Colour/></AuthorizationCheckParams>`,
	} {
		if w := e.send(e.administrator, "POST", all, body); w.Code != 400 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	e.expect(e.send(e.administrator, "GET", all, ""), 405)
	e.expect(e.send(e.tenant, "POST", all, ""), 403)
	e.expect(e.send(e.administrator, "POST", servicePath+"/"+core.NewUUID()+"/authorizationcheck", ""), 404)
}

func TestSchemaFilesAreForEverybody(t *testing.T) {
	t.Parallel()
	h := build(t)
	for _, file := range []string{"master.xsd", "vmwextensions.xsd", "versions.xsd"} {
		w := h.send("", "GET", "/api/v1.5/schema/"+file, "")
		if body := h.expect(w, 200); !strings.Contains(body, "<xs:schema") || w.Header().Get("Content-Type") != "application/xml" {
			t.Errorf("%s: %v %s", file, w.Header(), body)
		}
	}
	h.expect(h.send("", "GET", "/api/v1.5/schema/other.xsd", ""), 404)
	h.expect(h.send("", "GET", "/api/v1.5/schema/../schema.go", ""), 404)
	h.expect(h.send("", "PUT", "/api/v1.5/schema/master.xsd", ""), 405)
}
