package pipeline

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// registry builds random registries.
type registry struct {
	*fixture
	rnd *rand.Rand
}

func (r *registry) pick(s ...string) string { return s[r.rnd.IntN(len(s))] }

func (r *registry) oneIn(n int) bool { return r.rnd.IntN(n) == 0 }

const (
	orgA = core.OrgPrefix + "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
	orgB = core.OrgPrefix + "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
)

// fill registers people and up to six systems of every kind.
func (r *registry) fill() {
	for id, name := range map[string]string{orgA: "acme", orgB: "other"} {
		if _, err := r.cat.Orgs.Create(r.Context(), "", core.Org{ID: id, Name: name, Enabled: true}); err != nil {
			r.Fatal(err)
		}
	}
	for i := range 1 + r.rnd.IntN(6) {
		name, priority := fmt.Sprint("s", i), r.rnd.IntN(4)*25
		var sys core.System
		switch r.rnd.IntN(5) {
		case 0:
			sys = r.system(core.KindHTTPS, name, priority, core.Filter{Scope: core.ScopeExtAPI, URLPattern: "/x/.*"}, core.Filter{Scope: core.ScopeProvider, URLPattern: "/x/.*"}, core.Filter{Scope: core.ScopeTenant, URLPattern: "/x/.*"})
		case 1:
			stage := core.Stages()[r.rnd.IntN(4)]
			sys = r.system(core.KindWASM, name, priority, core.Filter{Scope: core.ScopeAPI, Stage: stage, URLPattern: r.pattern()}, core.Filter{Scope: core.ScopeExtAPI, Stage: core.Stages()[r.rnd.IntN(4)], URLPattern: "/.*"}, typ(r.contentType()))
		default:
			sys = r.system(core.KindMQTT, name, priority, url(r.pattern()), url(r.pattern()), typ(r.contentType()))
			r.guard(sys)
		}
		off, guarded := r.oneIn(5), !sys.IsEndpoint() && r.oneIn(2)
		_, err := r.cat.Systems.Update(r.Context(), "", sys.ID, nil, func(s core.System) (core.System, error) {
			s.Enabled, s.AuthorizationEnabled = !off, guarded
			return s, nil
		})
		if err != nil {
			r.Fatal(err)
		}
	}
}

func (r *registry) pattern() string {
	return r.pick("/api/a", "/api/a/.*", "/api/.*", "/.*", "/api/(a|b)", "/other", "/api/a/(?<id>[-0-9]+)/c")
}

func (r *registry) contentType() string {
	return r.pick("text/plain", "text/html", "text/plain;version=1")
}

// guard registers what the authorization of a service is made of.
func (r *registry) guard(sys core.System) {
	for i := range r.rnd.IntN(3) {
		class := core.ResourceClass{System: sys.ID, Name: fmt.Sprint("c", i), MimeType: r.pick("application/vnd.vmware.vcloud.org+xml", "application/vnd.acme.x+xml")}
		class, err := r.cat.Classes.Create(r.Context(), "", class)
		if err != nil {
			r.Fatal(err)
		}
		_, err = r.cat.Resources.Create(r.Context(), "", core.ServiceResource{Class: class.ID, Name: "r", OrgID: r.pick(orgA, orgB), ExternalObjectID: "123-4"})
		if err != nil {
			r.Fatal(err)
		}
		action := core.ResourceClassAction{Class: class.ID, Name: "a", HTTPMethod: r.pick("GET", "POST"), URLPattern: r.pick("/api/a/(?<id>[^/]+)(/c)?", "/api/a/(?<id>[-0-9]+)/c", "/api/.*")}
		if action, err = r.cat.Actions.Create(r.Context(), "", action); err != nil {
			r.Fatal(err)
		}
		rule := core.ACLRule{
			Action: action.ID, Name: "r", Resource: core.Reach{Access: core.AccessShared},
			Org: core.Reach{Access: core.AccessPublished}, Principal: core.Reach{Access: core.AccessShared},
		}
		if r.oneIn(2) {
			rule.Org = core.Reach{Access: core.AccessEntity, Entity: r.pick(orgA, orgB)}
		}
		if _, err = r.cat.Rules.Create(r.Context(), "", rule); err != nil {
			r.Fatal(err)
		}
	}
}

// TestExplainTellsTheWayThatCallsGo builds random registries, and compares
// what explain says with the recorded way of the same call.
func TestExplainTellsTheWayThatCallsGo(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	registries, calls := 150, 80 // 12,000 calls
	if os.Getenv("ANNEX_LONG") != "" {
		registries = 1500
	}
	paths := []string{
		"/api/a", "/api/a/b", "/api/a/123-4", "/api/a/123-4/c", "/api/a/" + orgA, "/api/a/" + strings.TrimPrefix(orgB, core.OrgPrefix), "/api/b", "/other", "/ext-api/x/y", "/ext-api/x/", "/cloudapi/1.0.0/x",
		"/ext-ui/provider/x/1", "/ext-ui/tenant/acme/x/1", "/ext-ui/tenant/nobody/x/1", "/ext-ui/nowhere",
	}
	outcomes := map[string]int{}
	for n := range registries {
		r := registry{fixture: setUp(t), rnd: rnd}
		r.fill()
		for range calls {
			path, method, contentType := r.pick(paths...), r.pick("GET", "POST", "HEAD", "PATCH"), "text/plain"
			r.caller = core.Caller{UserID: core.UserPrefix + "u", OrgID: r.pick(orgA, orgB, core.SystemOrgID)}
			x := r.road.Explain(t.Context(), core.ExplainQuery{Caller: r.caller, Request: core.Request{Method: method, Path: path, RawPath: path}, ContentType: contentType})
			if strings.HasPrefix(path, "/cloudapi") {
				if x.Allowed || len(x.Dispatch) > 0 {
					t.Fatalf("%s: %+v", path, x)
				}
				continue
			}
			_, _, err := r.serve(method, path)
			got, want := recorded(r.fixture), expected(x, err == nil)
			if !slices.Equal(got, want) {
				t.Fatalf("registry %d, %s %s: recorded\n%s\nexplained\n%s\n%q, %v", n, method, path, strings.Join(got, "\n"), strings.Join(want, "\n"), x.Refusal, err)
			}
			switch code := core.ErrorCode(err); {
			case x.Allowed && err != nil && code != core.NotFound, !x.Allowed && (err == nil || x.Refusal != core.ErrorMessage(err)):
				t.Fatalf("%s: explained %v %q, served %v", path, x.Allowed, x.Refusal, err)
			case err == nil:
				outcomes[fmt.Sprint("answered after ", len(got) > 4)]++
			default:
				outcomes[string(code)]++
			}
		}
		r.live.Close()
	}
	for _, what := range []string{"answered after true", "answered after false", string(core.Forbidden), string(core.NotFound)} {
		if outcomes[what] < 100 {
			t.Errorf("only few calls with the outcome %q: %v", what, outcomes)
		}
	}
}

// recorded is the way that the trace of the last call tells.
func recorded(f *fixture) []string {
	var out []string
	for _, e := range f.events {
		switch {
		case e.Reason != "":
			out = append(out, fmt.Sprint("decide ", e.System, " ", e.Allowed, " ", e.Reason))
		case e.System != "" || e.Step == "native":
			out = append(out, e.Step+" "+e.System+" "+e.Filter)
		}
	}
	return out
}

// expected is the way that an explanation tells.
func expected(x core.Explanation, answered bool) []string {
	var out []string
	add := func(step string, places []core.Place) {
		for _, p := range places {
			out = append(out, step+" "+p.System+" "+p.Filter)
		}
	}
	at := func(stage core.Stage) (places []core.Place) {
		for _, p := range x.Before {
			if p.Stage == stage {
				places = append(places, p)
			}
		}
		return places
	}
	add("arrival", at(core.OnArrival))
	add("authenticate", at(core.OnAuthenticate))
	add("match", x.Dispatch)
	add("authorize", at(core.OnAuthorize))
	for _, c := range x.Checks {
		if out = append(out, fmt.Sprint("decide ", c.System, " ", c.Allowed, " ", c.Reason)); !c.Allowed {
			break
		}
	}
	if !x.Allowed {
		return out
	}
	add("dispatch", x.Dispatch)
	if x.Native {
		out = append(out, "native  ")
	}
	if answered {
		add("response", x.Response)
	}
	return out
}

func TestExplainSaysWhyAFilterDoesNotMatch(t *testing.T) {
	f := setUp(t)
	s := f.system(core.KindMQTT, "off", 50, url("/api/x"))
	f.system(core.KindMQTT, "on", 50, url("/api/x"), url("/api/y"), typ("text/html"))
	f.system(core.KindHTTPS, "door", 50, core.Filter{Scope: core.ScopeExtAPI, URLPattern: "/x/.*"})
	_, err := f.cat.Systems.Update(t.Context(), "", s.ID, nil, func(s core.System) (core.System, error) { s.Enabled = false; return s, nil })
	if err != nil {
		t.Fatal(err)
	}
	x := f.road.Explain(t.Context(), core.ExplainQuery{Caller: f.caller, Request: core.Request{Method: "GET", Path: "/api/x", RawPath: "/api/x"}})
	var reasons []string
	for _, v := range x.Filters {
		if v.Matched != (v.Reason == "") {
			t.Errorf("%+v", v)
		}
		reasons = append(reasons, v.Reason)
	}
	slices.Sort(reasons)
	want := []string{
		"", "it looks at the content type of responses, and none was given", "its pattern does not match the whole path",
		"its scope is EXT_API, and the path lies below API", "its system is disabled",
	}
	if !slices.Equal(reasons, want) || !x.Native || !x.Allowed || len(x.Dispatch) != 1 {
		t.Errorf("got %q of %+v", reasons, x)
	}
}
