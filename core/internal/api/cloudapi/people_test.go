package cloudapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
)

const (
	orgs    = "/cloudapi/1.0.0/orgs"
	users   = "/cloudapi/1.0.0/users"
	roles   = "/cloudapi/1.0.0/roles"
	rights  = "/cloudapi/1.0.0/rights"
	issuers = "/cloudapi/1.0.0/oidcIssuers"
	trusted = "/cloudapi/1.0.0/ssl/trustedCertificates"

	tenantHeader = "X-VMWARE-VCLOUD-TENANT-CONTEXT"
)

// member is a user with a live session.
type member struct{ id, token, roleID, orgID string }

// right gives the id of a right of that name, new if there is none.
func (h *house) right(name string) string {
	h.t.Helper()
	r, err := h.catalog.Rights.ByUnique(h.t.Context(), "name/"+name)
	if core.ErrorCode(err) == core.NotFound {
		r, err = h.catalog.Rights.Create(h.t.Context(), "", core.Right{Name: name, ServiceNamespace: "acme.clip"})
	}
	fatal(h.t, err)
	return r.ID
}

func (h *house) org(name string) core.Org {
	h.t.Helper()
	o, err := h.catalog.Orgs.ByUnique(h.t.Context(), "name/"+strings.ToLower(name))
	if core.ErrorCode(err) == core.NotFound {
		o, err = h.catalog.Orgs.Create(h.t.Context(), "", core.Org{Name: name, DisplayName: name, Enabled: true})
	}
	fatal(h.t, err)
	return o
}

// member makes a user with a role of its own that holds the rights.
func (h *house) member(org, name string, held ...string) member {
	h.t.Helper()
	r := core.Role{Name: "of " + name, OrgID: h.org(org).ID}
	for _, right := range held {
		r.RightIDs = append(r.RightIDs, h.right(right))
	}
	r, err := h.catalog.Roles.Create(h.t.Context(), "", r)
	fatal(h.t, err)
	return h.memberWith(org, name, r.ID)
}

func (h *house) memberWith(org, name, roleID string) member {
	h.t.Helper()
	hash, err := h.identity.HashPassword(h.t.Context(), tenantPassword)
	fatal(h.t, err)
	u, err := h.catalog.Users.Create(h.t.Context(), "", core.User{
		Name: name, OrgID: h.org(org).ID, RoleIDs: []string{roleID}, Enabled: true, Password: hash,
	})
	fatal(h.t, err)
	return member{u.ID, h.login(name, org, tenantPassword), roleID, u.OrgID}
}

// orgAdministrator makes a user with the built-in role.
func (h *house) orgAdministrator(org, name string) member {
	h.t.Helper()
	return h.memberWith(org, name, h.globalRole("Organization Administrator"))
}

func (h *house) globalRole(name string) string {
	h.t.Helper()
	r, err := h.catalog.Roles.ByUnique(h.t.Context(), "name//"+strings.ToLower(name))
	fatal(h.t, err)
	return r.ID
}

func (h *house) refreshToken(userID, name string) core.Token {
	h.t.Helper()
	k, err := h.catalog.Tokens.Create(h.t.Context(), userID, core.Token{Name: name, Type: core.TokenRefresh, UserID: userID, SecretHash: []byte(name + userID)})
	fatal(h.t, err)
	return k
}

func (h *house) as(m member, method, target, body string) reply {
	h.t.Helper()
	return h.do(call{method: method, target: target, body: body, token: m.token})
}

func in(org string) map[string]string { return map[string]string{tenantHeader: org} }

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// certificate makes a self-signed one.
func certificate(t *testing.T, name string, until time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	fatal(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestOrganisationsLiveTheirLife(t *testing.T) {
	h := newHouse(t)
	made := h.post(orgs, `{"name":"beta","displayName":"Beta Ltd","description":"d","isEnabled":true,"managedBy":{"name":"System","id":"x"},"orgVdcCount":7,"canPublish":true}`)
	made.golden("org-post")
	id, _ := made.want(201)["id"].(string)
	item := orgs + "/" + id
	h.get(item).golden("org-get")
	h.get(orgs + "?sortAsc=name").golden("org-list")
	h.post(orgs, `{"name":"BETA","displayName":"x"}`).wantError(409, "CONFLICT", "same name")
	h.delete(item+"?force=true&recursive=true").wantError(400, "BAD_REQUEST", "disable it before")
	h.delete(item).wantError(400, "BAD_REQUEST", "disable it before")

	h.member("beta", "bea")
	m := h.put(item, `{"name":"gamma","displayName":"Gamma","isEnabled":false}`).want(200)
	if m["id"] != id || m["name"] != "gamma" || m["displayName"] != "Gamma" || m["description"] != nil || m["isEnabled"] != false || m["userCount"] != 1.0 {
		t.Errorf("PUT gives %v", m)
	}
	if m := h.put(item, `{"description":"again"}`).want(200); m["name"] != "gamma" || m["isEnabled"] != false || m["description"] != "again" {
		t.Errorf("what an organisation needs does not stay: %v", m)
	}
	h.delete(item).wantError(409, "CONFLICT", "recursive=true")
	h.delete(item+"?recursive=maybe").wantError(400, "BAD_REQUEST", "recursive")
	h.delete(item + "?force=True&recursive=True").want(204)
	h.get(item).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "there is no organisation")
	if n := len(slicesOf(t, h.get(users+"?filter=username==bea"))); n != 0 {
		t.Error("a user outlives the organisation")
	}
	system := orgs + "/" + core.SystemOrgID
	h.put(system, `{"isEnabled":false}`).wantError(400, "BAD_REQUEST", "System")
	h.put(system, `{"name":"Other"}`).wantError(400, "BAD_REQUEST", "System")
	h.delete(system+"?force=true&recursive=true").wantError(400, "BAD_REQUEST", "System")
}

func slicesOf(t *testing.T, r reply) []any {
	t.Helper()
	list, _ := r.want(200)["values"].([]any)
	return list
}

func TestOrganisationsAreRefusedThatMakeNoSense(t *testing.T) {
	h := newHouse(t)
	for body, want := range map[string]string{
		`{"displayName":"x"}`:                                            "name",
		`{"name":"x"}`:                                                   "displayName",
		`{"name":"x","displayName":"  "}`:                                "displayName",
		`{"name":"a@b","displayName":"x"}`:                               "'@'",
		`{"name":"a/b","displayName":"x"}`:                               "'/'",
		`{"name":"` + strings.Repeat("n", 129) + `"}`:                    "displayName",
		`{"name":"x","displayName":"x","naem":1}`:                        `nearest key is "name"`,
		`{"name":"x","displayName":"x","isenabled":true}`:                `nearest key is "isEnabled"`,
		`{"name":"x","displayName":"x","isEnabled":"true"}`:              "/isEnabled",
		`{"name":"x","displayName":"x","description":["a"]}`:             "/description",
		`{"name":"x","displayName":"` + strings.Repeat("d", 5000) + `"}`: "4096 bytes",
	} {
		h.post(orgs, body).wantError(400, "BAD_REQUEST", want)
	}
}

func TestUsersLiveTheirLife(t *testing.T) {
	h := newHouse(t)
	role := h.globalRole("Organization Administrator")
	made := h.post(users, `{"username":"ann@home","fullName":"Ann","description":null,"email":"ann@acme.example","password":"first secret","enabled":true,"locked":false,
		"stranded":false,"providerType":"LOCAL","nameInSource":null,"isGroupRole":false,"deployedVmQuota":10,"storedVmQuota":10,
		"roleEntityRefs":[{"name":"Organization Administrator","id":"`+role+`"}],"orgEntityRef":{"name":"acme","id":"`+h.acmeID+`"}}`)
	made.golden("user-post")
	id, _ := made.want(201)["id"].(string)
	item := users + "/" + id
	h.get(item).golden("user-get")
	h.get(users + "?filter=username==ann*").golden("user-list")
	if strings.Contains(string(h.get(item).body), "assword") {
		t.Error("a password is shown")
	}
	ann := member{token: h.login("ann@home", "acme", "first secret")}

	m := h.put(item, `{"username":"anna","enabled":true,"orgEntityRef":{"name":"acme","id":"`+h.acmeID+`"}}`).want(200)
	if m["username"] != "anna" || m["fullName"] != "" || m["email"] != nil || len(m["roleEntityRefs"].([]any)) != 1 {
		t.Errorf("PUT gives %v", m)
	}
	h.as(ann, "GET", item, "").want(200) // a rename ends no session

	h.put(item, `{"password":"second secret"}`).want(200)
	h.as(ann, "GET", item, "").want(401)
	h.do(call{method: "POST", target: sessions, token: "-", header: basicAuth("anna@acme", "first secret")}).want(401)
	ann.token = h.login("anna", "acme", "second secret")
	h.put(item, `{"roleEntityRefs":[]}`).want(200)
	if m := h.as(ann, "GET", sessions+"/current", "").want(200); len(m["roles"].([]any)) != 0 || len(m["roleRefs"].([]any)) != 0 {
		t.Errorf("the session shows %v", m)
	}

	key := h.refreshToken(id, "hers")
	h.delete(item).want(204)
	h.as(ann, "GET", item, "").want(401)
	h.get(item).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "there is no user")
	h.get(tokens + "/" + key.ID).want(403)
	h.put(item, `{}`).want(403)
	h.delete(item).want(403)
}

func TestUsersOfIdentityProvidersHaveNoPassword(t *testing.T) {
	h := newHouse(t)
	made := h.do(call{method: "POST", target: users, body: `{"username":"olga","providerType":"OAUTH"}`, header: in(h.acmeID)}).want(201)
	item := users + "/" + made["id"].(string)
	if made["providerType"] != "OAUTH" || made["nameInSource"] != "olga" {
		t.Errorf("got %v", made)
	}
	h.put(item, `{"providerType":"LOCAL"}`).wantError(400, "BAD_REQUEST", "password")
	h.put(item, `{"providerType":"OAUTH","password":"x"}`).wantError(400, "BAD_REQUEST", "password")
	if m := h.put(item, `{"providerType":"LOCAL","password":"now one"}`).want(200); m["providerType"] != "LOCAL" {
		t.Errorf("got %v", m)
	}
	token := h.login("olga", "acme", "now one")
	h.put(item, `{"providerType":"OAUTH"}`).want(200)
	h.do(call{method: "GET", target: item, token: token}).want(401)
	h.do(call{method: "POST", target: sessions, token: "-", header: basicAuth("olga@acme", "now one")}).want(401)
}

func TestTheOrganisationOfANewUser(t *testing.T) {
	h := newHouse(t)
	beta := h.org("beta").ID
	org := func(r reply) any { h.t.Helper(); return r.want(201)["orgEntityRef"].(map[string]any)["id"] }
	named := `{"username":"a","password":"p","orgEntityRef":{"id":"` + beta + `","name":""}}`
	if got := org(h.do(call{method: "POST", target: users, body: named, header: in(h.acmeID)})); got != beta {
		t.Errorf("the form names it: %v", got)
	}
	if got := org(h.do(call{method: "POST", target: users, body: `{"username":"b","password":"p"}`, header: in(strings.TrimPrefix(h.acmeID, core.OrgPrefix))})); got != h.acmeID {
		t.Errorf("the context names it: %v", got)
	}
	if got := org(h.post(users, `{"username":"c","password":"p"}`)); got != core.SystemOrgID {
		t.Errorf("nobody names it: %v", got)
	}
	admin := h.orgAdministrator("acme", "adam")
	if got := org(h.as(admin, "POST", users, `{"username":"d","password":"p"}`)); got != h.acmeID {
		t.Errorf("a member makes it: %v", got)
	}
	h.as(admin, "POST", users, `{"username":"e","password":"p","orgEntityRef":{"id":"`+h.acmeID+`","name":"acme"}}`).want(201)
	foreign := h.as(admin, "POST", users, named)
	foreign.want(403)
	nowhere := h.as(admin, "POST", users, strings.Replace(named, beta, core.OrgPrefix+core.NewUUID(), 1))
	if string(foreign.body) != string(nowhere.body) || nowhere.StatusCode != 403 {
		t.Errorf("an organisation that exists gives %s, another one %s", foreign.body, nowhere.body)
	}
	h.post(users, `{"username":"f","password":"p","orgEntityRef":{"name":"acme"}}`).wantError(400, "BAD_REQUEST", "orgEntityRef")
	h.post(users, `{"username":"f","password":"p","orgEntityRef":{"id":"`+core.OrgPrefix+core.NewUUID()+`","name":""}}`).wantError(400, "BAD_REQUEST", "does not exist")
}

func TestUsersAreRefusedThatMakeNoSense(t *testing.T) {
	h := newHouse(t)
	mine, err := h.catalog.Roles.Create(t.Context(), "", core.Role{Name: "betas", OrgID: h.org("beta").ID})
	fatal(t, err)
	for body, want := range map[string]string{
		`{"password":"p"}`:                                      "name",
		`{"username":"x"}`:                                      "password",
		`{"username":"x","password":""}`:                        "password",
		`{"username":"x","password":"p","Password":"p"}`:        `nearest key is "password"`,
		`{"username":"x","password":"p","roles":[]}`:            "is not known here",
		`{"username":"x","password":"p","hash":"h"}`:            "is not known here",
		`{"username":"x","password":"p","providerType":"LDAP"}`: "LOCAL or OAUTH",
		`{"username":"x","password":"p","roleEntityRefs":[{"name":"Organization Administrator"}]}`:                       "roleEntityRefs",
		`{"username":"x","password":"p","roleEntityRefs":[{"id":"` + core.RolePrefix + core.NewUUID() + `","name":""}]}`: "does not exist",
		`{"username":"x","password":"p","roleEntityRefs":[{"id":"` + mine.ID + `","name":""}]}`:                          "does not exist, or belongs",
		`{"username":"x","password":"p","roleEntityRefs":{"id":"x"}}`:                                                    "an array is needed",
		`{"username":"x","password":"` + strings.Repeat("p", 1025) + `"}`:                                                "1024",
	} {
		h.post(users, body).wantError(400, "BAD_REQUEST", want)
	}
	admin, _ := h.get(sessions + "/current").want(200)["user"].(map[string]any)["id"].(string)
	h.put(users+"/"+admin, `{"enabled":false}`).wantError(400, "BAD_REQUEST", "yourself")
	h.delete(users+"/"+admin).wantError(400, "BAD_REQUEST", "yourself")
	h.put(users+"/"+h.tenantID, `{"orgEntityRef":{"id":"`+core.SystemOrgID+`","name":"System"}}`).wantError(400, "BAD_REQUEST", "cannot be changed")
	h.post(users, `{"username":"x","password":"p"}`).want(201)
	h.post(users, `{"username":"X","password":"p"}`).wantError(409, "CONFLICT", "same name")
}

func TestRolesLiveTheirLife(t *testing.T) {
	h := newHouse(t)
	made := h.do(call{method: "POST", target: roles, body: `{"name":"Operator","description":"runs things","bundleKey":"KEY","readOnly":true}`, header: in(h.acmeID)})
	made.golden("role-post")
	id, _ := made.want(201)["id"].(string)
	item := roles + "/" + id
	h.get(item).golden("role-get")
	h.do(call{method: "GET", target: roles + "?sortAsc=name", header: in(h.acmeID)}).golden("role-list")
	h.get(item + "/rights").golden("role-rights-empty")

	view, manage := h.right(catalog.RightUserView), h.right(catalog.RightUserManage)
	h.post(item+"/rights", `{"values":[{"name":"User: View","id":"`+view+`"}]}`).golden("role-rights-post")
	page := h.post(item+"/rights/", `{"values":[{"id":"`+manage+`"},{"id":"`+view+`"}]}`)
	if n := len(slicesOf(t, page)); n != 2 {
		t.Errorf("POST leaves %d rights", n)
	}
	if m := h.put(item+"/rights", `{"values":[{"name":"Role: View"}]}`).want(200); m["resultTotal"] != 1.0 {
		t.Errorf("PUT by name leaves %v", m)
	}
	if m := h.put(item+"/rights", string(page.body)).want(200); m["resultTotal"] != 2.0 {
		t.Errorf("PUT of a page that was shown leaves %v", m)
	}
	if m := h.get(item + "/rights?filter=name==User:*;rightType==VIEW").want(200); m["resultTotal"] != 1.0 {
		t.Errorf("the filter finds %v", m)
	}
	if m := h.put(item, `{"name":"Watcher"}`).want(200); m["name"] != "Watcher" || m["description"] != nil || m["bundleKey"] != nil {
		t.Errorf("PUT gives %v", m)
	}
	if m := h.get(item + "/rights").want(200); m["resultTotal"] != 2.0 {
		t.Errorf("a PUT of the role changes its rights: %v", m)
	}
	if m := h.put(item+"/rights", `{"values":[]}`).want(200); m["resultTotal"] != 0.0 {
		t.Errorf("PUT of nothing leaves %v", m)
	}
	for body, want := range map[string]string{
		`{}`:                           "values",
		`{"values":null}`:              "values",
		`{"values":[{"id":"x"}]}`:      "urn:vcloud:right:",
		`{"values":[{"name":"nope"}]}`: "no right named",
		`{"values":[{}]}`:              "values",
		`{"values":[{"id":"` + core.RightPrefix + core.NewUUID() + `"}]}`: "does not exist",
		`{"value":[]}`: `nearest key is "values"`,
	} {
		h.post(item+"/rights", body).wantError(400, "BAD_REQUEST", want)
	}
	h.do(call{method: "DELETE", target: item + "/rights"}).wantError(405, "METHOD_NOT_ALLOWED", "GET, HEAD, OPTIONS, POST, PUT")
	u := h.do(call{method: "POST", target: users, body: `{"username":"u","password":"p","roleEntityRefs":[{"id":"` + id + `","name":""}]}`, header: in(h.acmeID)}).want(201)
	h.delete(item).wantError(409, "CONFLICT", "in use")
	h.delete(users + "/" + u["id"].(string)).want(204)
	h.delete(item).want(204)
	for _, target := range []string{item, item + "/rights"} {
		h.get(target).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "there is no role")
	}
	h.post(item+"/rights", `{"values":[]}`).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "there is no role")
	h.put(item+"/rights", `{`).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "there is no role")
}

func TestTheAdministratorsRoleHoldsEveryRightAndStays(t *testing.T) {
	h := newHouse(t)
	list := h.get(roles + "?filter=name==System%20Administrator").want(200)["values"].([]any)
	role := list[0].(map[string]any)
	item := roles + "/" + role["id"].(string)
	if m := h.get(item + "/rights").want(200); role["readOnly"] != true || m["resultTotal"] != float64(len(catalog.BuiltInRights())) {
		t.Errorf("the role %v holds %v", role, m["resultTotal"])
	}
	h.put(item, `{"name":"x"}`).wantError(400, "BAD_REQUEST", "built in")
	h.put(item+"/rights", `{"values":[]}`).wantError(400, "BAD_REQUEST", "built in")
	h.delete(item).wantError(409, "CONFLICT", "in use")
}

func TestRoleRightsHonourIfMatch(t *testing.T) {
	h := newHouse(t)
	item := roles + "/" + h.globalRole("Organization Administrator") + "/rights"
	etag := h.get(item).Header.Get("ETag")
	with := func(etag string) reply {
		return h.do(call{method: "PUT", target: item, body: `{"values":[]}`, header: map[string]string{"If-Match": etag}})
	}
	second := with(etag)
	second.want(200)
	if got := second.Header.Get("ETag"); got == etag || got == "" {
		t.Errorf("the ETag after a change is %q", got)
	}
	with(etag).wantError(412, "PRECONDITION_FAILED", "changed")
}

func TestRightsAreListed(t *testing.T) {
	h := newHouse(t)
	h.get(rights + "?sortAsc=name").golden("right-list")
	custom := h.right("{acme.clip}:open")
	h.get(rights + "/" + custom).golden("right-get")
	h.get(rights+"/"+core.RightPrefix+"x").wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "there is no right")
	for method, target := range map[string]string{"POST": rights, "PUT": rights + "/" + custom, "DELETE": rights + "/" + custom} {
		h.do(call{method: method, target: target, body: "{}"}).wantError(405, "METHOD_NOT_ALLOWED", "GET, HEAD, OPTIONS")
	}
	if m := h.get(rights + "?filter=serviceNamespace==acme.clip").want(200); m["resultTotal"] != 1.0 {
		t.Errorf("the filter finds %v", m)
	}
}

func TestTrustedCertificatesLiveTheirLife(t *testing.T) {
	h := newHouse(t)
	if !h.live.View().TrustPool().Equal(x509.NewCertPool()) {
		t.Error("there is trust before anything is trusted")
	}
	future := time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)
	text := certificate(t, "host.example", future)
	made := h.post(trusted+"/", `{"alias":"host","certificate":`+quoted(text)+`}`)
	m := made.want(201)
	id, _ := m["id"].(string)
	if len(m) != 3 || m["alias"] != "host" || m["certificate"] != text || !strings.HasPrefix(id, "urn:vcloud:trustedCertificate:") ||
		made.Header.Get("Location") != baseURL+trusted+"/"+id || made.Header.Get("Warning") != "" {
		t.Errorf("POST gives %v %v", made.Header, m)
	}
	pool := h.live.View().TrustPool()
	want := x509.NewCertPool()
	want.AppendCertsFromPEM([]byte(text))
	if !pool.Equal(want) {
		t.Error("the pool does not hold the certificate at once")
	}
	if got := h.get(trusted + "/" + id); string(got.body) != string(made.body) {
		t.Errorf("GET gives %s", got.body)
	}
	if list := slicesOf(t, h.get(trusted+"?filter=alias==host")); len(list) != 1 || fmt.Sprint(list[0]) != fmt.Sprint(m) {
		t.Errorf("the list shows %v", list)
	}
	if h.live.View().TrustPool() != pool {
		t.Error("the pool changes without a reason")
	}
	h.post(trusted, `{"alias":"HOST","certificate":`+quoted(text)+`}`).wantError(409, "CONFLICT", "same alias")
	h.put(trusted+"/"+id, `{}`).wantError(405, "METHOD_NOT_ALLOWED", "DELETE, GET, HEAD, OPTIONS")
	h.delete(trusted + "/" + id).want(204)
	h.get(trusted+"/"+id).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "there is no trusted certificate")
	if now := h.live.View().TrustPool(); now == pool || !now.Equal(x509.NewCertPool()) {
		t.Error("what was deleted is still trusted")
	}

	old := certificate(t, "old.example", time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))
	late := h.post(trusted, `{"alias":"old","certificate":`+quoted(strings.TrimSpace(old))+`}`)
	if m := late.want(201); m["certificate"] != old || !strings.Contains(late.Header.Get("Warning"), "expired at 2001-01-01T00:00:00Z") {
		t.Errorf("an expired one gives %v %v", late.Header, m)
	}
}

func TestCertificatesAreRefusedThatAreNone(t *testing.T) {
	h := newHouse(t)
	good := certificate(t, "a", time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC))
	block := func(kind, bytes string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(bytes)}))
	}
	for name, tc := range map[string]struct{ alias, text, want string }{
		"nothing":               {"a", "", "missing"},
		"no PEM":                {"a", "hello", "BEGIN CERTIFICATE"},
		"no X.509":              {"a", block("CERTIFICATE", "hello"), "block 1"},
		"a private key":         {"a", block("PRIVATE KEY", "hello"), "nothing else"},
		"a private key with it": {"a", good + block("PRIVATE KEY", "hello"), "nothing else"},
		"two":                   {"a", good + good, "2 certificates"},
		"something before":      {"a", "subject=a\n" + good, "nothing else"},
		"something after":       {"a", good + "x", "nothing else"},
		"half of one":           {"a", good[:len(good)/2], "BEGIN CERTIFICATE"},
		"too much":              {"a", good + strings.Repeat(" ", 70_000) + "x", "65536 bytes"},
		"no alias":              {"", good, "alias"},
		"an alias of two lines": {"a\nb", good, "alias"},
		"a long alias":          {strings.Repeat("a", 129), good, "alias"},
	} {
		t.Run(name, func(t *testing.T) {
			h.post(trusted, `{"alias":`+quoted(tc.alias)+`,"certificate":`+quoted(tc.text)+`}`).wantError(400, "BAD_REQUEST", tc.want)
		})
	}
}

func TestIssuersLiveTheirLife(t *testing.T) {
	h := newHouse(t)
	role := h.globalRole("Organization Administrator")
	body := `{"name":"sso","orgEntityRef":{"name":"acme","id":"` + h.acmeID + `"},"url":"https://sso.example/realm","audience":"annex","userClaim":"email",
		"roleClaim":"groups","defaultRoleEntityRefs":[{"name":"","id":"` + role + `"}],"autoCreate":true}`
	made := h.post(issuers, body)
	made.golden("issuer-post")
	id, _ := made.want(201)["id"].(string)
	item := issuers + "/" + id
	h.get(item).golden("issuer-get")
	h.get(issuers).golden("issuer-list")
	h.post(issuers, body).wantError(409, "CONFLICT", "same url")
	ca := certificate(t, "ca", time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC))
	m := h.put(item, `{"enabled":false,"ca":`+quoted(ca+ca)+`}`).want(200)
	if m["enabled"] != false || m["autoCreate"] != true || m["url"] != "https://sso.example/realm" || m["userClaim"] != nil || m["ca"] != ca+ca || len(m["defaultRoleEntityRefs"].([]any)) != 1 {
		t.Errorf("PUT gives %v", m)
	}
	if i, ok := h.live.View().Directory.IssuerByURL("https://sso.example/realm"); !ok || i.Enabled || i.CA != ca+ca {
		t.Errorf("the view shows %+v", i)
	}
	for body, want := range map[string]string{
		`{"name":"x","url":"https://x.example","audience":"a"}`:        "orgEntityRef",
		`{"url":"http://plain.example"}`:                               "https",
		`{"audience":""}`:                                              "audience",
		`{"name":""}`:                                                  "name",
		`{"ca":"nonsense"}`:                                            "ca:",
		`{"defaultRoleEntityRefs":[{"id":"x","name":""}]}`:             "defaultRoleEntityRefs",
		`{"orgEntityRef":{"id":"` + core.SystemOrgID + `","name":""}}`: "cannot be changed",
		`{"Url":"https://x.example"}`:                                  `nearest key is "url"`,
	} {
		if strings.HasPrefix(body, `{"name":"x","url"`) {
			h.post(issuers, body).wantError(400, "BAD_REQUEST", want)
			continue
		}
		h.put(item, body).wantError(400, "BAD_REQUEST", want)
	}
	h.do(call{method: "POST", target: issuers, body: `{"name":"x","url":"https://x.example","audience":"a"}`, header: in(h.acmeID)}).want(201)
	global := roles + "/" + role
	h.delete(global).wantError(409, "CONFLICT", "in use")
	h.delete(item).want(204)
	h.get(item).want(403)
	h.delete(global).want(204)
}

func TestClientsWalkPagesOf128(t *testing.T) {
	h := newHouse(t)
	role := core.Role{Name: "All", OrgID: h.acmeID}
	for i := range 150 {
		role.RightIDs = append(role.RightIDs, h.right(fmt.Sprintf("{n}:r%03d", i)))
	}
	role, err := h.catalog.Roles.Create(t.Context(), "", role)
	fatal(t, err)
	for i := range 150 {
		_, err := h.catalog.Users.Create(t.Context(), "", core.User{Name: fmt.Sprintf("u%03d", i), OrgID: h.acmeID, RoleIDs: []string{role.ID}, Enabled: true})
		fatal(t, err)
	}
	admin := h.memberWith("acme", "all", role.ID)
	viewer := h.member("acme", "viewer", catalog.RightUserView)
	for name, tc := range map[string]struct {
		token, target string
		want          int
	}{
		"users for the administrator": {"", users + "?pageSize=128&filter=username==u*", 150},
		"users for a member":          {viewer.token, users + "?pageSize=128&filter=username==u*", 150},
		"rights of a role":            {"", roles + "/" + role.ID + "/rights?pageSize=128", 150},
		"rights that a member holds":  {admin.token, rights + "?pageSize=128", 150},
	} {
		t.Run(name, func(t *testing.T) {
			seen, target, pages := map[any]bool{}, tc.target, 0
			for target != "" {
				r := h.do(call{method: http.MethodGet, target: target, token: tc.token})
				for _, v := range slicesOf(t, r) {
					seen[v.(map[string]any)["id"]] = true
				}
				target, pages = strings.TrimPrefix(links(t, r)["nextPage"], baseURL), pages+1
			}
			if len(seen) != tc.want || pages != 2 {
				t.Errorf("%d pages with %d entities, want 2 with %d", pages, len(seen), tc.want)
			}
		})
	}
	h.get(users+"?pageSize=129").wantError(400, "BAD_REQUEST", "from 1 to 128")
}
