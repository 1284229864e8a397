package cloudapi_test

import (
	"net/url"
	"testing"

	"github.com/annex-gateway/annex/core"
)

const explainPath = "/cloudapi/extensions/explain"

func TestExplainTellsWhereACallWouldGo(t *testing.T) {
	h := newHouse(t)
	const svc, filter = "urn:vcloud:extension-api:acme:x:1.0.0", "urn:vcloud:apiFilter:1"
	h.explained = core.Explanation{
		Scope: core.ScopeAPI, Native: true, Allowed: false, Refusal: "access is denied",
		Filters: []core.FilterVerdict{
			{Filter: core.Filter{ID: filter, System: svc, Stage: core.OnDispatch, Scope: core.ScopeAPI, URLPattern: "/api/x"}, Matched: true},
			{Filter: core.Filter{ID: "urn:vcloud:apiFilter:2", System: svc, Stage: core.OnResponse, ResponseContentType: "text/html"}, Reason: "its content type is another"},
		},
		Before:   []core.Place{{System: "urn:vcloud:extension-api:acme:w:1.0.0", Filter: "urn:vcloud:apiFilter:3", Priority: 5, Stage: core.OnArrival}},
		Dispatch: []core.Place{{System: svc, Filter: filter, Priority: 50, Stage: core.OnDispatch}},
		Checks: []core.AccessVerdict{{System: svc, Reason: "no rule reaches the caller", Actions: []core.ActionVerdict{
			{Action: "urn:vcloud:resourceClassAction:1", Resource: "7", Owner: h.acmeID, Reason: "no rule reaches the caller"},
			{Action: "urn:vcloud:resourceClassAction:2", Resource: "7", Owner: h.acmeID, Rule: "urn:vcloud:aclRule:1"},
		}}},
		Response: []core.Place{{System: svc, Filter: "urn:vcloud:apiFilter:2", Priority: 50, Stage: core.OnResponse}},
	}
	r := h.post(explainPath, `{"method":"POST","url":"https://any.host:1/api/a%20b?x=1","user":"TINA@home@Acme","contentType":"text/plain"}`)
	r.want(200)
	r.golden("explain-post")
	got := h.asked
	if got.Request.Method != "POST" || got.Request.Path != "/api/a b" || got.Request.RawPath != "/api/a%20b" || got.Request.RawQuery != "x=1" || got.ContentType != "text/plain" || got.Caller.UserID != h.tenantID {
		t.Errorf("asked %+v", got)
	}
	for user, id := range map[string]string{"": "", "tina@home@acme": h.tenantID, h.tenantID: h.tenantID} {
		h.get(explainPath + "?method=DELETE&url=%2Fapi%2Fx%3Fa%3Db&user=" + url.QueryEscape(user)).want(200)
		if got := h.asked; got.Request.Method != "DELETE" || got.Request.Path != "/api/x" || id != "" && got.Caller.UserID != id || id == "" && !got.Caller.Provider() {
			t.Errorf("user %q: asked %+v", user, got)
		}
	}
	h.get(explainPath + "?url=/api/x").want(200)
	if h.asked.Request.Method != "GET" {
		t.Errorf("without a method: %s", h.asked.Request.Method)
	}
}

func TestWhatCannotBeExplained(t *testing.T) {
	h := newHouse(t)
	for body, want := range map[string]struct {
		status      int
		minor, text string
	}{
		`{}`:                                   {400, "BAD_REQUEST", "url: the path"},
		`{"url":"x"}`:                          {400, "BAD_REQUEST", "url: the request target"},
		`{"url":"/api/../x"}`:                  {400, "BAD_REQUEST", "url: "},
		`{"url":"/api","method":"TRACE"}`:      {405, "METHOD_NOT_ALLOWED", "TRACE"},
		`{"url":"/api","user":"tina"}`:         {400, "BAD_REQUEST", "user@organisation"},
		`{"url":"/api","user":"tina@nowhere"}`: {400, "BAD_REQUEST", "no organisation"},
		`{"url":"/api","user":"nobody@acme"}`:  {400, "BAD_REQUEST", "no such user"},
		`{"url":"/api","colour":"red"}`:        {400, "BAD_REQUEST", "colour"},
	} {
		h.post(explainPath, body).wantError(want.status, want.minor, want.text)
	}
	h.get(explainPath+"?url=/a&url=/b").wantError(400, "BAD_REQUEST", "url")
	h.do(call{method: "GET", target: explainPath + "?url=/api", token: h.tenant}).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "administrators")
	h.do(call{method: "GET", target: explainPath + "?url=/api", token: "-"}).want(401)
}
