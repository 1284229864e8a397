package gateway_test

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

// forged are fields that speak for the gateway or hold a credential, in the
// spellings that some server takes for one of them.
func forged() []string {
	var all []string
	for _, name := range []string{
		"Authorization", "x-vcloud-authorization", "X-VMWARE-VCLOUD-ACCESS-TOKEN", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
		"X-Forwarded-Prefix", "X-Forwarded-User", "Forwarded", "X-Real-IP", "X-Annex-Identity", "X-Annex-Caller", "Proxy", "Proxy-Authorization",
	} {
		all = append(all, name, strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"))
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			all = append(all, name[:i]+"_"+name[i+1:])
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

const forgery = "forged-by-the-client"

// ways are the roads to an extension, each with what authenticates there.
func (h *house) ways() map[string]string {
	return map[string]string{
		"/api/spoof/x":              "Authorization: Bearer " + h.token,
		"/ext-api/spoof/x":          "Authorization: Bearer " + h.token,
		"/ext-ui/provider/spoof/x":  "Cookie: a=1; vcloud_jwt=" + h.token + "; b=2",
		"/ext-ui/tenant/TO/spoof/x": "Cookie: a=1; vcloud_jwt=" + h.token + "; b=2",
	}
}

// TestNoCredentialAndNoForgeryReachesAnExtension is T13 and T14 on the way in.
func TestNoCredentialAndNoForgeryReachesAnExtension(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/redirect") {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		}
	})
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	h.member("TO", "ann")
	h.endpoint("spoof", o.URL, filter(core.ScopeExtAPI, "/spoof/.*"), filter(core.ScopeProvider, "/spoof/.*"), filter(core.ScopeTenant, "/spoof/.*"))
	heard := make(chan wire.Request, 1)
	id := h.service("spoof", 50, filter(core.ScopeAPI, "/api/spoof/.*"))
	h.listen(id, "spoof", func(r wire.Request) []byte { heard <- r; return reply(r, 204, "") })
	for path, credential := range h.ways() {
		for _, upgrade := range []string{"", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://gw.test\r\n"} {
			c := h.dial()
			r := bufio.NewReader(c)
			for _, name := range forged() {
				if strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "X-VMWARE-VCLOUD-ACCESS-TOKEN") || strings.EqualFold(name, "x-vcloud-authorization") {
					continue // a second credential is refused, as another test holds
				}
				for _, connection := range []string{"", "Connection: close-not, " + name + "\r\n"} {
					h.say(c, "GET %s HTTP/1.1\r\nHost: gw.test\r\n%s\r\n%s: %s\r\n%s: %s\r\n%s%s\r\n", path, credential, name, forgery, name, forgery, connection, upgrade)
					if got := h.hear(r, "GET"); got.status != 200 && got.status != 204 {
						t.Fatalf("%s with %s: %d %s", path, name, got.status, got.body)
					}
					if path == "/api/spoof/x" {
						checkWire(t, receive(t, "the request", heard), h.token)
						continue
					}
					saw := o.take()
					if len(saw) != 1 {
						t.Fatalf("%s with %s: the endpoint saw %d requests", path, name, len(saw))
					}
					checkSeen(t, path+" with "+name, saw[0], h.token)
				}
			}
		}
	}
	got := h.as(h.token, "GET", "/ext-api/spoof/redirect", "")
	if got.status != 302 || got.header.Get("Location") != "https://elsewhere.example/" || len(o.take()) != 1 {
		t.Errorf("a redirect became %d %v", got.status, got.header)
	}
}

func checkSeen(t *testing.T, what string, s seen, secret string) {
	t.Helper()
	all := fmt.Sprint(s.header)
	if strings.Contains(all, forgery) || strings.Contains(all, secret) {
		t.Errorf("%s: the endpoint saw %v", what, s.header)
	}
	if s.header.Get("X-Forwarded-Host") != "gw.test" || s.header.Get("X-Forwarded-For") != "127.0.0.1" || s.header.Get("X-Annex-Identity") == "" {
		t.Errorf("%s: the gateway's own word is missing: %v", what, s.header)
	}
	if c := s.header.Get("Cookie"); c != "" && c != "a=1; b=2" {
		t.Errorf("%s: cookies %q", what, c)
	}
}

func checkWire(t *testing.T, r wire.Request, secret string) {
	t.Helper()
	for _, f := range r.Message.Headers {
		if strings.Contains(f.Value, secret) || strings.Contains(f.Value, forgery) {
			t.Errorf("the service saw %s: %s", f.Name, f.Value)
		}
	}
	if r.Security.APIAccessToken == "" || r.Security.APIAccessToken == secret {
		t.Errorf("the service acts with %q", r.Security.APIAccessToken)
	}
}

// TestNoFieldOfTheGatewaysOwnComesBack is T13 on the way out.
func TestNoFieldOfTheGatewaysOwnComesBack(t *testing.T) {
	secret := "from-the-extension"
	var names []string
	for _, name := range []string{"Authorization", "x-vcloud-authorization", "X-VMWARE-VCLOUD-ACCESS-TOKEN", "Set-Cookie", "Set-Cookie2", "X-Annex-Identity"} {
		names = append(names, name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"))
	}
	o := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range names {
			w.Header()[name] = []string{secret, secret}
		}
		w.Header()["Vary"] = []string{"X-Mine"}
	})
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	h.endpoint("out", o.URL, filter(core.ScopeExtAPI, "/out/.*"), filter(core.ScopeProvider, "/out/.*"))
	id := h.service("out", 50, filter(core.ScopeAPI, "/api/out"))
	h.listen(id, "out", func(r wire.Request) []byte {
		header := []string{"Vary", "X-Mine"}
		for _, name := range names {
			header = append(header, name, secret)
		}
		return reply(r, 200, "", header...)
	})
	for path, got := range map[string]answer{
		"/ext-api/out/x":         h.as(h.token, "GET", "/ext-api/out/x", ""),
		"/ext-ui/provider/out/x": h.do("GET", "/ext-ui/provider/out/x", "", "Cookie", "vcloud_jwt="+h.token),
		"/api/out":               h.as(h.token, "GET", "/api/out", ""),
	} {
		if got.status != 200 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		for name, values := range got.header {
			if slices.Contains(values, secret) {
				t.Errorf("%s: %s came through: %v", path, name, values)
			}
		}
		if v := got.header.Values("Vary"); len(v) != 1 || !strings.HasPrefix(v[0], "Accept, ") {
			t.Errorf("%s: Vary is %q", path, v)
		}
	}
}

// TestDoubledCredentialsAreRefused is the last part of section 5.
func TestDoubledCredentialsAreRefused(t *testing.T) {
	h := newHouse(t, nil)
	for name, header := range map[string][]string{
		"two Authorization fields":   {"Authorization", "Bearer " + h.token, "Authorization", "Bearer " + h.token},
		"a list of tokens":           {"Authorization", "Bearer " + h.token + ", Bearer " + h.token},
		"a tab after the scheme":     {"Authorization", "Bearer\t" + h.token},
		"fields that disagree":       {"Authorization", "Bearer " + h.token, "X-VMWARE-VCLOUD-ACCESS-TOKEN", "x" + h.token},
		"the cookie alone on an API": {"Cookie", "vcloud_jwt=" + h.token},
		"another scheme":             {"Authorization", "Basic " + h.token},
	} {
		if got := h.do("GET", "/api/session", "", header...); got.status != 401 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	for name, header := range map[string][]string{
		"the cookie twice":               {"Cookie", "vcloud_jwt=" + h.token + "; vcloud_jwt=" + h.token},
		"two Cookie fields with it":      {"Cookie", "vcloud_jwt=" + h.token, "Cookie", "vcloud_jwt=" + h.token},
		"a header that disagrees":        {"Cookie", "vcloud_jwt=" + h.token, "Authorization", "Bearer x" + h.token},
		"the header alone on a page":     {"Authorization", "Bearer " + h.token},
		"a cookie that is named alike":   {"Cookie", "VCLOUD_JWT=" + h.token},
		"a cookie that is named in part": {"Cookie", "xvcloud_jwt=" + h.token},
	} {
		if got := h.do("GET", "/ext-ui/provider/x", "", header...); got.status != 401 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	if got := h.do("GET", "/api/session", "", "Authorization", "bEaReR "+h.token); got.status != 200 {
		t.Errorf("the scheme in another case: %d", got.status)
	}
}
