package cloudapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
)

const (
	endpoints = "/cloudapi/1.0.0/externalEndpoints"
	filters   = "/cloudapi/1.0.0/apiFilters"
	services  = "/cloudapi/extensions/api"
	tokens    = "/cloudapi/1.0.0/tokens"
	modules   = "/cloudapi/extensions/modules"
	sessions  = "/cloudapi/1.0.0/sessions"

	endpointID = "urn:vcloud:extensionEndpoint:acme:clip:1.0.0"
	serviceID  = "urn:vcloud:extension-api:acme:clip:1.0.0"

	endpointBody = `{"name":"clip","version":"1.0.0","vendor":"acme","enabled":true,"rootUrl":"https://host.example"}`
	serviceBody  = `{"name":"clip","version":"1.0.0","vendor":"acme","priority":100,"enabled":"true","authorizationEnabled":"false","description":""}`
)

func TestEndpointsLiveTheirLife(t *testing.T) {
	h := newHouse(t)
	made := h.post(endpoints+"/", endpointBody)
	made.golden("endpoint-post")
	if made.Header.Get("ETag") == "" {
		t.Error("a POST answers without an ETag")
	}
	item := endpoints + "/" + endpointID
	h.get(item).golden("endpoint-get")
	h.get(endpoints).golden("endpoint-list")
	h.post(endpoints, endpointBody).golden("endpoint-conflict")
	h.delete(item).wantError(400, "BAD_REQUEST", "disable it before you delete it")

	changed := h.put(item, `{"id":"`+endpointID+`","name":"other","version":"2.0.0","vendor":"else","enabled":false,"description":"d","rootUrl":"https://second.example"}`)
	m := changed.want(200)
	if m["id"] != endpointID || m["name"] != "clip" || m["enabled"] != false || m["description"] != "d" || m["rootUrl"] != "https://second.example" {
		t.Errorf("PUT gives %s", changed.body)
	}
	if m := h.put(item, `{"name":"clip","version":"1.0.0","vendor":"acme","enabled":false,"rootUrl":"https://second.example"}`).want(200); m["description"] != nil {
		t.Errorf("a description that was left out stays: %v", m)
	}
	if gone := h.delete(item); len(gone.body) != 0 {
		t.Errorf("DELETE answers with %s", gone.body)
	} else {
		gone.want(204)
	}
	h.get(item).golden("endpoint-missing")
	h.put(item, "").wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "there is no external endpoint")
	h.put(item, endpointBody).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "there is no external endpoint")
	h.delete(item).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "there is no external endpoint")
}

func TestEndpointsShowAPriorityOnlyWhereItIsNotTheDefault(t *testing.T) {
	h := newHouse(t)
	if m := h.post(endpoints, endpointBody).want(201); m["priority"] != nil {
		t.Errorf("got %v", m)
	}
	if m := h.put(endpoints+"/"+endpointID, `{"priority":70}`).want(200); m["priority"] != 70.0 || m["enabled"] != true || m["rootUrl"] != "https://host.example" {
		t.Errorf("got %v", m)
	}
}

func TestServicesLiveTheirLife(t *testing.T) {
	h := newHouse(t)
	h.post(services, serviceBody).golden("service-post")
	item := services + "/" + serviceID
	h.get(item).golden("service-get")
	h.get(services).golden("service-list")
	h.delete(item).wantError(400, "BAD_REQUEST", "enabled")
	m := h.put(item, `{"name":"clip","version":"1.0.0","vendor":"acme","priority":50,"enabled":"false","authorizationEnabled":"true","description":"x"}`).want(200)
	if m["enabled"] != false || m["authorizationEnabled"] != true || m["description"] != "x" {
		t.Errorf("PUT gives %v", m)
	}
	echoed := `{"name":"clip","id":"` + serviceID + `","version":"1.0.0","vendor":"acme","priority":50,"enabled":false,"authorizationEnabled":true,
		"description":null,"mqttTopics":{"monitor":"topic/extension/acme/clip/1.0.0/ext","respond":"topic/extension/acme/clip/1.0.0/vcd"}}`
	if m := h.put(item, echoed).want(200); m["description"] != nil || m["authorizationEnabled"] != true {
		t.Errorf("PUT of the echoed object gives %v", m)
	}
	if m := h.put(item, `{}`).want(200); m["authorizationEnabled"] != true || m["enabled"] != false || m["priority"] != 50.0 {
		t.Errorf("what is left out does not stay: %v", m)
	}
	h.delete(item).want(204)
	h.get(item).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", serviceID)
}

func TestServicesKeepTheSpellingOfTheirName(t *testing.T) {
	h := newHouse(t)
	m := h.post(services, `{"name":"Cse_1","version":"1.0.0","vendor":"VMWare"}`).want(201)
	topics, _ := m["mqttTopics"].(map[string]any)
	if m["id"] != "urn:vcloud:extension-api:VMWare:Cse_1:1.0.0" || topics["monitor"] != "topic/extension/VMWare/Cse_1/1.0.0/ext" || m["enabled"] != false || m["priority"] != 50.0 {
		t.Errorf("got %v", m)
	}
}

// What an existing client does with the header, word for word of its effect.
func TestTheFirstLinkOfAServiceHoldsItsUUID(t *testing.T) {
	h := newHouse(t)
	h.post(services, serviceBody).want(201)
	link := h.get(services + "/" + serviceID).Header.Values("Link")
	if len(link) != 1 {
		t.Fatalf("%d Link headers, want one", len(link))
	}
	parts := strings.Split(link[0], "/")
	for i, p := range parts {
		if p == "service" && parts[i-1] == "extension" {
			if want := (core.System{ID: serviceID}).UUID(); parts[i+1] != want {
				t.Errorf("found %q, want %q", parts[i+1], want)
			}
			return
		}
	}
	t.Errorf("no service in %q", link[0])
}

func TestFiltersLiveTheirLife(t *testing.T) {
	h := newHouse(t)
	h.post(services, serviceBody).want(201)
	h.post(endpoints, strings.Replace(endpointBody, "true", "false", 1)).want(201)
	first := h.post(filters+"/", `{"externalSystem":{"id":"`+serviceID+`"},"urlMatcher":{"urlPattern":"/api/cse/.*","urlScope":"API"}}`)
	first.golden("filter-post")
	id, _ := first.want(201)["id"].(string)
	item := filters + "/" + id
	h.get(item).golden("filter-get")

	h.post(filters, `{"externalSystem":{"name":"clip","id":"`+serviceID+`"},"responseContentType":"text/plain","urlMatcher":null}`).golden("filter-response")
	h.post(filters, `{"externalSystem":{"id":"`+endpointID+`"},"urlMatcher":{"urlPattern":"/custom/.*","urlScope":"EXT_UI_TENANT"},"responseContentType":null}`).want(201)

	m := h.put(item, `{"externalSystem":{"id":"`+endpointID+`"},"urlMatcher":{"urlPattern":"/test/update/.*","urlScope":"EXT_API"}}`).want(200)
	system, _ := m["externalSystem"].(map[string]any)
	if m["id"] != id || system["id"] != endpointID || system["name"] != "clip" {
		t.Errorf("PUT gives %v", m)
	}
	m = h.get(filters + "?filter=externalSystem.id%3D%3D" + strings.ReplaceAll(endpointID, ":", "%3A")).want(200)
	if m["resultTotal"] != 2.0 {
		t.Errorf("the endpoint has %v filters, want 2", m["resultTotal"])
	}
	m = h.put(item, `{"externalSystem":{"id":"`+serviceID+`"},"responseContentType":"application/xml"}`).want(200)
	if m["id"] != id || m["urlMatcher"] != nil || m["responseContentType"] != "application/xml" {
		t.Errorf("PUT gives %v", m)
	}
	h.delete(item).want(204)
	h.get(item).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", id)
}

func TestFiltersAreJudgedAgainstTheirSystem(t *testing.T) {
	h := newHouse(t)
	h.post(services, serviceBody).want(201)
	h.post(endpoints, endpointBody).want(201)
	tests := []struct{ name, body, want string }{
		{"no system", `{"urlMatcher":{"urlPattern":"/a","urlScope":"API"}}`, "externalSystem: the id"},
		{"a system by name only", `{"externalSystem":{"name":"clip"},"urlMatcher":{"urlPattern":"/a","urlScope":"API"}}`, "externalSystem: the id"},
		{"a system that does not exist", `{"externalSystem":{"id":"urn:vcloud:extension-api:a:b:1.0.0"},"urlMatcher":{"urlPattern":"/a","urlScope":"API"}}`, "no external service"},
		{"neither matcher", `{"externalSystem":{"id":"` + serviceID + `"}}`, "urlPattern or a responseContentType"},
		{"both matchers", `{"externalSystem":{"id":"` + serviceID + `"},"urlMatcher":{"urlPattern":"/a","urlScope":"API"},"responseContentType":"text/plain"}`, "exclude each other"},
		{"an empty pattern", `{"externalSystem":{"id":"` + serviceID + `"},"urlMatcher":{"urlPattern":"","urlScope":"API"}}`, "urlPattern"},
		{"a scope of endpoints", `{"externalSystem":{"id":"` + serviceID + `"},"urlMatcher":{"urlPattern":"/a","urlScope":"EXT_API"}}`, "EXT_API is for external endpoints"},
		{"a scope of services", `{"externalSystem":{"id":"` + endpointID + `"},"urlMatcher":{"urlPattern":"/a/.*","urlScope":"API"}}`, "API is for external services"},
		{"no scope", `{"externalSystem":{"id":"` + serviceID + `"},"urlMatcher":{"urlPattern":"/a"}}`, "urlScope"},
		{"an unknown scope", `{"externalSystem":{"id":"` + serviceID + `"},"urlMatcher":{"urlPattern":"/a","urlScope":"api"}}`, "urlScope"},
		{"an unknown stage", `{"externalSystem":{"id":"` + serviceID + `"},"urlMatcher":{"urlPattern":"/a","urlScope":"API"},"stage":"noon"}`, "stage"},
		{"a stage of modules", `{"externalSystem":{"id":"` + serviceID + `"},"urlMatcher":{"urlPattern":"/a","urlScope":"API"},"stage":"arrival"}`, "stage"},
		{"a pattern that is none", `{"externalSystem":{"id":"` + serviceID + `"},"urlMatcher":{"urlPattern":"/a(","urlScope":"API"}}`, ""},
		{"a response filter of an endpoint", `{"externalSystem":{"id":"` + endpointID + `"},"responseContentType":"text/plain"}`, "responseContentType"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.post(filters, tt.body).wantError(400, "BAD_REQUEST", tt.want)
		})
	}
}

func TestTokensLiveTheirLife(t *testing.T) {
	h := newHouse(t)
	h.post(services, serviceBody).want(201)
	made := h.post(tokens, `{"name":"mqttCseToken","type":"EXTENSION","extensionId":"`+serviceID+`"}`)
	made.golden("token-post")
	m := made.want(201)
	id, _ := m["id"].(string)
	secret, _ := m["token"].(string)
	if sys, _, err := h.identity.Admit(t.Context(), "acme/clip/1.0.0", secret); err != nil || sys.ID != serviceID {
		t.Errorf("the secret admits %v, %v", sys.ID, err)
	}
	h.get(tokens + "/" + id).golden("token-get")
	h.get(tokens).golden("token-list")
	if list := h.get(tokens); strings.Contains(string(list.body), secret) {
		t.Error("the list shows the secret")
	}
	h.delete(tokens + "/" + id).want(204)
	h.get(tokens+"/"+id).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", id)
	if _, _, err := h.identity.Admit(t.Context(), "acme/clip/1.0.0", secret); err == nil {
		t.Error("the secret still admits")
	}
	h.put(tokens+"/"+id, `{}`).wantError(405, "METHOD_NOT_ALLOWED", "DELETE, GET, HEAD, OPTIONS")
	for body, want := range map[string]string{
		`{"name":"x","type":"REFRESH"}`:   "/oauth/",
		`{"name":"x"}`:                    "EXTENSION is needed",
		`{"name":"x","type":"EXTENSION"}`: "extensionId",
		`{"name":"x","type":"EXTENSION","extensionId":"urn:vcloud:extension-api:a:b:1.0.0"}`: "extensionId",
		`{"type":"EXTENSION","extensionId":"` + serviceID + `"}`:                             "name",
	} {
		h.post(tokens, body).wantError(400, "BAD_REQUEST", want)
	}
}

func TestTenantsSeeTheirOwnTokensOnly(t *testing.T) {
	h := newHouse(t)
	h.post(services, serviceBody).want(201)
	extension, _ := h.post(tokens, `{"name":"n","type":"EXTENSION","extensionId":"`+serviceID+`"}`).want(201)["id"].(string)
	mine, err := h.catalog.Tokens.Create(t.Context(), h.tenantID, core.Token{Name: "mine", Type: core.TokenRefresh, UserID: h.tenantID, SecretHash: []byte("x")})
	fatal(t, err)
	list := h.do(call{method: "GET", target: tokens, token: h.tenant})
	list.golden("token-list-tenant")
	h.do(call{method: "GET", target: tokens + "/" + extension, token: h.tenant}).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "you may not see it")
	h.do(call{method: "DELETE", target: tokens + "/" + extension, token: h.tenant}).want(403)
	h.do(call{method: "POST", target: tokens, token: h.tenant, body: `{"name":"n","type":"EXTENSION","extensionId":"` + serviceID + `"}`}).want(403)
	h.do(call{method: "DELETE", target: tokens + "/" + mine.ID, token: h.tenant}).want(204)
}

func TestModulesLiveTheirLife(t *testing.T) {
	h := newHouse(t)
	bytes := "\x00asm\x01\x00\x00\x00"
	wasm := map[string]string{"Content-Type": "application/wasm"}
	h.do(call{method: "POST", target: modules, body: bytes, header: wasm}).golden("module-post")
	m := h.do(call{method: "POST", target: modules, body: bytes, header: wasm}).want(201)
	digest, _ := m["id"].(string)
	h.get(modules).golden("module-list")
	h.get(modules + "/" + digest).golden("module-get")

	body := `{"name":"guest","version":"1.0.0","vendor":"acme","kind":"wasm","wasm":{"module":"` + digest + `","config":{"b": [1, 2],"a":"<&>"},"deadlineMs":20}}`
	h.post(services, body).golden("service-wasm-post")
	item := services + "/urn:vcloud:extension-api:acme:guest:1.0.0"
	h.put(item, `{"wasm":{"module":"`+digest+`","memoryBytes":65536,"startMs":9000,"logLinesPerSecond":200,"concurrency":2,"rewrite":true,"failurePolicy":"closed","border":"proxy-wasm","clusters":{"auth":"https://auth.test"},"vmConfig":{"b":1},"rootId":"r","vmId":"v","properties":{"a.b":"c"},"environment":{"HOME":"/"}},"description":"d"}`).golden("service-wasm-put")
	if m := h.put(item, `{"priority":1}`).want(200); m["wasm"].(map[string]any)["concurrency"] != 2.0 {
		t.Errorf("settings that were left out do not stay: %v", m)
	}
	h.put(item, `{"enabled":true,"status":{"state":"sent back"}}`).want(200)
	e, _ := h.live.View().System("urn:vcloud:extension-api:acme:guest:1.0.0")
	_, release, err := e.Acquire(t.Context())
	fatal(t, err)
	release()
	h.get(item).golden("service-wasm-enabled")
	h.put(item, `{"enabled":false}`).want(200)
	made := h.post(filters, `{"externalSystem":{"id":"urn:vcloud:extension-api:acme:guest:1.0.0"},"urlMatcher":{"urlPattern":"/a/.*","urlScope":"EXT_API"},"stage":"authorize"}`)
	made.golden("filter-wasm-post")
	id, _ := made.want(201)["id"].(string)
	m = h.put(filters+"/"+id, `{"externalSystem":{"id":"urn:vcloud:extension-api:acme:guest:1.0.0"},"urlMatcher":{"urlPattern":"/b/.*","urlScope":"API"}}`).want(200)
	if m["stage"] != "authorize" {
		t.Errorf("a stage that was left out does not stay: %v", m)
	}

	h.delete(modules+"/"+digest).wantError(409, "CONFLICT", "in use")
	h.delete(item).want(204)
	h.delete(modules + "/" + digest).want(204)
	h.get(modules+"/"+digest).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", digest)
	h.post(services, body).wantError(400, "BAD_REQUEST", "no such module")
}

func TestModulesAreRefusedThatAreNone(t *testing.T) {
	h := newHouseWith(t, api.Limits{Module: 16})
	wasm := map[string]string{"Content-Type": "application/wasm"}
	h.do(call{method: "POST", target: modules, header: wasm}).wantError(400, "BAD_REQUEST", "not a WASM module")
	h.do(call{method: "POST", target: modules, header: wasm, body: "hello"}).wantError(400, "BAD_REQUEST", "not a WASM module")
	h.do(call{method: "POST", target: modules, header: wasm, body: "\x00asm" + strings.Repeat("x", 13)}).wantError(413, "REQUEST_ENTITY_TOO_LARGE", "16 bytes")
	h.do(call{method: "POST", target: modules, header: map[string]string{"Content-Type": "text/plain"}, body: "\x00asm"}).wantError(415, "UNSUPPORTED_MEDIA_TYPE", "application/wasm")
}

func TestServicesOfAKindAreCheckedForIt(t *testing.T) {
	h := newHouse(t)
	h.post(services, serviceBody).want(201)
	for body, want := range map[string]string{
		`{"name":"x","version":"1.0.0","vendor":"v","kind":"wasm"}`:                                 "needs this member",
		`{"name":"x","version":"1.0.0","vendor":"v","kind":"wasm","wasm":{"module":"sha256:0"}}`:    "no such module",
		`{"name":"x","version":"1.0.0","vendor":"v","wasm":{"module":"sha256:0"}}`:                  "is of kind mqtt",
		`{"name":"x","version":"1.0.0","vendor":"v","kind":"https"}`:                                "externalEndpoints",
		`{"name":"x","version":"1.0.0","vendor":"v","kind":"amqp"}`:                                 "XML API",
		`{"name":"x","version":"1.0.0-beta","vendor":"v"}`:                                          "version",
		`{"name":"x y","version":"1.0.0","vendor":"v"}`:                                             "name",
		`{"version":"1.0.0","vendor":"v"}`:                                                          "name",
		`{"name":"x","version":"1.0.0","vendor":"v","priority":101}`:                                "priority",
		`{"name":"x","version":"1.0.0","vendor":"v","kind":"wasm","wasm":{"module":7}}`:             "/wasm/module",
		`{"name":"x","version":"1.0.0","vendor":"v","kind":"wasm","wasm":{"Module":"sha256:0"}}`:    `nearest key is "module"`,
		`{"name":"x","version":"1.0.0","vendor":"v","kind":"wasm","wasm":{"config":{"a":1,"a":2}}}`: "/wasm/config/a is given twice",
	} {
		t.Run(body, func(t *testing.T) { h.post(services, body).wantError(400, "BAD_REQUEST", want) })
	}
	h.put(services+"/"+serviceID, `{"wasm":{"module":"sha256:0"}}`).wantError(400, "BAD_REQUEST", "cannot be changed")
	h.post(endpoints, `{"name":"x","version":"1.0.0","vendor":"v","rootUrl":"http://plain.example"}`).wantError(400, "BAD_REQUEST", "rootUrl")
	h.post(endpoints, `{"name":"x","version":"1.0.0","vendor":"v"}`).wantError(400, "BAD_REQUEST", "rootUrl")
}

func TestServicesOfTheOlderFlavourAndEndpointsAreNotServicesHere(t *testing.T) {
	h := newHouse(t)
	old, err := h.catalog.Systems.Create(t.Context(), "", core.System{
		Kind: core.KindAMQP, Vendor: "acme", Name: "old", Version: "1.0.0",
		Settings: core.EncodeSettings(core.AMQPSettings{Exchange: "e", RoutingKey: "r"}),
	})
	fatal(t, err)
	h.post(endpoints, endpointBody).want(201)
	if m := h.get(services).want(200); m["resultTotal"] != 0.0 {
		t.Errorf("the list shows %v", m)
	}
	for _, id := range []string{old.ID, endpointID} {
		h.get(services + "/" + id).want(403)
		h.put(services+"/"+id, `{"enabled":true}`).want(403)
		h.delete(services + "/" + id).want(403)
	}
	if _, err := h.catalog.Systems.Get(context.Background(), old.ID); err != nil {
		t.Errorf("the hidden service is gone: %v", err)
	}
	h.post(services, serviceBody).want(201)
	h.get(endpoints + "/" + serviceID).want(403)
	h.delete(endpoints + "/" + serviceID).want(403)
}

func TestIfMatchProtectsFromLostUpdates(t *testing.T) {
	h := newHouse(t)
	h.post(endpoints, endpointBody).want(201)
	item := endpoints + "/" + endpointID
	first := h.get(item).Header.Get("ETag")
	if !strings.HasPrefix(first, `"`) || !strings.HasSuffix(first, `"`) {
		t.Fatalf("ETag %q is not quoted", first)
	}
	with := func(method, etag string) reply {
		return h.do(call{method: method, target: item, body: `{"enabled":false}`, header: map[string]string{"If-Match": etag}})
	}
	second := with("PUT", first)
	second.want(200)
	if second.Header.Get("ETag") == first {
		t.Error("the ETag stays after a change")
	}
	with("PUT", first).wantError(412, "PRECONDITION_FAILED", "its ETag is "+second.Header.Get("ETag"))
	with("DELETE", first).wantError(412, "PRECONDITION_FAILED", "read it again")
	with("PUT", "W/"+second.Header.Get("ETag")).want(412)
	with("PUT", "unquoted").wantError(400, "BAD_REQUEST", "If-Match")
	with("PUT", "").wantError(400, "BAD_REQUEST", "If-Match")
	third := with("PUT", `"x", `+second.Header.Get("ETag"))
	third.want(200)
	with("PUT", "*").want(200)
	if now := h.get(item).Header.Get("ETag"); now == third.Header.Get("ETag") {
		t.Error("a PUT with If-Match: * changed nothing")
	}
	with("DELETE", h.get(item).Header.Get("ETag")).want(204)
	with("PUT", "*").want(403)
	with("PUT", first).want(403)
}

func TestAnswersNameTheVersionThatWasAskedFor(t *testing.T) {
	h := newHouse(t)
	for accept, want := range map[string]string{
		"":                                       "39.0",
		"application/json;version=38.1":          "38.1",
		"application/*;version=37.0":             "37.0",
		"application/json;version=":              "39.0",
		"application/json;version=12":            "39.0",
		"vnd.vmware.vcloud.org+xml;version=36.0": "36.0",
		"text/html":                              "39.0",
		"application/json;version=39.0.0-alpha":  "39.0.0-alpha",
		";;;=,,":                                 "39.0",
	} {
		r := h.do(call{method: "GET", target: endpoints, header: map[string]string{"Accept": accept}})
		r.want(200)
		if got := r.Header.Get("Content-Type"); got != "application/json;version="+want {
			t.Errorf("Accept %q gives Content-Type %q, want version %s", accept, got, want)
		}
	}
}

func TestVerbsThatAPathDoesNotKnow(t *testing.T) {
	h := newHouse(t)
	h.post(endpoints, endpointBody).want(201)
	tests := []struct{ method, target, allow string }{
		{"PATCH", endpoints, "GET, HEAD, OPTIONS, POST"},
		{"DELETE", endpoints + "/", "GET, HEAD, OPTIONS, POST"},
		{"POST", endpoints + "/" + endpointID, "DELETE, GET, HEAD, OPTIONS, PUT"},
		{"BREW", endpoints, "GET, HEAD, OPTIONS, POST"},
		{"PUT", modules + "/sha256:0", "DELETE, GET, HEAD, OPTIONS"},
		{"GET", sessions, "DELETE, OPTIONS, POST"},
		{"PUT", sessions + "/current", "DELETE, GET, HEAD, OPTIONS"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			r := h.do(call{method: tt.method, target: tt.target, body: "{}"})
			r.wantError(405, "METHOD_NOT_ALLOWED", tt.allow)
			if got := r.Header.Get("Allow"); got != tt.allow {
				t.Errorf("Allow %q, want %q", got, tt.allow)
			}
		})
	}
	if r := h.do(call{method: "OPTIONS", target: endpoints}); r.StatusCode != 204 || r.Header.Get("Allow") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("OPTIONS gives %d with Allow %q", r.StatusCode, r.Header.Get("Allow"))
	}
	get, head := h.get(endpoints+"/"+endpointID), h.do(call{method: "HEAD", target: endpoints + "/" + endpointID})
	if head.StatusCode != 200 || len(head.body) != 0 || head.Header.Get("Content-Length") != fmt.Sprint(len(get.body)) || head.Header.Get("ETag") != get.Header.Get("ETag") {
		t.Errorf("HEAD gives %d, %d bytes, %v", head.StatusCode, len(head.body), head.Header)
	}
	h.do(call{method: "HEAD", target: endpoints + "/x"}).Body.Close()
}

// Every management path with every kind of caller: strangers learn nothing,
// tenants cannot tell what exists from what does not.
func TestOnlyAdministratorsManageRegistrations(t *testing.T) {
	h := newHouse(t)
	h.post(endpoints, endpointBody).want(201)
	h.post(services, serviceBody).want(201)
	paths := []string{
		"/cloudapi", "/cloudapi/", "/cloudapi/1.0.0", "/cloudapi/nothing/here", "/cloudapi/2.0.0/sessions", "/cloudapi/1.0.0/sessionsx",
		endpoints, endpoints + "/", endpoints + "/" + endpointID, endpoints + "/nothing", filters, filters + "/x",
		services, services + "/" + serviceID, modules, modules + "/sha256:0", "/cloudapi/1.0.0/tokensx",
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"} {
			stranger := h.do(call{method: method, target: path, token: "-", body: "{}"})
			if stranger.StatusCode != 401 || stranger.Header.Get("Allow") != "" || stranger.Header.Get("Www-Authenticate") == "" {
				t.Errorf("%s %s by a stranger: %d %v", method, path, stranger.StatusCode, stranger.Header)
			}
			tenant := h.do(call{method: method, target: path, token: h.tenant, body: "{}"})
			if tenant.StatusCode != 403 || tenant.Header.Get("Allow") != "" || tenant.Header.Get("ETag") != "" {
				t.Errorf("%s %s by a tenant: %d %v", method, path, tenant.StatusCode, tenant.Header)
			}
		}
		tenant := h.do(call{method: "GET", target: path, token: h.tenant})
		tenant.wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "only system administrators")
		known := h.do(call{method: "GET", target: endpoints, token: h.tenant})
		if string(tenant.body) != string(known.body) {
			t.Errorf("%s tells a tenant %s, a known path %s", path, tenant.body, known.body)
		}
	}
	for _, path := range []string{tokens, sessions + "/current", sessions + "/x"} {
		h.do(call{method: "GET", target: path, token: "-"}).want(401)
		h.do(call{method: "GET", target: path, token: "nonsense"}).want(401)
	}
}

func TestUnknownPathsAreNotFoundForAdministrators(t *testing.T) {
	h := newHouse(t)
	h.get("/cloudapi/1.0.0/nothing").golden("unknown-path")
	h.get("/cloudapi").wantError(404, "NOT_FOUND", "/cloudapi")
	h.do(call{method: "BREW", target: "/cloudapi/x/y/z"}).want(404)
}

func TestBodiesAreBounded(t *testing.T) {
	h := newHouseWith(t, api.Limits{Admin: 200})
	big := `{"name":"` + strings.Repeat("x", 300) + `"}`
	h.post(endpoints, big).wantError(413, "REQUEST_ENTITY_TOO_LARGE", "200 bytes")
	h.post(endpoints, endpointBody).want(201)
}

func TestContentTypesOfRegistrations(t *testing.T) {
	h := newHouse(t)
	for i, contentType := range []string{"", "application/json", "application/json;version=39.0.0-alpha", "Application/JSON; charset=utf-8", "application/json;;version"} {
		body := fmt.Sprintf(`{"name":"n%d","version":"1.0.0","vendor":"acme","rootUrl":"https://h.example"}`, i)
		h.do(call{method: "POST", target: endpoints, body: body, header: map[string]string{"Content-Type": contentType}}).want(201)
	}
	for _, contentType := range []string{"application/xml", "text/plain", "application/x-www-form-urlencoded", "json", "application/jsonx"} {
		h.do(call{method: "POST", target: endpoints, body: endpointBody, header: map[string]string{"Content-Type": contentType}}).
			wantError(415, "UNSUPPORTED_MEDIA_TYPE", "send application/json")
	}
	h.do(call{method: "GET", target: endpoints, header: map[string]string{"Content-Type": "application/xml"}}).want(200)
}

// Ambiguous bodies of all entities and verbs are refused; what the decoder
// itself refuses is a table of its own in package api.
func TestAmbiguousBodiesAreRefused(t *testing.T) {
	h := newHouse(t)
	h.post(endpoints, endpointBody).want(201)
	h.post(services, serviceBody).want(201)
	tests := []struct{ name, method, target, body, want string }{
		{"a case variant of enabled", "PUT", endpoints + "/" + endpointID, `{"enabled":false,"ENABLED":true}`, `nearest key is "enabled"`},
		{"enabled twice", "PUT", endpoints + "/" + endpointID, `{"enabled":false,"enabled":true}`, "/enabled is given twice"},
		{"a string for enabled of an endpoint", "PUT", endpoints + "/" + endpointID, `{"enabled":"true"}`, "at /enabled a string is given and true or false is needed"},
		{"a key of services on endpoints", "PUT", endpoints + "/" + endpointID, `{"mqttTopics":null}`, `"mqttTopics" at /mqttTopics is not known here`},
		{"null", "PUT", endpoints + "/" + endpointID, `null`, "null is given"},
		{"nothing", "PUT", endpoints + "/" + endpointID, ``, "empty"},
		{"a list", "POST", endpoints, `[` + endpointBody + `]`, "an array is given"},
		{"two objects", "POST", endpoints, endpointBody + endpointBody, "more data"},
		{"a comment", "POST", tokens, `{"name":"x", //external service` + "\n" + `"type":"EXTENSION"}`, "comment"},
		{"XML", "POST", endpoints, `<Endpoint/>`, "not JSON"},
		{"a case variant of a service's key", "POST", services, `{"Name":"x","version":"1.0.0","vendor":"v"}`, `nearest key is "name"`},
		{"a word for a flag", "PUT", services + "/" + serviceID, `{"enabled":"yes"}`, "at /enabled true or false is needed"},
		{"a case variant of a flag", "PUT", services + "/" + serviceID, `{"enabled":"True"}`, "at /enabled true or false is needed"},
		{"a number for a flag", "PUT", services + "/" + serviceID, `{"authorizationEnabled":1}`, "at /authorizationEnabled true or false is needed"},
		{"a string for a priority", "PUT", services + "/" + serviceID, `{"priority":"100"}`, "at /priority a string is given and a whole number is needed"},
		{"a fraction for a priority", "PUT", services + "/" + serviceID, `{"priority":1.5}`, "at /priority a whole number"},
		{"an unknown key in a matcher", "POST", filters, `{"urlMatcher":{"urlPatern":"/a"}}`, `"urlPatern" at /urlMatcher/urlPatern is not known here; the nearest key is "urlPattern"`},
		{"a string for a system", "POST", filters, `{"externalSystem":"` + serviceID + `"}`, "at /externalSystem a string is given and an object is needed"},
		{"an unknown key of tokens", "POST", tokens, `{"naem":"x"}`, `the nearest key is "name"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.do(call{method: tt.method, target: tt.target, body: tt.body}).wantError(400, "BAD_REQUEST", tt.want)
		})
	}
	if m := h.get(endpoints + "/" + endpointID).want(200); m["enabled"] != true {
		t.Errorf("a refused call changed something: %v", m)
	}
}

func TestErrorsOfAllCodesHaveTheirStatus(t *testing.T) {
	if len(statuses()) != 16 {
		t.Fatalf("%d codes, want all 16", len(statuses()))
	}
	for code, want := range statuses() {
		w := newRecorder()
		writeErrorOf(w, core.Errorf(code, "what happened"))
		m := reply{w.Result(), w.Body.Bytes(), t}.want(want.status)
		if m["minorErrorCode"] != want.minor || m["message"] != "[ "+requestID+" ] what happened" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s gives %v %v", code, m, w.Header())
		}
	}
	for name, err := range map[string]error{
		"INTERNAL_SERVER_ERROR": fmt.Errorf("secret: %w", http.ErrAbortHandler),
		"OWN_WORD":              fmt.Errorf("around: %w", &core.Error{Code: core.Timeout, Minor: "OWN_WORD", Message: "late", Err: http.ErrAbortHandler}),
	} {
		w := newRecorder()
		writeErrorOf(w, err)
		if body := w.Body.String(); !strings.Contains(body, name) || strings.Contains(body, "secret") || strings.Contains(body, "abort") {
			t.Errorf("%v gives %s", err, body)
		}
	}
}
