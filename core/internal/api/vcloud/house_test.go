package vcloud

import (
	"context"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/identity"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/core/internal/vxml/xsdtest"
	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/memory"
)

const (
	base     = "https://annex.test:8443"
	password = "correct horse"
)

// still is a kind whose systems do nothing.
type still struct{ name string }

func (k still) Name() string { return k.name }
func (k still) Stages() []core.Stage {
	return []core.Stage{core.OnDispatch, core.OnResponse}
}
func (k still) Check(context.Context, core.System) error                   { return nil }
func (k still) Open(context.Context, core.System) (core.Conn, error)       { return k, nil }
func (k still) Do(_ context.Context, m core.Message) (core.Message, error) { return m, nil }
func (k still) Close() error                                               { return nil }

// house is the API with all that it stands on, and who calls it.
type house struct {
	*testing.T
	echo                  *echo.Echo
	catalog               *catalog.Catalog
	live                  *live.Live
	identity              *identity.Identity
	administrator, tenant string // tokens
	service               core.System
	path                  string // of the service
}

func build(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, echo: echo.New()}
	var err error
	h.catalog, err = catalog.Open(t.Context(), memory.New(), catalog.Options{
		Published: func(ctx context.Context, r storage.Revision) error { return h.live.Wait(ctx, r) },
	})
	h.must(err)
	h.must(h.catalog.Use([]core.Kind{still{core.KindMQTT}, still{core.KindAMQP}, still{core.KindHTTPS}}))
	h.live, err = live.Start(t.Context(), h.catalog, live.Options{})
	h.must(err)
	t.Cleanup(h.live.Close)
	h.identity = identity.New(h.catalog, h.live.View, identity.Options{
		Cost: identity.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1, Concurrency: 2},
	})
	_, err = h.identity.Bootstrap(t.Context(), password)
	h.must(err)
	h.addUser("acme", "eve@example.com")
	h.administrator, h.tenant = h.login("administrator", core.SystemOrg), h.login("eve@example.com", "acme")
	Register(h.echo, api.Deps{Catalog: h.catalog, Identity: h.identity, Live: h.live})

	h.service, err = h.catalog.Systems.Create(t.Context(), "", core.System{
		Kind: core.KindMQTT, Vendor: "VMWare", Name: "cse", Version: "1.0.0", Priority: 100, Enabled: true, Description: "clusters & <more>",
	})
	h.must(err)
	h.path = "/api/admin/extension/service/" + h.service.UUID()
	return h
}

// in gives the house to a subtest.
func (h *house) in(t *testing.T) *house {
	t.Helper()
	inner := *h
	inner.T = t
	return &inner
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) addUser(org, name string) {
	h.Helper()
	o, err := h.catalog.Orgs.Create(h.Context(), "", core.Org{Name: org, Enabled: true})
	h.must(err)
	hash, err := h.identity.HashPassword(h.Context(), password)
	h.must(err)
	_, err = h.catalog.Users.Create(h.Context(), "", core.User{Name: name, OrgID: o.ID, Enabled: true, Password: hash})
	h.must(err)
}

func (h *house) login(user, org string) string {
	h.Helper()
	s, err := h.identity.Login(h.Context(), identity.Credentials{User: user, Org: org, Password: password, Remote: netip.MustParseAddr("127.0.0.1")})
	h.must(err)
	return s.Token
}

// send makes a call like the gateway's edge does. Headers are names and values
// in turn.
func (h *house) send(token, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	h.Helper()
	r := httptest.NewRequestWithContext(h.Context(), method, target, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	edge := api.Edge{ID: "request-1", BaseURL: base, Request: core.Request{
		Method: method, Path: r.URL.Path, RawPath: r.URL.Path, Scheme: "https", Host: "annex.test:8443",
		RemoteAddr: netip.MustParseAddrPort("127.0.0.1:4711"), Header: core.HeaderOf(r.Header),
	}}
	w := httptest.NewRecorder()
	h.echo.ServeHTTP(w, r.WithContext(api.WithEdge(r.Context(), edge)))
	return w
}

func (h *house) expect(w *httptest.ResponseRecorder, status int) string {
	h.Helper()
	if w.Code != status {
		h.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	h.valid(w)
	return w.Body.String()
}

// valid checks a document against the schema files.
func (h *house) valid(w *httptest.ResponseRecorder) {
	h.Helper()
	if media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";"); !strings.HasSuffix(media, "+xml") || w.Body.Len() == 0 {
		return
	}
	if err := xsdtest.Validate(w.Body.Bytes()); err != nil {
		h.Errorf("not by the schema: %v in\n%s", err, w.Body)
	}
}

// make creates something by a body in XML and gives its path.
func (h *house) make(list, body string) (item, answer string) {
	h.Helper()
	w := h.send(h.administrator, "POST", list, body, "Content-Type", "application/xml", "Accept", anyXML)
	answer = h.expect(w, 201)
	return strings.TrimPrefix(w.Header().Get("Location"), base), answer
}

var randomID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

// golden compares an answer with a file, ids that are made at random aside.
// With UPDATE_GOLDEN in the environment it writes the file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = randomID.ReplaceAllString(got, "00000000-0000-4000-8000-000000000000")
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}
