package wasm

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/wasm/inspect"
)

// memory is the state of one system, as a host lends it.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	at     map[string]uint64
	last   uint64
}

func (m *memory) Get(_ context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key], m.at[key], nil
}

func (m *memory) Put(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at[key] != revision {
		return 0, core.Errorf(core.Stale, "changed")
	}
	if value == nil {
		delete(m.values, key)
		delete(m.at, key)
		return 0, nil
	}
	m.last++
	if m.values == nil {
		m.values, m.at = map[string][]byte{}, map[string]uint64{}
	}
	m.values[key], m.at[key] = value, m.last
	return m.last, nil
}

func (h *testHost) State(string) core.State { return &h.memory }

func annexGuest(t *testing.T, opts Options, set core.WASMSettings) (*fixture, *Conn) {
	t.Helper()
	opts.CacheDir = cacheDir(t)
	f := newFixture(t, opts)
	return f, f.open(t, goModule(t, "testdata/annex"), set)
}

func said(t *testing.T, c *Conn, m core.Message) string {
	t.Helper()
	out, err := c.Do(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if !out.Answered() {
		return "passed"
	}
	return bodyOf(t, out.Response.Body)
}

func TestWhatAnAnnexGuestKnowsOfTheCaller(t *testing.T) {
	_, c := annexGuest(t, Options{}, core.WASMSettings{Border: "annex"})
	m := testMessage(nil, "X-Test", "caller")
	if got := said(t, c, m); got != "dispatch     false false false \n" {
		t.Errorf("nobody: got %q", got)
	}
	m.Caller = core.Caller{UserID: "u1", UserName: "ann", OrgID: "o1", OrgName: "acme", Rights: core.RightsOf(core.Ref{ID: "r", Name: "Read"}, core.Ref{ID: "s", Name: "See"})}
	if got := said(t, c, m); got != "dispatch ann u1 acme o1 false true false Read|See\n" {
		t.Errorf("a user: got %q", got)
	}
	m.Caller = core.Caller{UserID: "u0", UserName: "administrator", OrgID: core.SystemOrgID, OrgName: core.SystemOrg, Rights: core.AllRights()}
	if got := said(t, c, m); !strings.HasSuffix(got, " true true true \n") {
		t.Errorf("a system administrator: got %q", got)
	}
}

func TestClaims(t *testing.T) {
	_, c := annexGuest(t, Options{}, core.WASMSettings{})
	m := testMessage(nil, "X-Test", "claim", "X-User", "ann")
	m.Route.Stage = core.OnAuthenticate
	out, err := c.Do(t.Context(), m)
	if err != nil || out.Answered() || out.Claim == nil || *out.Claim != (core.Claim{User: "ann", Org: "acme"}) {
		t.Errorf("got %v, %v", out.Claim, err)
	}
	m = testMessage(nil)
	m.Route.Stage = core.OnAuthenticate
	if out, err = c.Do(t.Context(), m); err != nil || out.Claim != nil {
		t.Errorf("a guest that names nobody: %v, %v", out.Claim, err)
	}
	for _, stage := range []core.Stage{core.OnArrival, core.OnAuthorize, core.OnDispatch} {
		m := testMessage(nil, "X-Test", "claim", "X-User", "ann")
		m.Route.Stage = stage
		if out, err := c.Do(t.Context(), m); core.ErrorCode(err) != core.Unavailable || out.Claim != nil {
			t.Errorf("%s: %v, %v", stage, out.Claim, err)
		}
	}
}

func TestTheStateOfAnExtension(t *testing.T) {
	f, c := annexGuest(t, Options{}, core.WASMSettings{Concurrency: 4, StateBytes: 100_000})
	if got := said(t, c, testMessage(nil, "X-Test", "state")); got != "0 <nil> the value has changed since <nil> 3000 true the value has changed since <nil> 0\n" {
		t.Errorf("got %q", got)
	}
	put := func(key string, size int) string {
		return strings.TrimSpace(said(t, c, testMessage(core.BytesBody(make([]byte, size)), "X-Test", "put", "X-Key", key)))
	}
	const over = "a key, a value or all of them together are too large"
	for _, tc := range []struct {
		key  string
		size int
		want string
	}{
		{"a", 64 << 10, "<nil>"},
		{"b", 64<<10 + 1, over},
		{strings.Repeat("k", 257), 1, over},
		{"", 1, over},
		{"b", 40_000, over},
		{"a", 10, "<nil>"},
		{"b", 40_000, "<nil>"},
		{"c", 0, "<nil>"},
		{"c", 0, "<nil>"},
	} {
		if got := put(tc.key, tc.size); got != tc.want {
			t.Errorf("%.10s of %d bytes: got %q", tc.key, tc.size, got)
		}
	}
	total, _, _ := f.host.memory.Get(t.Context(), stateTotal)
	if len(total) != 8 || int(total[0])|int(total[1])<<8 != 40_013 {
		t.Errorf("the total is %v, want 40013", total)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				if _, err := c.Do(context.Background(), testMessage(nil, "X-Test", "count")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := said(t, c, testMessage(nil, "X-Test", "count")); got != "41 <nil>\n" {
		t.Errorf("after 40 calls at once: got %q", got)
	}
}

func TestAnExtensionCallsOthers(t *testing.T) {
	release := make(chan struct{})
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
		b, _ := io.ReadAll(r.Body)
		w.Header().Add("X-There", r.Header.Get("X-From")+r.Header.Get("X-Annex-Identity"))
		w.Header().Add("X-There", "b")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+" "+string(b)+strings.Repeat(".", 5000))
	}))
	defer there.Close()
	defer close(release)
	forbidden := false
	guard := func(netip.AddrPort) error {
		if forbidden {
			return core.Errorf(core.Forbidden, "no")
		}
		return nil
	}
	_, c := annexGuest(t, Options{Guard: guard}, core.WASMSettings{Clusters: map[string]string{"there": there.URL, "nowhere": "http://127.0.0.1:1"}})
	for url, want := range map[string]string{
		there.URL + "/a?b=1":   "418 [guest b] [] PUT /a?b=1 question" + strings.Repeat(".", 5000) + "\n",
		"http://127.0.0.1:1/a": "the call failed\n",
		"http://127.0.0.1:2/a": "the registration does not allow this call\n",
		"nonsense":             "the registration does not allow this call\n",
	} {
		if got := said(t, c, testMessage(nil, "X-Test", "fetch", "X-URL", url)); got != want {
			t.Errorf("%s: got %.100q", url, got)
		}
	}
	t.Run("for no longer than it says", func(t *testing.T) {
		if got := said(t, c, testMessage(nil, "X-Test", "fetch", "X-URL", there.URL+"/slow")); got != "the call took too long\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("for no longer than it may run", func(t *testing.T) {
		_, c := annexGuest(t, Options{Guard: guard}, core.WASMSettings{DeadlineMS: 200, Clusters: map[string]string{"there": there.URL}})
		begun := time.Now()
		_, err := c.Do(t.Context(), testMessage(nil, "X-Test", "fetch", "X-URL", there.URL+"/slow"))
		if core.ErrorMessage(err) != "WASM extension 'guest' ran over its time limit (200 ms)" || time.Since(begun) > time.Second {
			t.Errorf("got %v after %s", err, time.Since(begun))
		}
	})
	t.Run("where the operator allows", func(t *testing.T) {
		forbidden = true
		c.pool.kind.outbound.close()
		if got := said(t, c, testMessage(nil, "X-Test", "fetch", "X-URL", there.URL+"/a")); got != "the call failed\n" {
			t.Errorf("got %q", got)
		}
	})
}

func TestMetricsOfAnAnnexGuest(t *testing.T) {
	f, c := annexGuest(t, Options{}, core.WASMSettings{})
	for range 3 {
		said(t, c, testMessage(nil, "X-Test", "metrics"))
	}
	got := map[string]core.Metric{}
	for m := range f.kind.Metrics() {
		got[m.Name] = m
	}
	if got["calls"].Value != 6 || got["level"].Value != -4 || got["size"].Value != 30 || got["size"].Count != 3 {
		t.Errorf("got %v", got)
	}
}

func TestAModuleThatUsesNothingOfAnnexIsPlainHTTPWASM(t *testing.T) {
	for folder, want := range map[string]string{"../../wasm-examples/hello": "http-wasm", "testdata/annex": "annex", "testdata/proxy": "proxy-wasm"} {
		m, err := inspect.Read(goModule(t, folder), inspect.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []border{proxyWASM{}, annexBorder{}, httpWASM{}} {
			if mine, err := b.judge(m); mine {
				if b.name() != want || err != nil {
					t.Errorf("%s is written for %s, %v", folder, b.name(), err)
				}
				break
			}
		}
	}
}

func TestTheExampleQuota(t *testing.T) {
	f := newFixture(t, Options{CacheDir: cacheDir(t)})
	c := f.open(t, goModule(t, "../../wasm-examples/quota"), core.WASMSettings{MemoryBytes: 32 << 20, Config: []byte("2")})
	m := testMessage(nil)
	m.Route.Stage, m.Caller = core.OnAuthorize, core.Caller{UserID: "u", UserName: "ann", OrgID: "o", OrgName: "acme"}
	for i := range 3 {
		_, err := c.Do(t.Context(), m)
		if refused := core.ErrorCode(err) == core.Forbidden; refused != (i == 2) || err != nil && !refused {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
}
