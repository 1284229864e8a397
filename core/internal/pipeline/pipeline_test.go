package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/catalog"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/plugins/plugintest"
	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/memory"
)

// fixture is a road with scripted systems: each writes its name into the
// trail as it is visited.
type fixture struct {
	testing.TB
	quiet  bool // leaves no trail
	cat    *catalog.Catalog
	live   *live.Live
	road   *Pipeline
	caller core.Caller
	refuse error

	mu     sync.Mutex
	trail  []string
	events []core.Event
	script map[string]plugintest.Handler // by system name
}

func (f *fixture) Identify(context.Context, core.Request) (core.Caller, error) {
	return f.caller, f.refuse
}

func (f *fixture) Resolve(_ context.Context, c core.Claim) (core.Caller, error) {
	if c.User == "nobody" {
		return core.Caller{}, core.Errorf(core.Unauthenticated, "nobody of that name")
	}
	return core.Caller{UserID: core.UserPrefix + c.User, OrgID: core.OrgPrefix + c.Org}, nil
}

func (f *fixture) note(what string) {
	if f.quiet {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trail = append(f.trail, what)
}

func (f *fixture) handle(ctx context.Context, sys core.System, m core.Message) (core.Message, error) {
	if m.Route.Stage == core.OnResponse {
		f.note(sys.Name + "<")
	} else {
		f.note(sys.Name)
	}
	if h := f.script[sys.Name]; h != nil {
		return h(ctx, sys, m)
	}
	return m, nil
}

// aroundKind makes the systems of a fake stand around the call.
type aroundKind struct {
	*plugintest.Fake
	f *fixture
}

type aroundConn struct {
	core.Conn
	f   *fixture
	sys core.System
}

func (k aroundKind) Open(ctx context.Context, sys core.System) (core.Conn, error) {
	c, err := k.Fake.Open(ctx, sys)
	return aroundConn{c, k.f, sys}, err
}

func (c aroundConn) Begin(context.Context) (core.Visit, error) { return c, nil }
func (c aroundConn) Request(ctx context.Context, m core.Message) (core.Message, error) {
	return c.Do(ctx, m)
}

func (c aroundConn) Response(ctx context.Context, m core.Message) (core.Message, error) {
	return c.Do(ctx, m)
}
func (c aroundConn) Done() { c.f.note(c.sys.Name + ".done") }

// tunnel is a connection that went on in another protocol.
type tunnel struct {
	io.ReadWriter
	closed bool
}

func (t *tunnel) Close() error { t.closed = true; return nil }

func setUp(tb testing.TB) *fixture {
	tb.Helper()
	f := &fixture{TB: tb, caller: core.Caller{UserID: "urn:vcloud:user:ann", OrgID: "urn:vcloud:org:acme"}, script: map[string]plugintest.Handler{}}
	var kinds []core.Kind
	for _, name := range []string{core.KindMQTT, core.KindHTTPS, core.KindWASM} {
		k := plugintest.NewFake(name)
		k.Handle(f.handle)
		kinds = append(kinds, k)
	}
	kinds[2] = aroundKind{kinds[2].(*plugintest.Fake), f}
	var err error
	f.cat, err = catalog.Open(tb.Context(), memory.New(), catalog.Options{Published: func(ctx context.Context, r storage.Revision) error {
		return f.live.Wait(ctx, r)
	}})
	if err != nil {
		tb.Fatal(err)
	}
	if err := f.cat.Use(kinds); err != nil {
		tb.Fatal(err)
	}
	if f.live, err = live.Start(tb.Context(), f.cat, live.Options{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(f.live.Close)
	native := plugintest.NewFake("native")
	native.Handle(func(ctx context.Context, sys core.System, m core.Message) (core.Message, error) {
		f.note("native")
		if h := f.script["native"]; h != nil {
			return h(ctx, sys, m)
		}
		return m.Answer(textResponse("native")), nil
	})
	conn, err := native.Open(tb.Context(), native.System("a", "native", "1.0.0"))
	if err != nil {
		tb.Fatal(err)
	}
	f.road = New(f.live, f, conn, Options{
		VisitLimit: 30 * time.Second,
		Reserved:   func(p string) bool { return strings.HasPrefix(p, "/cloudapi") },
		Trace: func(_ context.Context, e core.Event) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.events = append(f.events, e)
		},
	})
	return f
}

func textResponse(s string) core.Response {
	return core.Response{Status: 200, Header: core.NewHeader("Content-Type", "text/plain"), Body: core.BytesBody([]byte(s))}
}

func answer(s string) plugintest.Handler {
	return func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		return m.Answer(textResponse(s)), nil
	}
}

func (f *fixture) system(kind, name string, priority int, filters ...core.Filter) core.System {
	f.Helper()
	s, err := f.cat.Systems.Create(f.Context(), "", core.System{
		Kind: kind, Vendor: "acme", Name: name, Version: "1.0.0", Enabled: true, Priority: priority,
		Settings: settingsFor(f, kind),
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, x := range filters {
		x.System = s.ID
		if _, err := f.cat.Filters.Create(f.Context(), "", x); err != nil {
			f.Fatal(err)
		}
	}
	return s
}

func settingsFor(f *fixture, kind string) []byte {
	if kind != core.KindWASM {
		return nil
	}
	m, err := f.cat.AddModule(f.Context(), "", []byte("module"))
	if err != nil {
		f.Fatal(err)
	}
	return core.EncodeSettings(core.WASMSettings{Module: m.Digest})
}

func url(pattern string) core.Filter { return core.Filter{Scope: core.ScopeAPI, URLPattern: pattern} }

func typ(contentType string) core.Filter {
	return core.Filter{ResponseContentType: contentType}
}

func (f *fixture) serve(method, path string) (body string, status int, err error) {
	f.Helper()
	f.mu.Lock()
	f.trail, f.events = nil, nil
	f.mu.Unlock()
	m, done, err := f.road.Serve(f.Context(), core.Message{ID: "id-1", Request: core.Request{
		Method: method, Path: path, RawPath: path, Scheme: "https", Host: "gw", Header: core.NewHeader("X", "y"),
	}})
	if err != nil {
		done()
		return "", 0, err
	}
	b, rerr := io.ReadAll(m.Response.Body.Open())
	if rerr != nil {
		f.Fatal(rerr)
	}
	done()
	if m.ID != "id-1" || m.Caller.UserID != f.caller.UserID {
		f.Errorf("the message came back as %q of %q", m.ID, m.Caller.UserID)
	}
	return string(b), m.Response.Status, nil
}

func (f *fixture) wantTrail(want ...string) {
	f.Helper()
	if !slices.Equal(f.trail, want) {
		f.Errorf("the road went %v, want %v", f.trail, want)
	}
}

func TestTheFirstAnswerEndsTheWayIn(t *testing.T) {
	f := setUp(t)
	f.system(core.KindMQTT, "high", 90, url("/api/x"))
	f.system(core.KindMQTT, "mid", 50, url("/api/.*"))
	f.system(core.KindMQTT, "low", 10, url("/api/x"))
	f.script["mid"] = answer("mid")
	if body, _, err := f.serve("GET", "/api/x"); body != "mid" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
	f.wantTrail("high", "mid")
	f.script["mid"] = nil
	if body, _, err := f.serve("GET", "/api/x"); body != "native" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
	f.wantTrail("high", "mid", "low", "native")
}

func TestAChangedRequestGoesOn(t *testing.T) {
	f := setUp(t)
	f.system(core.KindMQTT, "changer", 90, url("/api/x"))
	f.system(core.KindMQTT, "second", 50, url("/api/x"))
	f.system(core.KindMQTT, "not-matched-anew", 50, url("/api/y"))
	change := func(target string) {
		f.script["changer"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
			m.ID, m.Caller = "forged", core.Caller{UserID: "root"}
			m.Request.Path, m.Request.RawPath, m.Request.RawQuery = target, target, "a=1;b"
			m.Request.Header = m.Request.Header.With("Changed", "yes")
			return m, nil
		}
	}
	var seen core.Message
	f.script["native"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		seen = m
		return m.Answer(textResponse("ok")), nil
	}
	change("/api/%79")
	if _, _, err := f.serve("GET", "/api/x"); err != nil {
		t.Fatal(err)
	}
	f.wantTrail("changer", "second", "native")
	if seen.Request.Path != "/api/y" || seen.Request.RawQuery != "a=1;b" || seen.Request.Header.Get("Changed") != "yes" ||
		seen.ID != "id-1" || seen.Caller.UserID != f.caller.UserID {
		t.Errorf("native saw %+v", seen)
	}
	for name, target := range map[string]string{"a reserved path": "/cloudapi/1.0.0/sessions", "an encoded reserved path": "/%63loudapi/x", "dot segments": "/api/../cloudapi", "no path": ""} {
		t.Run(name+" cannot be sent on", func(t *testing.T) {
			change(target)
			if _, _, err := f.serve("GET", "/api/x"); core.ErrorCode(err) != core.BadUpstream {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOneRefusalStopsAll(t *testing.T) {
	f := setUp(t)
	f.system(core.KindMQTT, "open", 90, url("/api/x"))
	s := f.system(core.KindMQTT, "closed", 10, url("/api/x"))
	_, err := f.cat.Systems.Update(t.Context(), "", s.ID, nil, func(s core.System) (core.System, error) { s.AuthorizationEnabled = true; return s, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.serve("GET", "/api/x"); core.ErrorCode(err) != core.Forbidden {
		t.Errorf("got %v, want forbidden", err)
	}
	f.wantTrail()
}

func TestABodyThatASystemStopsOnItsWayAnswersTheCall(t *testing.T) {
	f := setUp(t)
	f.system(core.KindMQTT, "reader", 50, url("/api/x"))
	stopped := &core.Answered{Response: core.Response{Status: 403, Body: core.BytesBody([]byte("stopped"))}}
	f.script["reader"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		return m, core.WrapError(core.BadUpstream, fmt.Errorf("reading the body: %w", stopped), "no luck")
	}
	if body, status, err := f.serve("GET", "/api/x"); body != "stopped" || status != 403 || err != nil {
		t.Errorf("got %d %q, %v", status, body, err)
	}
}

func TestAnUnknownCallerGoesNowhere(t *testing.T) {
	f := setUp(t)
	f.system(core.KindMQTT, "s", 90, url("/api/x"))
	f.refuse = core.Errorf(core.Unauthenticated, "who are you")
	if _, _, err := f.serve("GET", "/api/x"); core.ErrorCode(err) != core.Unauthenticated {
		t.Errorf("got %v", err)
	}
	f.wantTrail()
}

func TestResponseChain(t *testing.T) {
	retype := func(contentType string) plugintest.Handler {
		return func(_ context.Context, sys core.System, m core.Message) (core.Message, error) {
			r := *m.Response
			b, err := r.Body.Bytes(1 << 20)
			r.Header = r.Header.With("Content-Type", contentType)
			r.Body = core.BytesBody(append(slices.Clone(b), ("+" + sys.Name)...))
			return m.Answer(r), err
		}
	}
	t.Run("by priority, each once, until the type fits nobody", func(t *testing.T) {
		f := setUp(t)
		f.system(core.KindMQTT, "a", 90, typ("text/plain"))
		f.system(core.KindMQTT, "b", 50, typ("TEXT/plain"))
		f.script["a"], f.script["b"] = retype("text/plain"), retype("text/plain")
		body, _, err := f.serve("GET", "/api/x")
		if body != "native+a+b" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
	})
	t.Run("the content type is looked at again after each visit", func(t *testing.T) {
		f := setUp(t)
		f.system(core.KindMQTT, "a", 90, typ("text/plain"))
		f.system(core.KindMQTT, "b", 50, typ("text/plain"))
		f.system(core.KindMQTT, "c", 10, typ("text/html"))
		f.script["a"], f.script["c"] = retype("text/html"), retype("text/html")
		body, _, err := f.serve("GET", "/api/x")
		if body != "native+a+c" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
	})
	t.Run("two that retype to each other end after one visit each", func(t *testing.T) {
		f := setUp(t)
		f.system(core.KindMQTT, "a", 90, typ("text/plain"))
		f.system(core.KindMQTT, "b", 50, typ("text/html"))
		f.script["a"], f.script["b"] = retype("text/html"), retype("text/plain")
		body, _, err := f.serve("GET", "/api/x")
		if body != "native+a+b" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
	})
	t.Run("nobody sees a response that it wrote", func(t *testing.T) {
		f := setUp(t)
		f.system(core.KindMQTT, "writer", 90, url("/api/x"), typ("text/plain"))
		f.script["writer"] = answer("mine")
		body, _, err := f.serve("GET", "/api/x")
		if body != "mine" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
		f.wantTrail("writer")
	})
	t.Run("it sees what another made of it", func(t *testing.T) {
		f := setUp(t)
		f.system(core.KindMQTT, "writer", 50, url("/api/x"), typ("text/plain"))
		f.system(core.KindMQTT, "editor", 90, typ("text/plain"))
		f.script["writer"] = func(ctx context.Context, s core.System, m core.Message) (core.Message, error) {
			if m.Answered() {
				return retype("text/plain")(ctx, s, m)
			}
			return m.Answer(textResponse("mine")), nil
		}
		f.script["editor"] = retype("text/plain")
		body, _, err := f.serve("GET", "/api/x")
		if body != "mine+editor+writer" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
	})
	t.Run("a looker-on writes nothing", func(t *testing.T) {
		f := setUp(t)
		f.system(core.KindMQTT, "writer", 50, url("/api/x"), typ("text/plain"))
		f.system(core.KindMQTT, "looker", 90, typ("text/plain"))
		f.script["writer"] = answer("mine")
		if body, _, err := f.serve("GET", "/api/x"); body != "mine" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
		f.wantTrail("writer", "looker<")
	})
	t.Run("at most eight see one response", func(t *testing.T) {
		f := setUp(t)
		for i := range 12 {
			name := fmt.Sprint("s", i)
			f.system(core.KindMQTT, name, 50, typ("text/plain"))
			f.script[name] = retype("text/plain")
		}
		body, _, err := f.serve("GET", "/api/x")
		if n := strings.Count(body, "+"); n != 8 || err != nil {
			t.Errorf("%d saw it: %q, %v", n, body, err)
		}
	})
	t.Run("a failure of the chain fails the call", func(t *testing.T) {
		f := setUp(t)
		f.system(core.KindMQTT, "a", 90, typ("text/plain"))
		f.script["a"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
			return m, core.Errorf(core.Timeout, "too late")
		}
		if _, _, err := f.serve("GET", "/api/x"); core.ErrorCode(err) != core.Timeout {
			t.Errorf("got %v", err)
		}
	})
	t.Run("HEAD has nothing to process", func(t *testing.T) {
		f := setUp(t)
		f.system(core.KindMQTT, "a", 90, typ("text/plain"))
		if _, _, err := f.serve("HEAD", "/api/x"); err != nil {
			t.Error(err)
		}
		f.wantTrail("native")
	})
}

func TestGuestsAroundACallUnwindInReverse(t *testing.T) {
	f := setUp(t)
	f.system(core.KindWASM, "outer", 90, url("/api/x"))
	f.system(core.KindWASM, "inner", 50, url("/api/x"))
	f.system(core.KindMQTT, "chain", 50, typ("text/plain"))
	if _, _, err := f.serve("GET", "/api/x"); err != nil {
		t.Fatal(err)
	}
	f.wantTrail("outer", "inner", "native", "inner<", "outer<", "chain<", "inner.done", "outer.done")

	t.Run("one that answers sees no response, and all are let go", func(t *testing.T) {
		f.script["inner"] = answer("inner")
		if body, _, err := f.serve("GET", "/api/x"); body != "inner" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
		f.wantTrail("outer", "inner", "outer<", "chain<", "inner.done", "outer.done")
	})
	t.Run("an answer without a body is shown to them, and not to the chain", func(t *testing.T) {
		f.script["inner"] = nil
		f.script["native"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
			r := textResponse("")
			if m.Request.Path == "/api/x" && m.Request.Method == "GET" {
				r.Status = 304
			}
			r.Header = core.NewHeader("Content-Type", "text/plain", "Content-Encoding", "gzip")
			return m.Answer(r), nil
		}
		defer delete(f.script, "native")
		for _, method := range []string{"HEAD", "GET"} {
			if _, _, err := f.serve(method, "/api/x"); err != nil {
				t.Error(err)
			}
			f.wantTrail("outer", "inner", "native", "inner<", "outer<", "inner.done", "outer.done")
		}
	})
	t.Run("a connection that goes on otherwise ends with a guest that answers or fails", func(t *testing.T) {
		for name, script := range map[string]plugintest.Handler{
			"answers": answer("no"),
			"fails": func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
				return m, errors.New("no")
			},
		} {
			tunnel := &tunnel{}
			f.script["native"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
				return m.Answer(core.Response{Status: 101, Upgraded: tunnel}), nil
			}
			f.script["inner"] = func(ctx context.Context, s core.System, m core.Message) (core.Message, error) {
				if m.Route.Stage != core.OnResponse {
					return m, nil
				}
				return script(ctx, s, m)
			}
			if _, status, err := f.serve("GET", "/api/x"); (err == nil) != (name == "answers") || status == 101 {
				t.Errorf("%s: %d, %v", name, status, err)
			}
			if !tunnel.closed {
				t.Errorf("%s: the connection to the system is open still", name)
			}
		}
		delete(f.script, "native")
	})
	t.Run("an error on the way lets all go", func(t *testing.T) {
		f.script["inner"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
			return m, errors.New("no")
		}
		if _, _, err := f.serve("GET", "/api/x"); err == nil {
			t.Error("no error")
		}
		f.wantTrail("outer", "inner", "inner.done", "outer.done")
	})
	t.Run("a panic is that system's failure and lets all go", func(t *testing.T) {
		f.script["inner"] = func(context.Context, core.System, core.Message) (core.Message, error) { panic("boom") }
		if _, _, err := f.serve("GET", "/api/x"); core.ErrorCode(err) != core.BadUpstream || strings.Contains(core.ErrorMessage(err), "boom") {
			t.Errorf("got %v", err)
		}
		f.wantTrail("outer", "inner", "inner.done", "outer.done")
	})
}

func TestEndpointsGetTheTail(t *testing.T) {
	f := setUp(t)
	var route core.Route
	f.system(core.KindHTTPS, "door", 50, core.Filter{Scope: core.ScopeExtAPI, URLPattern: "/custom/.*"},
		core.Filter{Scope: core.ScopeExtAPI, URLPattern: "/custom/deep/.*"}, core.Filter{Scope: core.ScopeTenant, URLPattern: "/t/.*"})
	f.script["door"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		route = m.Route
		return m.Answer(textResponse("door")), nil
	}
	if _, err := f.cat.Orgs.Create(t.Context(), "", core.Org{ID: "urn:vcloud:org:acme", Name: "Acme", Enabled: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.cat.Orgs.Create(t.Context(), "", core.Org{Name: "Other", Enabled: true}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]core.Route{
		"/ext-api/custom/get/123":       {Prefix: "/ext-api/custom/", Tail: "get/123"},
		"/ext-api/custom/":              {Prefix: "/ext-api/custom/", Tail: ""},
		"/ext-api/custom/deep/x":        {Prefix: "/ext-api/custom/deep/", Tail: "x"},
		"/ext-ui/tenant/acme/t/a/b.css": {Prefix: "/ext-ui/tenant/acme/t/", Tail: "a/b.css", Tenant: "acme"},
	} {
		if _, _, err := f.serve("GET", path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if route.Prefix != want.Prefix || route.Tail != want.Tail || route.Tenant != want.Tenant {
			t.Errorf("%s: route %+v, want %+v", path, route, want)
		}
	}
	for path, want := range map[string]core.Code{
		"/ext-api/other":             core.NotFound,
		"/ext-api/custom":            core.NotFound,
		"/ext-ui/elsewhere/custom/x": core.NotFound,
		"/ext-ui/tenant/nobody/t/x":  core.NotFound,
		"/ext-ui/tenant/other/t/x":   core.Forbidden,
		"/ext-ui/provider/custom/x":  core.NotFound,
	} {
		if _, _, err := f.serve("GET", path); core.ErrorCode(err) != want {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
}

func TestALateSystemAltersNothing(t *testing.T) {
	f := setUp(t)
	f.system(core.KindMQTT, "sneaky", 50, typ("text/plain"))
	var kept *core.Response
	f.script["sneaky"] = func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		kept = m.Response
		return m, nil
	}
	m, done, err := f.road.Serve(t.Context(), core.Message{Request: core.Request{Method: "GET", Path: "/api/x", RawPath: "/api/x"}})
	if err != nil {
		t.Fatal(err)
	}
	kept.Status, kept.Header = 500, core.Header{}
	if m.Response.Status != 200 || m.Response.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("the answer became %+v", m.Response)
	}
	done()
}

func TestTheTraceTellsTheWay(t *testing.T) {
	f := setUp(t)
	f.system(core.KindMQTT, "a", 50, url("/api/x"), typ("text/plain"))
	f.system(core.KindMQTT, "b", 50, typ("text/plain"))
	if _, _, err := f.serve("GET", "/api/x"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range f.events {
		_, name, _ := strings.Cut(e.System, "acme:")
		got = append(got, strings.TrimSpace(e.Step+" "+strings.TrimSuffix(name, ":1.0.0")))
		if e.Call != "id-1" {
			t.Errorf("%+v is of no call", e)
		}
	}
	want := []string{"authenticate", "match a", "authorize a", "dispatch a", "native", "response a", "response b"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestADisabledSystemIsAsIfAbsent(t *testing.T) {
	f := setUp(t)
	s := f.system(core.KindMQTT, "off", 50, url("/api/x"), typ("text/plain"))
	_, err := f.cat.Systems.Update(t.Context(), "", s.ID, nil, func(s core.System) (core.System, error) {
		s.Enabled, s.AuthorizationEnabled = false, true
		return s, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if body, _, err := f.serve("GET", "/api/x"); body != "native" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
	f.wantTrail("native")
}
