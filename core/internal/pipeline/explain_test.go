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

// TestExplainTellsTheWayThatCallsGo builds random registries, and compares
// what explain says with the recorded way of the same call.
func TestExplainTellsTheWayThatCallsGo(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	registries, calls := 30, 40
	if os.Getenv("ANNEX_LONG") != "" {
		registries, calls = 400, 50
	}
	paths := []string{"/api/a", "/api/a/b", "/api/a/123-4/c", "/api/b", "/other", "/ext-api/x/y", "/ext-api/x/", "/cloudapi/1.0.0/x", "/ext-ui/provider/x/1", "/ext-ui/nowhere"}
	patterns := []string{"/api/a", "/api/a/.*", "/api/.*", "/.*", "/api/(a|b)", "/other", "/api/a/(?<id>[-0-9]+)/c"}
	types := []string{"text/plain", "text/html", "text/plain;version=1"}
	pick := func(s []string) string { return s[rnd.IntN(len(s))] }
	for n := range registries {
		f := setUp(t)
		for i := range 1 + rnd.IntN(6) {
			name := fmt.Sprint("s", i)
			var sys core.System
			switch rnd.IntN(3) {
			case 0:
				sys = f.system(core.KindHTTPS, name, rnd.IntN(4)*25, core.Filter{Scope: core.ScopeExtAPI, URLPattern: "/x/.*"}, core.Filter{Scope: core.ScopeProvider, URLPattern: "/x/.*"})
			default:
				sys = f.system(core.KindMQTT, name, rnd.IntN(4)*25, url(pick(patterns)), url(pick(patterns)), typ(pick(types)))
			}
			off, guarded := rnd.IntN(4) == 0, rnd.IntN(5) == 0
			_, err := f.cat.Systems.Update(t.Context(), "", sys.ID, nil, func(s core.System) (core.System, error) {
				s.Enabled, s.AuthorizationEnabled = !off, guarded && !s.IsEndpoint()
				return s, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for range calls {
			path := pick(paths)
			want := f.road.Explain(t.Context(), core.ExplainQuery{
				Caller: f.caller, Request: core.Request{Method: "GET", Path: path, RawPath: path}, ContentType: "text/plain",
			})
			if strings.HasPrefix(path, "/cloudapi") {
				if want.Allowed || len(want.Dispatch) > 0 {
					t.Fatalf("%s: %+v", path, want)
				}
				continue
			}
			_, _, err := f.serve("GET", path)
			got := recorded(f)
			if expected := expected(want, err == nil); !slices.Equal(got, expected) {
				t.Fatalf("registry %d, %s: recorded %v, explained %v (%+v, %v)", n, path, got, expected, want, err)
			}
			if want.Allowed != (core.ErrorCode(err) != core.Forbidden) && err != nil && core.ErrorCode(err) != core.NotFound {
				t.Fatalf("%s: explained %v, served %v", path, want.Allowed, err)
			}
		}
		f.live.Close()
	}
}

// recorded is the way that the trace of the last call tells.
func recorded(f *fixture) []string {
	var out []string
	for _, e := range f.events {
		switch e.Step {
		case string(core.OnDispatch), string(core.OnResponse):
			out = append(out, e.Step+" "+e.System+" "+e.Filter)
		}
	}
	return out
}

// expected is the way that an explanation tells.
func expected(x core.Explanation, answered bool) []string {
	var out []string
	if !x.Allowed {
		return nil
	}
	for _, p := range x.Dispatch {
		out = append(out, string(core.OnDispatch)+" "+p.System+" "+p.Filter)
	}
	if answered {
		for _, p := range x.Response {
			out = append(out, string(core.OnResponse)+" "+p.System+" "+p.Filter)
		}
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
