package identity

import (
	"net/http"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func TestHeadersThatCarryATokenMustAgree(t *testing.T) {
	h := start(t, Options{})
	a, b := h.login(t, eve()).Token, h.login(t, eve()).Token
	const access, legacy, auth, cookie = "X-VMWARE-VCLOUD-ACCESS-TOKEN", "x-vcloud-authorization", "Authorization", "Cookie"
	for _, c := range []struct {
		name string
		path string
		head []string
		ok   bool
	}{
		{"Bearer is accepted", "/api/x", []string{auth, "Bearer " + a}, true},
		{"bearer in lower case is accepted", "/api/x", []string{auth, "bearer " + a}, true},
		{"BEARER in upper case is accepted", "/cloudapi/x", []string{auth, "BEARER " + a}, true},
		{"two spaces after the scheme are accepted", "/api/x", []string{auth, "Bearer  " + a}, true},
		{"the access token header alone is accepted", "/api/x", []string{access, a}, true},
		{"the legacy header alone is accepted", "/api/x", []string{legacy, a}, true},
		{"the same token in two headers, as the Go SDK sends it, is accepted", "/api/x", []string{access, a, auth, "bearer " + a, "X-Vmware-Vcloud-Token-Type", "Bearer"}, true},
		{"the same token in all three is accepted", "/ext-api/x", []string{access, a, auth, "bearer " + a, legacy, a}, true},
		{"a cookie beside a header is ignored outside of pages", "/ext-api/x", []string{auth, "Bearer " + a, cookie, "vcloud_jwt=" + b}, true},
		{"nothing is refused", "/api/x", nil, false},
		{"different tokens in two headers are refused", "/api/x", []string{access, a, auth, "Bearer " + b}, false},
		{"different tokens in old and new headers are refused", "/api/x", []string{access, a, legacy, b}, false},
		{"a good token beside a broken one is refused", "/api/x", []string{access, a, auth, "Bearer x"}, false},
		{"two Authorization headers are refused", "/api/x", []string{auth, "Bearer " + a, auth, "Bearer " + b}, false},
		{"two equal Authorization headers are refused", "/api/x", []string{auth, "Bearer " + a, auth, "Bearer " + a}, false},
		{"the same access token header twice, as the Go SDK logs out, is accepted", "/api/x", []string{access, a, access, a, auth, "bearer " + a}, true},
		{"two different access token headers are refused", "/api/x", []string{access, a, access, b}, false},
		{"an empty Authorization header is refused", "/api/x", []string{auth, "", access, a}, false},
		{"an empty access token header is refused", "/api/x", []string{access, ""}, false},
		{"a scheme without a token is refused", "/api/x", []string{auth, "Bearer "}, false},
		{"the scheme alone is refused", "/api/x", []string{auth, "Bearer"}, false},
		{"a token without a scheme is refused", "/api/x", []string{auth, a}, false},
		{"a tab after the scheme is refused", "/api/x", []string{auth, "Bearer\t" + a}, false},
		{"a comma list is refused", "/api/x", []string{auth, "Bearer " + a + ", Bearer " + a}, false},
		{"the scheme twice is refused", "/api/x", []string{auth, "Bearer Bearer " + a}, false},
		{"another scheme is refused", "/api/x", []string{auth, "Basic ZXZlQGFjbWU6eA=="}, false},
		{"the scheme in the access token header is refused", "/api/x", []string{access, "Bearer " + a}, false},
		{"a cookie is refused on /api", "/api/x", []string{cookie, "vcloud_jwt=" + a}, false},
		{"a cookie is refused on /ext-api", "/ext-api/x", []string{cookie, "vcloud_jwt=" + a}, false},
		{"a cookie is refused on a path that only looks like a page", "/ext-uix", []string{cookie, "vcloud_jwt=" + a}, false},

		{"a page takes the cookie", "/ext-ui/provider/x", []string{cookie, "vcloud_jwt=" + a}, true},
		{"a page takes the cookie among others", "/ext-ui/tenant/acme/x", []string{cookie, "a=b; vcloud_jwt=" + a + "; c"}, true},
		{"a page takes the cookie from a second line", "/ext-ui/provider/x", []string{cookie, "a=b", cookie, "vcloud_jwt=" + a}, true},
		{"a page takes the cookie beside the same token in a header", "/ext-ui/provider/x", []string{cookie, "vcloud_jwt=" + a, auth, "Bearer " + a}, true},
		{"a page without the cookie is refused", "/ext-ui/provider/x", []string{cookie, "vcloud_jwt2=" + a + "; xvcloud_jwt=" + a}, false},
		{"a page with a header only is refused", "/ext-ui/provider/x", []string{auth, "Bearer " + a}, false},
		{"a page whose cookie and header disagree is refused", "/ext-ui/provider/x", []string{cookie, "vcloud_jwt=" + a, auth, "Bearer " + b}, false},
		{"a page whose cookie stands beside a broken header is refused", "/ext-ui/provider/x", []string{cookie, "vcloud_jwt=" + a, auth, "Basic x"}, false},
		{"the cookie twice is refused", "/ext-ui/provider/x", []string{cookie, "vcloud_jwt=" + a + "; vcloud_jwt=" + b}, false},
		{"the same cookie twice is refused", "/ext-ui/provider/x", []string{cookie, "vcloud_jwt=" + a + "; vcloud_jwt=" + a}, false},
		{"the cookie on two lines is refused", "/ext-ui/provider/x", []string{cookie, "vcloud_jwt=" + a, cookie, "vcloud_jwt=" + b}, false},
		{"an empty cookie before a good one is refused", "/ext-ui/provider/x", []string{cookie, "vcloud_jwt=; vcloud_jwt=" + a}, false},
		{"an empty cookie is refused", "/ext-ui/provider/x", []string{cookie, "vcloud_jwt="}, false},
		{"a quoted cookie is refused", "/ext-ui/provider/x", []string{cookie, `vcloud_jwt="` + a + `"`}, false},
		{"a cookie with a space is refused", "/ext-ui/provider/x", []string{cookie, "vcloud_jwt= " + a}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, warmth := range []string{"cold", "warm"} {
				got, err := h.Identify(t.Context(), get(c.path, c.head...))
				if c.ok && (err != nil || got.UserName != "eve") {
					t.Fatalf("%s: got %q and %v, want eve", warmth, got.UserName, err)
				}
				if !c.ok {
					wantCode(t, err, core.Unauthenticated)
				}
			}
		})
	}
}

func TestThePersonIsToldWhatIsMissing(t *testing.T) {
	h := start(t, Options{})
	s := h.login(t, eve())
	must(t, h.Logout(t.Context(), s.Caller))
	for name, c := range map[string]struct {
		r    core.Request
		want string
	}{
		"no header":          {get("/api/x"), "no credential was sent: log in"},
		"no cookie":          {get("/ext-ui/provider"), "the cookie vcloud_jwt"},
		"a session that was": {bearerOf(s.Token), "the session has ended: log in again"},
		"nonsense":           {bearerOf("x"), "the token is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.Identify(t.Context(), c.r)
			if !strings.Contains(core.ErrorMessage(err), c.want) {
				t.Fatalf("told %q, want %q in it", core.ErrorMessage(err), c.want)
			}
		})
	}
}

func TestPagesChangeThingsOnlyFromTheGatewaysOwnPages(t *testing.T) {
	h := start(t, Options{})
	token := h.login(t, eve()).Token
	const origin, site = "Origin", "Sec-Fetch-Site"
	for _, c := range []struct {
		name    string
		method  string
		upgrade string
		head    []string
		ok      bool
	}{
		{"a GET needs nothing", "GET", "", nil, true},
		{"a top-level GET from elsewhere works", "GET", "", []string{site, "cross-site"}, true},
		{"a HEAD needs nothing", "HEAD", "", nil, true},
		{"a POST of the same origin works", "POST", "", []string{origin, "https://gw.example:8443"}, true},
		{"a POST of the same origin in other case works", "POST", "", []string{origin, "HTTPS://GW.example:8443"}, true},
		{"a POST that the browser calls same-origin works", "POST", "", []string{site, "same-origin"}, true},
		{"a POST with both works", "POST", "", []string{site, "same-origin", origin, "https://gw.example:8443"}, true},
		{"a page that hides its address works if the browser vouches", "POST", "", []string{site, "same-origin", origin, "null"}, true},
		{"a WebSocket of the same origin works", "GET", "websocket", []string{origin, "https://gw.example:8443"}, true},
		{"a POST without both is refused", "POST", "", nil, false},
		{"a POST of a foreign origin is refused", "POST", "", []string{origin, "https://evil.example"}, false},
		{"a POST of another port is refused", "POST", "", []string{origin, "https://gw.example"}, false},
		{"a POST of another scheme is refused", "POST", "", []string{origin, "http://gw.example:8443"}, false},
		{"a POST of a longer host is refused", "POST", "", []string{origin, "https://gw.example:8443.evil.example"}, false},
		{"a POST of an unnamed origin is refused", "POST", "", []string{origin, "null"}, false},
		{"a POST of an empty origin is refused", "POST", "", []string{origin, ""}, false},
		{"a POST of a sister site is refused", "POST", "", []string{site, "same-site"}, false},
		{"a POST from elsewhere is refused", "POST", "", []string{site, "cross-site", origin, "https://gw.example:8443"}, false},
		{"a POST of nobody's page is refused", "POST", "", []string{site, "none"}, false},
		{"two origins are refused", "POST", "", []string{origin, "https://gw.example:8443", origin, "https://evil.example"}, false},
		{"a foreign origin is refused whatever the site says", "POST", "", []string{site, "same-origin", origin, "https://evil.example"}, false},
		{"a PUT without both is refused", "PUT", "", nil, false},
		{"a DELETE without both is refused", "DELETE", "", nil, false},
		{"an unknown verb without both is refused", "FROB", "", nil, false},
		{"a WebSocket without an origin is refused", "GET", "websocket", nil, false},
		{"a WebSocket of a foreign origin is refused", "GET", "websocket", []string{origin, "https://evil.example"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := get("/ext-ui/provider/x", append(c.head, "Cookie", "vcloud_jwt="+token)...)
			r.Method, r.Upgrade = c.method, c.upgrade
			_, err := h.Identify(t.Context(), r)
			if c.ok {
				must(t, err)
				return
			}
			wantCode(t, err, core.Forbidden)
		})
	}
	t.Run("the port that the scheme implies may be written or not", func(t *testing.T) {
		r := get("/ext-ui/provider/x", "Cookie", "vcloud_jwt="+token, origin, "https://gw.example")
		r.Method, r.Host = http.MethodPost, "gw.example:443"
		_, err := h.Identify(t.Context(), r)
		must(t, err)
	})
	t.Run("headers elsewhere need no origin", func(t *testing.T) {
		r := bearerOf(token)
		r.Method = http.MethodPost
		_, err := h.Identify(t.Context(), r)
		must(t, err)
	})
}

func TestACallerHasTheRightsOfThisMoment(t *testing.T) {
	h := start(t, Options{})
	u := h.addUser(t, "acme", "bob")
	right, err := h.cat.Rights.Create(t.Context(), "", core.Right{Name: "{acme}read"})
	must(t, err)
	role, err := h.cat.Roles.Create(t.Context(), "", core.Role{Name: "reader", RightIDs: []string{right.ID}})
	must(t, err)
	s := h.login(t, Credentials{User: "bob", Org: "acme", Password: password, Remote: faraway})
	if h.accepted(t, s.Token).Rights.Has(right.Name) {
		t.Fatal("a right came from nowhere")
	}
	h.changeUser(t, u.ID, func(u *core.User) { u.RoleIDs = []string{role.ID} })
	if !h.accepted(t, s.Token).Rights.Has(right.Name) {
		t.Fatal("a role that was given has no effect")
	}
	_, err = h.cat.Roles.Update(t.Context(), "", role.ID, nil, func(r core.Role) (core.Role, error) {
		r.RightIDs = nil
		return r, nil
	})
	must(t, err)
	if h.accepted(t, s.Token).Rights.Has(right.Name) {
		t.Fatal("a right that was taken from the role is still held")
	}
}

func TestAClaimIsResolvedToALivingUser(t *testing.T) {
	h := start(t, Options{})
	s := h.login(t, eve())
	c, err := h.Resolve(t.Context(), core.Claim{User: "EVE", Org: "Acme"})
	must(t, err)
	if c.UserID != s.Caller.UserID || c.SessionID != "" {
		t.Fatalf("resolved to %+v", c)
	}
	for name, claim := range map[string]core.Claim{
		"nobody": {}, "no such user": {User: "mallory", Org: "acme"}, "no such organisation": {User: "eve", Org: "x"},
		"a user of another organisation": {User: "administrator", Org: "acme"},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			_, err := h.Resolve(t.Context(), claim)
			wantCode(t, err, core.Unauthenticated)
		})
	}
	h.changeUser(t, s.Caller.UserID, func(u *core.User) { u.Enabled = false })
	_, err = h.Resolve(t.Context(), core.Claim{User: "eve", Org: "acme"})
	wantCode(t, err, core.Unauthenticated)
}
