package cloudapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const applyTarget = "/cloudapi/extensions/apply"

// declare writes the body of an apply call: pairs of a kind and an object.
func declare(options string, pairs ...string) string {
	var objects []string
	for i := 0; i < len(pairs); i += 2 {
		objects = append(objects, fmt.Sprintf(`{"kind":%q,"at":"set.yaml:%d","object":%s}`, pairs[i], i/2+1, pairs[i+1]))
	}
	return `{` + options + `"objects":[` + strings.Join(objects, ",") + `]}`
}

// wholeSet is one object of each kind, in an order that nobody would need.
func wholeSet() []string {
	return []string{
		"acl", `{"resourceClassAction":{"name":"acme/backup/1.0.0/backup/view"},"name":"viewers","organizationAccess":{"access":"Published"},"serviceResourceAccess":{"access":"Entity","entity":{"name":"monday"}},"principalAccess":{"access":"Entity","entity":{"name":"Restore"}}}`,
		"filter", `{"externalSystem":{"name":"acme/backup/1.0.0"},"urlMatcher":{"urlPattern":"/api/backup/.*","urlScope":"API"}}`,
		"user", `{"username":"ulf","orgEntityRef":{"name":"fresh"},"roleEntityRefs":[{"name":"Restorer"}],"password":"ulf's password"}`,
		"role", `{"name":"Restorer","orgEntityRef":{"name":"fresh"},"rights":[{"name":"{acme.backup.1.0.0}:Restore"},{"name":"User: View"}]}`,
		"org", `{"name":"fresh","displayName":"Fresh"}`,
		"right", `{"service":{"name":"acme/backup/1.0.0"},"name":"Restore"}`,
		"file", `{"apiDefinition":{"name":"backup API"},"name":"schema","href":"{baseUri}/x.xsd"}`,
		"definition", `{"service":{"name":"backup"},"name":"backup API","supportedApiVersions":["1.0"]}`,
		"link", `{"service":{"name":"backup"},"linkHref":"{baseUri}/backup","mimeType":"a/b","rel":"down:backup","resourceType":"c/d"}`,
		"resource", `{"resourceClass":{"name":"acme/backup/1.0.0/backup"},"name":"monday","externalObjectId":"b-1","org":{"name":"fresh"}}`,
		"action", `{"resourceClass":{"name":"backup"},"name":"view","httpMethod":"GET","urlPattern":"/api/backup/(?<id>.*)"}`,
		"class", `{"service":{"name":"acme/backup/1.0.0"},"name":"backup","mimeType":"application/vnd.acme.backup+xml"}`,
		"ext", `{"vendor":"acme","name":"backup","version":"1.0.0","enabled":true,"authorizationEnabled":true}`,
		"endpoint", `{"vendor":"acme","name":"clip","version":"1.0.0","rootUrl":"https://clip.example"}`,
		"issuer", `{"name":"sso","orgEntityRef":{"name":"fresh"},"url":"https://sso.example","audience":"annex","defaultRoleEntityRefs":[{"name":"Restorer"}]}`,
	}
}

// count gives how many changes of each kind an answer tells of.
func count(m map[string]any) map[string]int {
	n := map[string]int{}
	for _, c := range m["changes"].([]any) {
		n[c.(map[string]any)["change"].(string)]++
	}
	return n
}

func (h *house) counts() map[string]float64 {
	h.t.Helper()
	n := map[string]float64{}
	for _, path := range []string{
		"extensions/api", "1.0.0/externalEndpoints", "1.0.0/apiFilters", "1.0.0/orgs", "1.0.0/users", "1.0.0/roles", "1.0.0/oidcIssuers",
		"extensions/rights", "extensions/resourceClasses", "extensions/resourceClassActions", "extensions/aclRules",
		"extensions/serviceResources", "extensions/serviceLinks", "extensions/apiDefinitions", "extensions/fileDescriptors",
	} {
		n[path] = h.get("/cloudapi/" + path).want(200)["resultTotal"].(float64)
	}
	return n
}

func TestASetIsAppliedAtOnceAndThenChangesNothing(t *testing.T) {
	h := newHouse(t)
	before := h.counts()
	dry := h.post(applyTarget, declare(`"dryRun":true,`, wholeSet()...)).want(200)
	if n := count(dry); dry["applied"] != false || n["create"] != 15 || len(n) != 1 {
		t.Fatalf("a dry run tells of %v", dry)
	}
	if now := h.counts(); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Fatalf("a dry run leaves %v, and there was %v", now, before)
	}
	if done := h.post(applyTarget, declare("", wholeSet()...)).want(200); done["applied"] != true || count(done)["create"] != 15 {
		t.Fatalf("it tells of %v", done)
	}
	for path, n := range h.counts() {
		if n != before[path]+1 {
			t.Errorf("%s has %v entities, and had %v", path, n, before[path])
		}
	}
	h.login("ulf", "fresh", "ulf's password")
	again := h.post(applyTarget, declare(`"prune":true,`, wholeSet()...)).want(200)
	if n := count(again); n["none"] != 15 || len(n) != 1 {
		b, _ := json.MarshalIndent(again, "", " ")
		t.Errorf("again it tells of %s", b)
	}
}

func TestASetOfWhichOneObjectIsWrongChangesNothing(t *testing.T) {
	h := newHouse(t)
	before := h.counts()
	for _, c := range []struct{ name, kind, object, want string }{
		{"a key that is not known", "org", `{"name":"other","displayName":"x","colour":"red"}`, `set.yaml:16: org: \"colour\"`},
		{"a pattern that cannot run", "filter", `{"externalSystem":{"name":"backup"},"urlMatcher":{"urlPattern":"/api/(","urlScope":"API"}}`, "set.yaml:16: filter: "},
		{"a name of nothing", "class", `{"service":{"name":"nothing"},"name":"x","mimeType":"a/b"}`, "service: there is no external service"},
		{"no name at all", "class", `{"name":"x","mimeType":"a/b"}`, "service: a name or an id is needed"},
		{"an object that is there twice", "org", `{"name":"Fresh","displayName":"x"}`, "declared at set.yaml:5 already"},
		{"a kind that there is not", "token", `{}`, `set.yaml:16: kind \"token\"`},
		{"a right that is built in", "right", `{"id":"` + h.rightID("User: View") + `","service":{"name":"backup"},"name":"User: View","description":"x"}`, "built in"},
		{"no object", "org", `[]`, "set.yaml:16: org: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := h.post(applyTarget, declare("", append(wholeSet(), c.kind, c.object)...))
			if r.StatusCode != 400 && r.StatusCode != 409 || !strings.Contains(string(r.body), c.want) {
				t.Errorf("status %d, %s; want %s", r.StatusCode, r.body, c.want)
			}
			if now := h.counts(); fmt.Sprint(now) != fmt.Sprint(before) {
				t.Errorf("it leaves %v, and there was %v", now, before)
			}
		})
	}
	var many []string
	for i := range 1001 {
		many = append(many, "org", fmt.Sprintf(`{"name":"o%d","displayName":"x"}`, i))
	}
	h.post(applyTarget, declare("", many...)).wantError(413, "REQUEST_ENTITY_TOO_LARGE", "nothing was changed")
	h.do(call{method: "POST", target: applyTarget, body: declare("", "org", `{"name":"x","displayName":"x"}`), token: h.tenant}).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "")
}

func (h *house) rightID(name string) string {
	h.t.Helper()
	list := h.get("/cloudapi/1.0.0/rights?filter=name==" + strings.ReplaceAll(name, " ", "%20")).want(200)["values"].([]any)
	return list[0].(map[string]any)["id"].(string)
}

func TestAnUpdateTellsWhatBecomesAnother(t *testing.T) {
	h := newHouse(t)
	h.post(applyTarget, declare("", wholeSet()...)).want(200)
	ulf := h.login("ulf", "fresh", "ulf's password")
	m := h.post(applyTarget, declare("",
		"ext", `{"vendor":"acme","name":"backup","version":"1.0.0","priority":80}`,
		"user", `{"username":"ulf","orgEntityRef":{"name":"fresh"},"password":"another one"}`,
		"role", `{"name":"Restorer","orgEntityRef":{"name":"fresh"},"rights":[{"name":"User: View"}]}`,
	)).want(200)
	told := map[string]string{}
	for _, c := range m["changes"].([]any) {
		c := c.(map[string]any)
		var members []string
		for _, d := range c["differences"].([]any) {
			members = append(members, d.(map[string]any)["member"].(string))
		}
		told[c["change"].(string)+" "+c["kind"].(string)+" "+c["name"].(string)] = strings.Join(members, ",")
	}
	if fmt.Sprint(told) != fmt.Sprint(map[string]string{
		"update ext acme/backup/1.0.0": "priority", "update user ulf@fresh": "password", "update role Restorer": "rights",
	}) {
		t.Errorf("it tells of %v", told)
	}
	if strings.Contains(fmt.Sprint(m), "another one") || strings.Contains(fmt.Sprint(m), "argon2") {
		t.Errorf("it tells the password: %v", m)
	}
	h.do(call{method: "GET", target: "/cloudapi/1.0.0/users", token: ulf}).want(401)
	h.login("ulf", "fresh", "another one")
}

func TestPruningDeletesWhatBelongsToTheSetAndIsNotInIt(t *testing.T) {
	h := newHouse(t)
	other := h.addFramework() // of acme/backup/1.0.0 too
	h.post(applyTarget, declare("",
		"ext", `{"vendor":"acme","name":"other","version":"1.0.0"}`,
		"filter", `{"externalSystem":{"name":"acme/other/1.0.0"},"responseContentType":"text/plain"}`)).want(200)
	set := []string{
		"ext", `{"vendor":"acme","name":"backup","version":"1.0.0"}`,
		"filter", `{"externalSystem":{"name":"acme/backup/1.0.0"},"urlMatcher":{"urlPattern":"/api/new","urlScope":"API"}}`,
	}
	dry := h.post(applyTarget, declare(`"prune":true,"dryRun":true,`, set...)).want(200)
	m := h.post(applyTarget, declare(`"prune":true,`, set...)).want(200)
	if fmt.Sprint(count(m)) != fmt.Sprint(count(dry)) {
		t.Errorf("the dry run tells of %v, and the other of %v", count(dry), count(m))
	}
	for path, want := range map[string]float64{
		"extensions/resourceClasses": 0, "extensions/resourceClassActions": 0, "extensions/aclRules": 0, "extensions/serviceResources": 0,
		"extensions/serviceLinks": 0, "extensions/apiDefinitions": 0, "extensions/fileDescriptors": 0, "1.0.0/apiFilters": 2, "extensions/api": 2,
	} {
		if n := h.counts()[path]; n != want {
			t.Errorf("%s has %v entities, want %v", path, n, want)
		}
	}
	h.get("/cloudapi/extensions/rights/" + other.right).want(200) // rights are not pruned: roles may hold them
}
