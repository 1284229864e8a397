package cloudapi_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/api/cloudapi"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/identity"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/memory"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	adminPassword  = "correct horse battery"
	tenantPassword = "tenant staple"
	baseURL        = "https://annex.example:8443"
	requestID      = "11111111-2222-3333-4444-555555555555"
)

// house is the JSON API over a real catalog, live and identity.
type house struct {
	t        *testing.T
	handler  http.Handler
	catalog  *catalog.Catalog
	identity *identity.Identity
	live     *live.Live
	admin    string // a token
	tenant   string // a token
	tenantID string // a user
	acmeID   string // the tenant's organisation

	asked     core.ExplainQuery // what explain was asked last
	explained core.Explanation  // what it answers
}

func newHouse(t *testing.T) *house {
	t.Helper()
	return newHouseWith(t, api.Limits{})
}

func newHouseWith(t *testing.T, limits api.Limits) *house {
	t.Helper()
	ctx := t.Context()
	clock := func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }
	store := memory.New()
	var l *live.Live
	cat, err := catalog.Open(ctx, store, catalog.Options{Now: clock, Published: func(ctx context.Context, r storage.Revision) error {
		return l.Wait(ctx, r)
	}})
	fatal(t, err)
	fatal(t, cat.Use([]core.Kind{
		kind{core.KindMQTT, []core.Stage{core.OnDispatch, core.OnResponse}},
		kind{core.KindHTTPS, []core.Stage{core.OnDispatch}},
		kind{core.KindAMQP, []core.Stage{core.OnDispatch, core.OnResponse}},
		kind{core.KindWASM, core.Stages()},
	}))
	l, err = live.Start(ctx, cat, live.Options{})
	fatal(t, err)
	t.Cleanup(func() { l.Close(); fatal(t, store.Close()) })
	id := identity.New(cat, l.View, identity.Options{Now: clock, Cost: identity.Cost{MemoryKiB: 64, Passes: 1}})
	_, err = id.Bootstrap(ctx, adminPassword)
	fatal(t, err)
	fatal(t, cat.SeedRights(ctx, identity.RoleOrgAdministrator))
	h := &house{t: t, catalog: cat, identity: id, live: l}
	h.addTenant()

	e := echo.New()
	cloudapi.Register(e, api.Deps{
		Catalog: cat, Identity: id, Live: l, Limits: limits,
		Logs: func(_ context.Context, _ core.Caller, id string, follow bool) iter.Seq[core.LogLine] {
			return func(yield func(core.LogLine) bool) {
				for _, text := range []string{"one <of> " + id, fmt.Sprint(follow)} {
					if !yield(core.LogLine{Time: time.Unix(1, 0), Level: slog.LevelWarn, Call: "call-1", Text: text}) {
						return
					}
				}
			}
		},
		Explain: func(_ context.Context, q core.ExplainQuery) core.Explanation { h.asked = q; return h.explained },
	})
	h.handler = edge(e)
	h.admin = h.login("administrator", core.SystemOrg, adminPassword)
	h.tenant = h.login("tina@home", "acme", tenantPassword)
	return h
}

func (h *house) addTenant() {
	h.t.Helper()
	ctx := h.t.Context()
	org, err := h.catalog.Orgs.Create(ctx, "", core.Org{Name: "acme", DisplayName: "Acme", Enabled: true})
	fatal(h.t, err)
	role, err := h.catalog.Roles.Create(ctx, "", core.Role{Name: "Helper", OrgID: org.ID})
	fatal(h.t, err)
	hash, err := h.identity.HashPassword(ctx, tenantPassword)
	fatal(h.t, err)
	user, err := h.catalog.Users.Create(ctx, "", core.User{Name: "tina@home", OrgID: org.ID, RoleIDs: []string{role.ID}, Enabled: true, Password: hash})
	fatal(h.t, err)
	h.tenantID, h.acmeID = user.ID, org.ID
}

func (h *house) login(user, org, password string) string {
	h.t.Helper()
	s, err := h.identity.Login(h.t.Context(), identity.Credentials{User: user, Org: org, Password: password, Remote: netip.MustParseAddr("192.0.2.1")})
	fatal(h.t, err)
	return s.Token
}

// edge does what the gateway does in front of the API.
func edge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := api.Edge{ID: requestID, BaseURL: baseURL, Request: core.Request{
			Method: r.Method, Path: r.URL.Path, RawQuery: r.URL.RawQuery, Scheme: "https", Host: "annex.example:8443",
			Header: core.HeaderOf(r.Header.Clone()), RemoteAddr: netip.MustParseAddrPort("192.0.2.1:4711"),
		}}
		next.ServeHTTP(w, r.WithContext(api.WithEdge(r.Context(), e)))
	})
}

// kind is a fake one: it looks at what the tests need.
type kind struct {
	name   string
	stages []core.Stage
}

func (k kind) Name() string         { return k.name }
func (k kind) Stages() []core.Stage { return k.stages }

func (k kind) Check(_ context.Context, s core.System) error {
	if k.name != core.KindHTTPS {
		return nil
	}
	set, err := core.DecodeSettings[core.HTTPSSettings](s)
	if err == nil && !strings.HasPrefix(set.RootURL, "https://") {
		return core.Errorf(core.Invalid, "rootUrl %q: an https URL is needed", set.RootURL)
	}
	return err
}

func (k kind) Open(context.Context, core.System) (core.Conn, error) { return conn{}, nil }

type conn struct{}

func (conn) Do(_ context.Context, m core.Message) (core.Message, error) { return m, nil }
func (conn) Close() error                                               { return nil }

// Ready is wrong, and Report says something.
func (conn) Ready() error { return core.Errorf(core.Unavailable, "it is unwell") }

func (conn) Report() core.Report {
	return core.Report{Limits: map[string]int64{"memoryBytes": 7}, Counts: map[string]int64{"guests": 2, "calls": 3}}
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// call is one exchange. Token "-" sends none, "" the administrator's.
type call struct {
	method, target, body, token string
	header                      map[string]string
}

type reply struct {
	*http.Response
	body []byte
	t    *testing.T
}

func (h *house) do(c call) reply {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), c.method, "http://annex.example"+c.target, strings.NewReader(c.body))
	switch c.token {
	case "":
		r.Header.Set("Authorization", "Bearer "+h.admin)
	case "-":
	default:
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	fatal(h.t, err)
	return reply{res, body, h.t}
}

func (h *house) get(target string) reply {
	h.t.Helper()
	return h.do(call{method: "GET", target: target})
}

func (h *house) post(target, body string) reply {
	h.t.Helper()
	return h.do(call{method: "POST", target: target, body: body})
}

func (h *house) put(target, body string) reply {
	h.t.Helper()
	return h.do(call{method: "PUT", target: target, body: body})
}

func (h *house) delete(target string) reply {
	h.t.Helper()
	return h.do(call{method: "DELETE", target: target})
}

// want checks the status and gives the body as a map, nil without one.
func (r reply) want(status int) map[string]any {
	r.t.Helper()
	if r.StatusCode != status {
		r.t.Fatalf("status %d, want %d; body %s", r.StatusCode, status, r.body)
	}
	if len(r.body) == 0 {
		return nil
	}
	var m map[string]any
	fatal(r.t, json.Unmarshal(r.body, &m))
	if status >= 400 {
		r.wantProblem(m)
	}
	return m
}

func (r reply) wantProblem(m map[string]any) {
	r.t.Helper()
	message, _ := m["message"].(string)
	stack, has := m["stackTrace"]
	if len(m) != 3 || m["minorErrorCode"] == "" || !has || stack != nil || !strings.HasPrefix(message, "[ "+requestID+" ] ") {
		r.t.Errorf("error body %s", r.body)
	}
}

// wantError checks the status, the minor error code and a part of the text.
func (r reply) wantError(status int, minor, message string) {
	r.t.Helper()
	m := r.want(status)
	if m["minorErrorCode"] != minor || !strings.Contains(m["message"].(string), message) {
		r.t.Errorf("error %s, want %s with %q", r.body, minor, message)
	}
}

func basicAuth(user, password string) map[string]string {
	return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
}

var uuidRE = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// golden compares an exchange with a file below testdata. Random ids become
// <uuid-1>, <uuid-2>, … in the order in which they come.
func (r reply) golden(name string) {
	r.t.Helper()
	var b bytes.Buffer
	b.WriteString(r.Status + "\n")
	for _, h := range []string{"Content-Type", "Location", "Link", "Allow", "Set-Cookie", "X-Vmware-Vcloud-Token-Type", "Www-Authenticate"} {
		for _, v := range r.Header.Values(h) {
			b.WriteString(h + ": " + v + "\n")
		}
	}
	b.WriteString("\n")
	if len(r.body) > 0 {
		fatal(r.t, json.Indent(&b, r.body, "", "  "))
		b.WriteString("\n")
	}
	got := masked(b.String())
	path := filepath.Join("testdata", name+".txt")
	if *update {
		fatal(r.t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	fatal(r.t, err)
	if got != string(want) {
		r.t.Errorf("the exchange is\n%s\n%s has\n%s", got, path, want)
	}
}

var (
	secretRE = regexp.MustCompile(`("token": |vcloud_jwt=)"?[A-Za-z0-9_.-]{32,}"?`)
	keep     = []string{requestID, strings.TrimPrefix(core.SystemOrgID, core.OrgPrefix)}
)

func masked(s string) string {
	var seen []string
	s = secretRE.ReplaceAllString(s, "$1<secret>")
	return uuidRE.ReplaceAllStringFunc(s, func(id string) string {
		if slices.Contains(keep, id) {
			return id
		}
		if !slices.Contains(seen, id) {
			seen = append(seen, id)
		}
		return "<uuid-" + string(rune('0'+1+slices.Index(seen, id))) + ">"
	})
}

// doRaw sends a GET whose query may be one that no URL parser takes.
func (h *house) doRaw(c call, rawQuery string) reply {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), c.method, "http://annex.example"+c.target, nil)
	r.URL.RawQuery = rawQuery
	r.Header.Set("Authorization", "Bearer "+h.admin)
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return reply{w.Result(), w.Body.Bytes(), h.t}
}
