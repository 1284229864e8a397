package native_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/core/internal/native"
	"github.com/annex-gateway/annex/core/internal/vxml"
	"github.com/annex-gateway/annex/core/internal/vxml/xsdtest"
	"github.com/annex-gateway/annex/plugins/plugintest"
	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/memory"
)

const (
	acme  = "11111111-1111-4111-8111-111111111111"
	other = "22222222-2222-4222-8222-222222222222"
	idle  = "33333333-3333-4333-8333-333333333333"
	none  = "44444444-4444-4444-8444-444444444444"
)

var systemID = strings.TrimPrefix(core.SystemOrgID, core.OrgPrefix)

func administrator() core.Caller {
	return core.Caller{
		UserID: core.UserPrefix + "99999999-9999-4999-8999-999999999999", UserName: "administrator", OrgID: core.SystemOrgID, OrgName: core.SystemOrg,
		Roles: []core.Ref{{ID: "r1", Name: "System Administrator"}, {ID: "r2", Name: "Auditor"}}, Rights: core.AllRights(),
	}
}

func member() core.Caller {
	return core.Caller{UserID: core.UserPrefix + "88888888-8888-4888-8888-888888888888", UserName: "eve", OrgID: core.OrgPrefix + acme, OrgName: "acme"}
}

// house is a native API over a catalog of its own.
type house struct {
	*native.Native
	t    testing.TB
	cat  *catalog.Catalog
	live *live.Live
}

func build(t *testing.T) *native.Native {
	t.Helper()
	return open(t, nil).Native
}

// open builds a native API in front of an upstream, which may be nil.
func open(tb testing.TB, upstream core.Conn) *house {
	tb.Helper()
	h := &house{t: tb}
	var err error
	h.cat, err = catalog.Open(tb.Context(), memory.New(), catalog.Options{
		Published: func(ctx context.Context, r storage.Revision) error { return h.live.Wait(ctx, r) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := h.cat.Use([]core.Kind{plugintest.NewFake(core.KindMQTT)}); err != nil {
		tb.Fatal(err)
	}
	if h.live, err = live.Start(tb.Context(), h.cat, live.Options{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(h.live.Close)
	for _, o := range []core.Org{
		{ID: core.SystemOrgID, Name: core.SystemOrg, Enabled: true},
		{ID: core.OrgPrefix + other, Name: "other", Enabled: true},
		{ID: core.OrgPrefix + acme, Name: "acme", DisplayName: "Acme & Sons", Description: "makes <things>", Enabled: true},
		{ID: core.OrgPrefix + idle, Name: "idle"},
	} {
		if _, err := h.cat.Orgs.Create(tb.Context(), "", o); err != nil {
			tb.Fatal(err)
		}
	}
	h.Native = native.New(native.Options{View: h.live.View, Upstream: upstream})
	return h
}

func call(caller core.Caller, method, path string, headers ...string) core.Message {
	return core.Message{ID: "request-1", Caller: caller, Request: core.Request{
		Method: method, Path: path, RawPath: path, Scheme: "https", Host: "annex.test:8443", Header: core.NewHeader(headers...),
	}}
}

func get(t *testing.T, n *native.Native, caller core.Caller, path, accept string) core.Response {
	t.Helper()
	m, err := n.Do(t.Context(), call(caller, "GET", path, "Accept", accept))
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	if !m.Answered() || m.Response.Status != 200 {
		t.Fatalf("GET %s: %+v", path, m.Response)
	}
	return *m.Response
}

func bytesOf(t *testing.T, r core.Response) string {
	t.Helper()
	b, err := r.Body.Bytes(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// golden compares an answer with a file. With UPDATE_GOLDEN in the environment
// it writes the file.
func golden(t *testing.T, name, got string) {
	t.Helper()
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
	if strings.HasSuffix(name, ".xml") {
		if err := xsdtest.Validate([]byte(got)); err != nil {
			t.Errorf("%s is not valid by the schema: %v", file, err)
		}
	}
}

func TestAnswersAsTheyArePrinted(t *testing.T) {
	t.Parallel()
	n := build(t)
	for name, c := range map[string]struct{ path, media string }{
		"session":  {"/api/session", "application/vnd.vmware.vcloud.session"},
		"vcloud":   {"/api/admin", "application/vnd.vmware.admin.vcloud"},
		"orglist":  {"/api/org", "application/vnd.vmware.vcloud.orgList"},
		"org":      {"/api/org/" + acme, "application/vnd.vmware.vcloud.org"},
		"adminorg": {"/api/admin/org/" + acme, "application/vnd.vmware.admin.organization"},
	} {
		for who, caller := range map[string]core.Caller{"": administrator(), "-member": member()} {
			r := get(t, n, caller, c.path, "application/*+xml;version=38.0")
			if got := r.Header.Get("Content-Type"); got != c.media+"+xml;version=38.0" {
				t.Errorf("%s: Content-Type %q", c.path, got)
			}
			body := bytesOf(t, r)
			golden(t, name+who+".xml", body)
			onePerRelAndType(t, body)

			r = get(t, n, caller, c.path, "application/*+json;version=38.0")
			if got := r.Header.Get("Content-Type"); got != c.media+"+json;version=38.0" {
				t.Errorf("%s: Content-Type %q", c.path, got)
			}
			body = bytesOf(t, r)
			golden(t, name+who+".json", body)
			if !json.Valid([]byte(body)) {
				t.Errorf("%s is no JSON: %s", name, body)
			}
		}
	}
}

func onePerRelAndType(t *testing.T, body string) {
	t.Helper()
	root, err := vxml.ParseXML([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range root.Children {
		key := c.Attr("rel") + " " + c.Attr("type")
		if c.Name == "Link" && seen[key] {
			t.Errorf("%s has two links %s", root.Name, key)
		}
		seen[key] = c.Name == "Link"
	}
}

func TestTheReleaseIsAVersionAndADate(t *testing.T) {
	t.Parallel()
	n := build(t)
	body := bytesOf(t, get(t, n, administrator(), "/api/admin/", ""))
	root, err := vxml.ParseXML([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	version, date, _ := strings.Cut(root.Value("Description"), " ")
	if strings.Count(version, ".") < 2 {
		t.Errorf("version %q", version)
	}
	if _, err := time.Parse(time.UnixDate, date); err != nil {
		t.Errorf("date %q: %v", date, err)
	}
}

func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	n := build(t)
	for name, c := range map[string]struct {
		caller core.Caller
		method string
		path   string
		code   core.Code
	}{
		"a system administrator sees an organisation": {administrator(), "GET", "/api/org/" + acme, ""},
		"and System":                                  {administrator(), "GET", "/api/org/" + systemID, ""},
		"and one that is disabled":                    {administrator(), "GET", "/api/admin/org/" + idle, ""},
		"a member sees its own":                       {member(), "GET", "/api/org/" + acme, ""},
		"whatever the case of the id":                 {member(), "GET", "/api/org/" + strings.ToUpper(acme), ""},
		"by its URN":                                  {member(), "GET", "/api/org/" + core.OrgPrefix + acme, ""},
		"with a slash at the end":                     {member(), "GET", "/api/org/" + acme + "/", ""},
		"and its view for administrators":             {member(), "GET", "/api/admin/org/" + acme, ""},
		"but no other":                                {member(), "GET", "/api/org/" + other, core.NotFound},
		"nor its view for administrators":             {member(), "GET", "/api/admin/org/" + other, core.NotFound},
		"nor System":                                  {member(), "GET", "/api/org/" + systemID, core.NotFound},
		"one that does not exist":                     {administrator(), "GET", "/api/org/" + none, core.NotFound},
		"no id":                                       {administrator(), "GET", "/api/org/acme", core.NotFound},
		"nobody sees a session":                       {core.Caller{}, "GET", "/api/session", core.Unauthenticated},
		"nobody sees organisations":                   {core.Caller{}, "GET", "/api/org", core.Unauthenticated},
		"nobody sees an organisation":                 {core.Caller{}, "GET", "/api/org/" + acme, core.Unauthenticated},
		"a path that is not there":                    {administrator(), "GET", "/api/unknown", core.NotFound},
		"one below an organisation":                   {administrator(), "GET", "/api/org/" + acme + "/currentTime", core.NotFound},
		"one below the view for administrators":       {administrator(), "GET", "/api/admin/org/" + acme + "/users", core.NotFound},
		"one beside":                                  {administrator(), "GET", "/api/orgs", core.NotFound},
		"the root":                                    {administrator(), "GET", "/", core.NotFound},
		"nothing":                                     {administrator(), "GET", "", core.NotFound},
		"another verb on a path that is not there":    {administrator(), "POST", "/api/unknown", core.NotFound},
		"another verb on the session":                 {administrator(), "POST", "/api/session", core.NotAllowed},
		"another verb on organisations":               {administrator(), "POST", "/api/org", core.NotAllowed},
		"another verb on an organisation":             {administrator(), "PUT", "/api/org/" + acme, core.NotAllowed},
		"another verb on the cloud":                   {administrator(), "DELETE", "/api/admin", core.NotAllowed},
		"another verb on the view for administrators": {administrator(), "PATCH", "/api/admin/org/" + acme, core.NotAllowed},
		"a verb in lower case is another one":         {administrator(), "get", "/api/org", core.NotAllowed},
		"HEAD is like GET":                            {administrator(), "HEAD", "/api/org", ""},
		"HEAD of what one may not see":                {member(), "HEAD", "/api/org/" + other, core.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := call(c.caller, c.method, c.path)
			m, err := n.Do(t.Context(), in)
			switch {
			case c.code == "" && (err != nil || !m.Answered()):
				t.Fatalf("error %v", err)
			case c.code != "" && (err == nil || core.ErrorCode(err) != c.code || m.Answered()):
				t.Fatalf("error %v, want %s", err, c.code)
			case m.ID != in.ID || m.Caller.UserID != in.Caller.UserID || m.Request.Path != in.Request.Path:
				t.Fatalf("the message came back as %+v", m)
			}
		})
	}
}

func TestEveryAnswerHasTypeAndLength(t *testing.T) {
	t.Parallel()
	n := build(t)
	for _, path := range []string{"/api/session", "/api/admin", "/api/org/", "/api/org/" + acme, "/api/admin/org/" + acme} {
		full := get(t, n, administrator(), path, "vnd.vmware.vcloud.org+xml;version=37.0")
		if got := full.Header.Get("Content-Length"); got != strconv.Itoa(len(bytesOf(t, full))) {
			t.Errorf("%s: Content-Length %s", path, got)
		}
		m, err := n.Do(t.Context(), call(administrator(), "HEAD", path, "Accept", "application/*+xml;version=37.0"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Content-Type", "Content-Length", "Etag"} {
			if got, want := m.Response.Header.Get(name), full.Header.Get(name); got != want || want == "" {
				t.Errorf("HEAD %s: %s %q, and %q of GET", path, name, got, want)
			}
		}
		if m.Response.Body.Size() != 0 {
			t.Errorf("HEAD %s has a body", path)
		}
	}
}

func TestTheLifeOfTheConn(t *testing.T) {
	t.Parallel()
	n := build(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Do(ended, call(administrator(), "GET", "/api/org")); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that has ended: %v", err)
	}
	for range 2 {
		if err := n.Close(); err != nil {
			t.Errorf("closed: %v", err)
		}
	}
	if _, err := n.Do(t.Context(), call(administrator(), "GET", "/api/org")); core.ErrorCode(err) != core.Unavailable {
		t.Errorf("a call after the end: %v", err)
	}
}

func TestHammerCalls(t *testing.T) {
	t.Parallel()
	n := build(t)
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 200 {
				if _, err := n.Do(t.Context(), call(member(), "GET", "/api/org/"+acme)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
}
