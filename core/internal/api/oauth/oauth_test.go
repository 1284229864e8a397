package oauth_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/api/cloudapi"
	"github.com/annex-gateway/annex/core/internal/api/oauth"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/identity"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/memory"
)

const (
	password  = "correct horse battery"
	requestID = "11111111-2222-3333-4444-555555555555"

	bearer   = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	provider = "/oauth/provider"
	tenant   = "/oauth/tenant/Acme Corp"
)

// house is the API over a real catalog, live and identity.
type house struct {
	t       testing.TB
	handler http.Handler
	catalog *catalog.Catalog
	id      *identity.Identity
	admin   string // a token
	tina    string // a token of a member of Acme Corp
	tinaID  string
}

func newHouse(tb testing.TB) *house {
	tb.Helper()
	ctx := tb.Context()
	clock := func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }
	store := memory.New()
	var l *live.Live
	cat, err := catalog.Open(ctx, store, catalog.Options{Now: clock, Published: func(ctx context.Context, r storage.Revision) error {
		return l.Wait(ctx, r)
	}})
	fatal(tb, err)
	l, err = live.Start(ctx, cat, live.Options{})
	fatal(tb, err)
	tb.Cleanup(func() { l.Close(); fatal(tb, store.Close()) })
	id := identity.New(cat, l.View, identity.Options{Now: clock, Cost: identity.Cost{MemoryKiB: 64, Passes: 1}})
	tb.Cleanup(id.Close)
	_, err = id.Bootstrap(ctx, password)
	fatal(tb, err)
	h := &house{t: tb, catalog: cat, id: id}
	org, err := cat.Orgs.Create(ctx, "", core.Org{Name: "Acme Corp", Enabled: true})
	fatal(tb, err)
	hash, err := id.HashPassword(ctx, password)
	fatal(tb, err)
	user, err := cat.Users.Create(ctx, "", core.User{Name: "tina", OrgID: org.ID, Enabled: true, Password: hash})
	fatal(tb, err)
	h.tinaID = user.ID

	e := echo.New()
	d := api.Deps{Catalog: cat, Identity: id, Live: l}
	oauth.Register(e, d)
	cloudapi.Register(e, d)
	h.handler = edge(e)
	h.admin, h.tina = h.login("administrator", core.SystemOrg), h.login("tina", "Acme Corp")
	return h
}

func (h *house) login(user, org string) string {
	h.t.Helper()
	s, err := h.id.Login(h.t.Context(), identity.Credentials{User: user, Org: org, Password: password, Remote: netip.MustParseAddr("192.0.2.1")})
	fatal(h.t, err)
	return s.Token
}

// edge does what the gateway does in front of the API.
func edge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := api.Edge{ID: requestID, Request: core.Request{
			Method: r.Method, Path: r.URL.Path, Scheme: "https", Host: "annex.example:8443", Header: core.HeaderOf(r.Header.Clone()),
		}}
		r.URL.RawPath = ""
		next.ServeHTTP(w, r.WithContext(api.WithEdge(r.Context(), e)))
	})
}

func fatal(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

type reply struct {
	*http.Response
	body []byte
	t    testing.TB
}

func (h *house) do(method, path, token, contentType, body string) reply {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), method, "http://annex.example"+(&url.URL{Path: path}).EscapedPath(), strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "bearer "+token)
		r.Header.Set("X-Vmware-Vcloud-Access-Token", token)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	r.Header.Set("Accept", "application/json;version=")
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	res := w.Result()
	b, err := io.ReadAll(res.Body)
	fatal(h.t, err)
	return reply{res, b, h.t}
}

func (h *house) register(path, token, body string) reply {
	h.t.Helper()
	return h.do("POST", path+"/register", token, "application/json", body)
}

func (h *house) token(path string, pairs ...string) reply {
	h.t.Helper()
	f := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Add(pairs[i], pairs[i+1])
	}
	return h.do("POST", path+"/token", "", "application/x-www-form-urlencoded", f.Encode())
}

// want checks the status and gives the body.
func (r reply) want(status int) map[string]any {
	r.t.Helper()
	var m map[string]any
	if r.StatusCode != status {
		r.t.Fatalf("status %d, want %d; body %s", r.StatusCode, status, r.body)
	}
	if status == http.StatusNoContent {
		return nil
	}
	fatal(r.t, json.Unmarshal(r.body, &m))
	if r.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		r.t.Errorf("headers %v", r.Header)
	}
	if status >= 400 {
		message, _ := m["message"].(string)
		stack, has := m["stackTrace"]
		if len(m) != 3 || m["minorErrorCode"] == "" || !has || stack != nil || !strings.HasPrefix(message, "[ "+requestID+" ] ") {
			r.t.Errorf("error body %s", r.body)
		}
	}
	return m
}

func TestAnAPITokenAsTheGoClientMakesAndUsesIt(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct{ path, session, user, org string }{
		{provider, h.admin, "administrator", core.SystemOrg},
		{tenant, h.tina, "tina", "Acme Corp"},
		{"/oauth/tenant/acme corp", h.tina, "tina", "Acme Corp"},
	} {
		t.Run(c.path, func(t *testing.T) {
			h.t = t
			client := h.register(c.path, c.session, `{"client_name":"x"}`).want(201)
			id, _ := client["client_id"].(string)
			if client["client_name"] != "x" || !core.IsUUID(id) {
				t.Fatalf("registered %v", client)
			}
			urn := "/cloudapi/1.0.0/tokens/" + core.TokenPrefix + id
			shown := h.do("GET", urn, c.session, "", "").want(200)
			owner, org := shown["owner"].(map[string]any), shown["org"].(map[string]any)
			if shown["type"] != "REFRESH" || shown["name"] != "x" || owner["name"] != c.user || org["name"] != c.org || owner["id"] == "" || org["id"] == "" {
				t.Fatalf("shown %v", shown)
			}
			made := h.token(c.path, "grant_type", bearer, "assertion", c.session, "client_id", id).want(200)
			h.token(c.path, "grant_type", bearer, "assertion", c.session, "client_id", id).want(400)
			again := h.token(c.path, "grant_type", "refresh_token", "refresh_token", made["refresh_token"].(string)).want(200)
			for _, g := range []map[string]any{made, again} {
				if len(g) != 4 || g["token_type"] != "Bearer" || g["expires_in"] != 86400.0 || g["refresh_token"] != made["refresh_token"] {
					t.Fatalf("granted %v", g)
				}
				s := h.do("GET", "/cloudapi/1.0.0/sessions/current", g["access_token"].(string), "", "").want(200)
				if s["user"].(map[string]any)["name"] != c.user || s["org"].(map[string]any)["name"] != c.org || s["id"] == nil {
					t.Fatalf("the session is %v", s)
				}
			}
			h.do("DELETE", urn, c.session, "", "").want(204)
			h.do("GET", urn, c.session, "", "").want(403)
			for _, g := range []map[string]any{made, again} {
				h.do("GET", "/cloudapi/1.0.0/sessions/current", g["access_token"].(string), "", "").want(401)
			}
			h.token(c.path, "grant_type", "refresh_token", "refresh_token", made["refresh_token"].(string)).want(401)
			h.do("GET", "/cloudapi/1.0.0/sessions/current", c.session, "", "").want(200)
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	h := newHouse(t)
	id := h.register(tenant, h.tina, `{"client_name":"x"}`).want(201)["client_id"].(string)
	ready := h.register(tenant, h.tina, `{"client_name":"y"}`).want(201)["client_id"].(string)
	granted := h.token(tenant, "grant_type", bearer, "assertion", h.tina, "client_id", ready).want(200)
	access, refresh := granted["access_token"].(string), granted["refresh_token"].(string)
	const form, name = "application/x-www-form-urlencoded", `{"client_name":"x"}`

	for _, c := range []struct {
		name   string
		path   string
		token  string
		body   string
		status int
	}{
		{"without a login", tenant, "", name, 401},
		{"with a broken login", tenant, "x", name, 401},
		{"by a tenant for System", provider, h.tina, name, 403},
		{"by a system administrator for a tenant", tenant, h.admin, name, 403},
		{"for an organisation that does not exist", "/oauth/tenant/nowhere", h.tina, name, 403},
		{"with a session of an API token", tenant, access, name, 403},
		{"without a name", tenant, h.tina, `{}`, 400},
		{"with a blank name", tenant, h.tina, `{"client_name":" "}`, 400},
		{"with a name that is too long", tenant, h.tina, `{"client_name":"` + strings.Repeat("x", 256) + `"}`, 400},
		{"with a name that is no text", tenant, h.tina, `{"client_name":1}`, 400},
		{"with two names", tenant, h.tina, `{"client_name":"a","client_name":"b"}`, 400},
		{"for a service account", tenant, h.tina, `{"client_name":"a","software_id":"b"}`, 400},
		{"with no body", tenant, h.tina, ``, 400},
		{"with a body that is too large", tenant, h.tina, `{"client_name":"` + strings.Repeat("x", 64<<10) + `"}`, 413},
	} {
		t.Run("a registration "+c.name, func(t *testing.T) {
			h.t = t
			h.register(c.path, c.token, c.body).want(c.status)
		})
	}
	t.Run("a registration in a form", func(t *testing.T) {
		h.t = t
		h.do("POST", tenant+"/register", h.tina, form, "client_name=x").want(415)
	})

	for _, c := range []struct {
		name   string
		path   string
		pairs  []string
		status int
	}{
		{"no grant type", tenant, nil, 400},
		{"a password", tenant, []string{"grant_type", "password", "username", "tina", "password", password}, 400},
		{"the client's own credentials", tenant, []string{"grant_type", "client_credentials", "client_id", id}, 400},
		{"two grant types", tenant, []string{"grant_type", bearer, "grant_type", "refresh_token", "refresh_token", refresh}, 400},
		{"no assertion", tenant, []string{"grant_type", bearer, "client_id", id}, 400},
		{"no client", tenant, []string{"grant_type", bearer, "assertion", h.tina}, 400},
		{"an unknown client", tenant, []string{"grant_type", bearer, "assertion", h.tina, "client_id", core.NewUUID()}, 400},
		{"another user's client", provider, []string{"grant_type", bearer, "assertion", h.admin, "client_id", id}, 400},
		{"an assertion of another organisation", tenant, []string{"grant_type", bearer, "assertion", h.admin, "client_id", id}, 401},
		{"a broken assertion", tenant, []string{"grant_type", bearer, "assertion", "a.b.c", "client_id", id}, 401},
		{"an assertion that an API token opened", tenant, []string{"grant_type", bearer, "assertion", access, "client_id", id}, 403},
		{"no refresh token", tenant, []string{"grant_type", "refresh_token"}, 400},
		{"an empty refresh token", tenant, []string{"grant_type", "refresh_token", "refresh_token", ""}, 400},
		{"two refresh tokens", tenant, []string{"grant_type", "refresh_token", "refresh_token", refresh, "refresh_token", refresh}, 400},
		{"a guessed refresh token", tenant, []string{"grant_type", "refresh_token", "refresh_token", strings.Repeat("A", 43)}, 401},
		{"a refresh token for System", provider, []string{"grant_type", "refresh_token", "refresh_token", refresh}, 401},
		{"a refresh token for another organisation", "/oauth/tenant/nowhere", []string{"grant_type", "refresh_token", "refresh_token", refresh}, 401},
		{"an access token for a refresh token", tenant, []string{"grant_type", "refresh_token", "refresh_token", access}, 401},
		{"a form that is too large", tenant, []string{"grant_type", "refresh_token", "refresh_token", strings.Repeat("x", 64<<10)}, 413},
	} {
		t.Run("a grant with "+c.name, func(t *testing.T) {
			h.t = t
			m := h.token(c.path, c.pairs...).want(c.status)
			if s := m["message"].(string); strings.Contains(s, refresh) || strings.Contains(s, access) {
				t.Error("the answer repeats a secret")
			}
		})
	}
	for name, c := range map[string]struct {
		contentType, body string
		status            int
	}{
		"JSON":              {"application/json", `{"grant_type":"refresh_token"}`, 415},
		"a broken escape":   {form, "grant_type=%zz", 400},
		"a semicolon":       {form, "grant_type=refresh_token;refresh_token=x", 400},
		"no content type":   {"", "grant_type=refresh_token&refresh_token=x", 401},
		"an empty form":     {form, "", 400},
		"a form in charset": {form + "; charset=utf-8", "grant_type=refresh_token&refresh_token=x", 401},
	} {
		t.Run("a grant as "+name, func(t *testing.T) {
			h.t = t
			h.do("POST", tenant+"/token", "", c.contentType, c.body).want(c.status)
		})
	}
	t.Run("a refresh token in the query", func(t *testing.T) {
		h.t = t
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/oauth/provider/token?grant_type=refresh_token&refresh_token="+refresh, nil)
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if w.Code != 400 {
			t.Fatalf("status %d", w.Code)
		}
	})
}

func TestPathsAndMethods(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", provider + "/token", 405},
		{"PUT", provider + "/register", 405},
		{"HEAD", provider + "/register", 405},
		{"FROB", tenant + "/token/", 405},
		{"OPTIONS", tenant + "/token", 204},
		{"POST", tenant + "/token/", 400},
		{"POST", tenant + "/register/", 401},
		{"POST", "/oauth", 404},
		{"POST", "/oauth/", 404},
		{"POST", "/oauth/provider", 404},
		{"POST", "/oauth/provider/device_authorization", 404},
		{"POST", "/oauth/provider/register/x", 404},
		{"POST", "/oauth/tenant/token", 404},
		{"POST", "/oauth/tenant//token", 404},
		{"POST", "/oauth/tenant/a/b/token", 404},
		{"POST", "/oauth/tenant/System/token", 404},
		{"POST", "/oauth/tenant/system/register", 404},
		{"POST", "/oauth/Provider/token", 404},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			h.t = t
			r := h.do(c.method, c.path, "", "", "")
			r.want(c.status)
			if c.status == 405 && r.Header.Get("Allow") != "OPTIONS, POST" {
				t.Errorf("Allow is %q", r.Header.Get("Allow"))
			}
		})
	}
}

func TestDisabledUsersAndOrganisationsGetNothing(t *testing.T) {
	h := newHouse(t)
	id := h.register(tenant, h.tina, `{"client_name":"y"}`).want(201)["client_id"].(string)
	refresh := h.token(tenant, "grant_type", bearer, "assertion", h.tina, "client_id", id).want(200)["refresh_token"].(string)
	_, err := h.catalog.Users.Update(t.Context(), "", h.tinaID, nil, func(u core.User) (core.User, error) {
		u.Enabled = false
		return u, nil
	})
	fatal(t, err)
	h.token(tenant, "grant_type", "refresh_token", "refresh_token", refresh).want(401)
	h.token(tenant, "grant_type", bearer, "assertion", h.tina, "client_id", id).want(401)
	h.register(tenant, h.tina, `{"client_name":"y"}`).want(401)
}

func TestManyWhoActivateOneClientGetItOnce(t *testing.T) {
	h := newHouse(t)
	id := h.register(tenant, h.tina, `{"client_name":"y"}`).want(201)["client_id"].(string)
	var wg sync.WaitGroup
	status := make([]int, 16)
	for i := range status {
		wg.Go(func() {
			status[i] = h.token(tenant, "grant_type", bearer, "assertion", h.tina, "client_id", id).StatusCode
		})
	}
	wg.Wait()
	ok := 0
	for _, s := range status {
		switch s {
		case 200:
			ok++
		case 400, 409:
		default:
			t.Errorf("status %d", s)
		}
	}
	if ok != 1 {
		t.Fatalf("%d got it, want 1", ok)
	}
}

func FuzzToken(f *testing.F) {
	h := newHouse(f)
	f.Add("provider/token", "application/x-www-form-urlencoded", "grant_type=refresh_token&refresh_token=x")
	f.Add("tenant/Acme Corp/token", "", "grant_type="+bearer+"&assertion=a.b.c&client_id=00000000-0000-4000-8000-000000000000")
	f.Add("tenant/x/register", "application/json", `{"client_name":"x"}`)
	f.Fuzz(func(t *testing.T, path, contentType, body string) {
		r := httptest.NewRequest(http.MethodPost, "/oauth/", strings.NewReader(body))
		r.URL.Path = "/oauth/" + path
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		var m map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code < 400 || w.Code >= 500 {
			t.Fatalf("status %d and %s", w.Code, w.Body)
		}
	})
}
