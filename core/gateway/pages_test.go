package gateway_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// TestForeignPagesCannotActWithTheCookie is T15.
func TestForeignPagesCannotActWithTheCookie(t *testing.T) {
	o := newOrigin(t, nil)
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	h.endpoint("ui", o.URL, filter(core.ScopeProvider, "/ui/.*"), filter(core.ScopeExtAPI, "/ui/.*"))
	own := h.server.URL
	for name, tc := range map[string]struct {
		method string
		header []string
		status int
	}{
		"a top-level GET":                             {"GET", nil, 200},
		"a top-level GET from another site":           {"GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		"HEAD":                                        {"HEAD", nil, 200},
		"OPTIONS":                                     {"OPTIONS", nil, 200},
		"a form of the gateway's own page":            {"POST", []string{"Origin", own}, 200},
		"the same with what the browser says":         {"POST", []string{"Origin", own, "Sec-Fetch-Site", "same-origin"}, 200},
		"only what the browser says":                  {"POST", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		"the host in capitals":                        {"POST", []string{"Origin", strings.ToUpper(own)}, 200},
		"a form without an origin":                    {"POST", nil, 403},
		"a form of a foreign page":                    {"POST", []string{"Origin", "https://evil.example"}, 403},
		"one that names its host in front":            {"POST", []string{"Origin", own + ".evil.example"}, 403},
		"one on another port":                         {"POST", []string{"Origin", "https://127.0.0.1:1"}, 403},
		"one over plain HTTP":                         {"POST", []string{"Origin", strings.Replace(own, "https", "http", 1)}, 403},
		"a page that hides where it is":               {"POST", []string{"Origin", "null"}, 403},
		"a foreign page that the browser names":       {"POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a neighbour":                                 {"POST", []string{"Sec-Fetch-Site", "same-site"}, 403},
		"no page at all":                              {"POST", []string{"Sec-Fetch-Site", "none"}, 403},
		"an own origin that the browser denies":       {"POST", []string{"Origin", own, "Sec-Fetch-Site", "cross-site"}, 403},
		"a foreign origin that the browser vouches":   {"POST", []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "same-origin"}, 403},
		"two origins":                                 {"POST", []string{"Origin", own, "Origin", "https://evil.example"}, 403},
		"PUT":                                         {"PUT", nil, 403},
		"PATCH":                                       {"PATCH", nil, 403},
		"DELETE":                                      {"DELETE", nil, 403},
		"a method that nobody knows":                  {"PROPFIND", nil, 403},
		"a method in small letters":                   {"post", nil, 403},
		"an Authorization field does not help a form": {"POST", []string{"Authorization", "Bearer " + h.token}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			o.take()
			got := h.do(tc.method, "/ext-ui/provider/ui/x", "", append(tc.header, "Cookie", "vcloud_jwt="+h.token)...)
			saw := len(o.take())
			if got.status != tc.status || (saw == 1) != (tc.status == 200) {
				t.Errorf("%d %s, and the endpoint saw %d requests", got.status, got.body, saw)
			}
			if got.header.Get("X-Content-Type-Options") != "nosniff" && got.status == 200 {
				t.Errorf("header %v", got.header)
			}
		})
	}
	t.Run("the API does not know the cookie", func(t *testing.T) {
		if got := h.do("POST", "/ext-api/ui/x", "", "Cookie", "vcloud_jwt="+h.token, "Origin", own); got.status != 401 {
			t.Errorf("%d", got.status)
		}
		if got := h.do("DELETE", "/api/session", "", "Cookie", "vcloud_jwt="+h.token, "Origin", own); got.status != 401 {
			t.Errorf("logout: %d", got.status)
		}
		if got := h.as(h.token, "POST", "/ext-api/ui/x", ""); got.status != 200 {
			t.Errorf("%d", got.status)
		}
	})
	t.Run("nor may a foreign page open a WebSocket", func(t *testing.T) {
		for origin, status := range map[string]int{"https://evil.example": 403, "null": 403, "https://gw.test": 200} {
			c := h.dial()
			h.say(c, "GET /ext-ui/provider/ui/ws HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: %s\r\nCookie: vcloud_jwt=%s\r\n\r\n", origin, h.token)
			if got := h.hear(bufio.NewReader(c), "GET"); got.status != status {
				t.Errorf("%s: %d %s", origin, got.status, got.body)
			}
		}
	})
}

// TestTheCookieOfALoginIsForPagesAlone is the other half of ruling 22.
func TestTheCookieOfALoginIsForPagesAlone(t *testing.T) {
	h := newHouse(t, nil)
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth("administrator@System", adminPassword)
	got := h.do("POST", "/cloudapi/1.0.0/sessions/provider", "", "Authorization", r.Header.Get("Authorization"))
	c := got.header.Get("Set-Cookie")
	for _, part := range []string{"vcloud_jwt=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(c, part) {
			t.Errorf("%q is not in the cookie %q", part, c)
		}
	}
}

// TestEveryAnswerOfAPageSaysNosniff is T16.
func TestEveryAnswerOfAPageSaysNosniff(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "sniff")
		w.Header().Add("Set-Cookie", "vcloud_jwt=stolen")
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(204)
		case "/broken":
			panic(http.ErrAbortHandler)
		case "/found":
			w.Header().Set("Location", "/ext-ui/provider/ui/x")
			w.WriteHeader(302)
		}
	})
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	h.endpoint("ui", o.URL, filter(core.ScopeProvider, "/ui/.*"))
	for path, status := range map[string]int{
		"/ext-ui/provider/ui/x": 200, "/ext-ui/provider/ui/none": 204, "/ext-ui/provider/ui/found": 302, "/ext-ui/provider/ui/broken": 502,
		"/ext-ui/provider/nothing": 404, "/ext-ui/tenant/nobody/x": 404, "/ext-ui": 404, "/ext-ui/": 404, "/ext-ui/../x": 400,
	} {
		got := h.do("GET", path, "", "Cookie", "vcloud_jwt="+h.token)
		if v := got.header.Values("X-Content-Type-Options"); got.status != status || len(v) != 1 || v[0] != "nosniff" || got.header["Set-Cookie"] != nil {
			t.Errorf("%s: %d, nosniff %q, cookies %q", path, got.status, v, got.header["Set-Cookie"])
		}
	}
	if got := h.do("GET", "/ext-ui/provider/ui/x", ""); got.status != 401 || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("without a credential: %d %v", got.status, got.header)
	}
}

// TestWhoMaySeeWhichPages is ruling 22.
func TestWhoMaySeeWhichPages(t *testing.T) {
	o := newOrigin(t, nil)
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	h.endpoint("ui", o.URL+"/base", filter(core.ScopeProvider, "/p/.*"), filter(core.ScopeTenant, "/t/.*"))
	ann, _, _ := h.member("One", "ann")
	bob, _, _ := h.member("Two", "bob")
	for _, tc := range []struct {
		who, token, path string
		status           int
		target           string
	}{
		{"a member of her organisation", ann, "/ext-ui/tenant/One/t/a", 200, "/base/a"},
		{"a member, in another spelling", ann, "/ext-ui/tenant/%4Fne/t/a?q=1;2", 200, "/base/a?q=1;2"},
		{"a member of another one", bob, "/ext-ui/tenant/One/t/a", 403, ""},
		{"the system administrator", h.token, "/ext-ui/tenant/One/t/a", 200, "/base/a"},
		{"the system administrator elsewhere", h.token, "/ext-ui/tenant/Two/t/a", 200, "/base/a"},
		{"an organisation that is not there", h.token, "/ext-ui/tenant/Three/t/a", 404, ""},
		{"one that is not there, for a member", ann, "/ext-ui/tenant/Three/t/a", 404, ""},
		{"no organisation", ann, "/ext-ui/tenant//t/a", 400, ""},
		{"any user on a provider page", ann, "/ext-ui/provider/p/a", 200, "/base/a"},
		{"the administrator on a provider page", h.token, "/ext-ui/provider/p/a", 200, "/base/a"},
		{"a tenant's pattern on a provider page", h.token, "/ext-ui/provider/t/a", 404, ""},
		{"a provider's pattern on a tenant page", h.token, "/ext-ui/tenant/One/p/a", 404, ""},
		{"a page's pattern below the API", h.token, "/ext-api/p/a", 401, ""},
		{"nobody", "", "/ext-ui/tenant/One/t/a", 401, ""},
	} {
		t.Run(tc.who, func(t *testing.T) {
			o.take()
			var cookie []string
			if tc.token != "" {
				cookie = []string{"Cookie", "vcloud_jwt=" + tc.token}
			}
			got := h.do("GET", tc.path, "", cookie...)
			saw := o.take()
			if got.status != tc.status || (tc.target == "") != (len(saw) == 0) || len(saw) > 0 && saw[0].target != tc.target {
				t.Errorf("%d %s; the endpoint saw %v", got.status, got.body, saw)
			}
		})
	}
}
