package cloudapi_test

import (
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func TestLoginGivesATokenTheCookieAndTheSession(t *testing.T) {
	h := newHouse(t)
	r := h.do(call{method: "POST", target: sessions + "/provider", token: "-", header: basicAuth("administrator@System", adminPassword)})
	r.golden("session-login-provider")
	token := r.Header.Get("X-VMWARE-VCLOUD-ACCESS-TOKEN")
	if len(token) <= 32 {
		t.Fatalf("the token %q has 32 characters or less", token)
	}
	h.do(call{method: "GET", target: endpoints, token: token}).want(200)
	h.do(call{method: "GET", target: sessions + "/current", token: token}).golden("session-current")
	id, _ := h.do(call{method: "GET", target: sessions + "/current", token: token}).want(200)["id"].(string)
	h.do(call{method: "GET", target: sessions + "/" + id, token: token}).want(200)
	h.get(sessions+"/"+id).wantError(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", id)
	h.delete(sessions + "/" + id).want(403)

	for _, user := range []string{"tina@home@acme", "TINA@home@ACME"} {
		h.do(call{method: "POST", target: sessions + "/", token: "-", header: basicAuth(user, tenantPassword)}).golden("session-login-tenant")
	}
}

func TestLogoutEndsTheCallersSession(t *testing.T) {
	h := newHouse(t)
	for _, target := range []string{"", "/", "/provider", "/current", "/<own>"} {
		t.Run(target, func(t *testing.T) {
			token := h.login("administrator", core.SystemOrg, adminPassword)
			id, _ := h.do(call{method: "GET", target: sessions + "/current", token: token}).want(200)["id"].(string)
			r := h.do(call{method: "DELETE", target: sessions + strings.Replace(target, "<own>", id, 1), token: token})
			r.want(204)
			if c := r.Header.Get("Set-Cookie"); !strings.HasPrefix(c, "vcloud_jwt=;") || !strings.Contains(c, "Max-Age=0") {
				t.Errorf("Set-Cookie %q does not take the cookie away", c)
			}
			h.do(call{method: "GET", target: sessions + "/current", token: token}).want(401)
			h.get(endpoints).want(200)
		})
	}
}

func TestLoginsAreRefusedWith401Only(t *testing.T) {
	h := newHouse(t)
	tests := []struct {
		name, target string
		header       map[string]string
	}{
		{"a wrong password", "/provider", basicAuth("administrator@System", "wrong")},
		{"an unknown user", "/provider", basicAuth("nobody@System", "wrong")},
		{"an unknown organisation", "", basicAuth("tina@home@nowhere", tenantPassword)},
		{"no organisation", "/provider", basicAuth("administrator", adminPassword)},
		{"an empty organisation", "/provider", basicAuth("administrator@", adminPassword)},
		{"an empty user", "/provider", basicAuth("@System", adminPassword)},
		{"no password", "/provider", basicAuth("administrator@System", "")},
		{"a tenant at the provider's door", "/provider", basicAuth("tina@home@acme", tenantPassword)},
		{"an administrator at the tenants' door", "", basicAuth("administrator@System", adminPassword)},
		{"an administrator at the tenants' door in capitals", "", basicAuth("administrator@SYSTEM", adminPassword)},
		{"no credentials", "/provider", nil},
		{"a bearer token", "/provider", map[string]string{"Authorization": "Bearer " + h.admin}},
		{"base64 that is none", "/provider", map[string]string{"Authorization": "Basic %%%"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := h.do(call{method: "POST", target: sessions + tt.target, token: "-", header: tt.header})
			r.wantError(401, "UNAUTHORIZED", "")
			if r.Header.Get("X-VMWARE-VCLOUD-ACCESS-TOKEN") != "" || r.Header.Get("Set-Cookie") != "" || r.Header.Get("Www-Authenticate") != `Basic realm="annex"` {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
}

func TestTooManyFailedLoginsAre401Too(t *testing.T) {
	h := newHouse(t)
	var last reply
	for range 50 {
		last = h.do(call{method: "POST", target: sessions, token: "-", header: basicAuth("tina@home@acme", "wrong")})
		last.want(401)
	}
	last.wantError(401, "UNAUTHORIZED", "too many")
}
