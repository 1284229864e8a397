package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

const (
	traceID  = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientID = "00f067aa0ba902b7"
)

func start(t *testing.T, opts Options) *Telemetry {
	t.Helper()
	tel, err := New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Close() })
	return tel
}

// one reports a call with a visit, and gives what the system saw.
func one(tel *Telemetry, path string, status int, header http.Header, failure error) core.Header {
	c := Call{ID: "id-1", Method: "GET", Proto: "HTTP/1.1", Path: path, Remote: netip.MustParseAddr("192.0.2.7")}
	ctx := tel.Begin(context.Background(), &c, header)
	visit, shown := tel.BeginVisit(ctx, core.Event{System: "sys", Filter: "f"}, core.HeaderOf(header))
	tel.EndVisit(visit, core.Event{Step: "dispatch", System: "sys", Filter: "f", Status: status, Took: time.Millisecond, Err: failure})
	c.Status, c.Bytes, c.User, c.Org = status, 7, "ann", "acme"
	tel.End(&c)
	return shown
}

func scrape(t *testing.T, tel *Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// has looks for whole lines of metrics.
func has(t *testing.T, metrics string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			var near []string
			for l := range strings.Lines(metrics) {
				if strings.HasPrefix(l, name) {
					near = append(near, l)
				}
			}
			t.Errorf("no line %s among\n%s", line, strings.Join(near, ""))
		}
	}
}

func TestCallsAndVisitsAreCounted(t *testing.T) {
	tel := start(t, Options{Version: "1.2.3"})
	one(tel, "/api/x", 200, http.Header{}, nil)
	one(tel, "/api/x", 200, http.Header{}, nil)
	one(tel, "/ext-api/x", 404, http.Header{}, core.Errorf(core.NotFound, "no"))
	one(tel, "/ext-ui/x", 0, http.Header{}, context.Canceled)
	open := Call{Path: "/api/x"}
	tel.Begin(context.Background(), &open, http.Header{})
	tel.EndVisit(context.Background(), core.Event{Step: "native"})
	m := scrape(t, tel)
	has(t, m,
		`annex_calls_in_flight 1`,
		`annex_calls_total{place="api",status="2xx"} 2`, `annex_calls_total{place="ext-api",status="4xx"} 1`, `annex_calls_total{place="ext-ui",status="none"} 1`,
		`annex_calls_total{place="health",status="5xx"} 0`,
		`annex_call_duration_seconds_count{place="api"} 2`,
		`annex_visits_total{outcome="answered",stage="dispatch",system="sys"} 2`, `annex_visits_total{outcome="not_found",stage="dispatch",system="sys"} 1`,
		`annex_visits_total{outcome="passed",stage="native",system="native"} 1`,
		`annex_visit_duration_seconds_count{stage="dispatch",system="sys"} 4`,
		`annex_build_info{version="1.2.3"} 1`, `annex_trace_export_failures_total 0`, `annex_access_log_dropped_total 0`,
	)
	if !strings.Contains(m, "\ngo_goroutines ") {
		t.Error("nothing of the runtime")
	}
	tel.Keep(func(id string) bool { return id != "sys" })
	if m = scrape(t, tel); strings.Contains(m, `system="sys"`) || !strings.Contains(m, `system="native"`) {
		t.Error("what is not known any more is still counted, or what is known is not")
	}
}

func TestStrangersCannotMakeMetricsGrow(t *testing.T) {
	tel := start(t, Options{})
	for i := range 3000 {
		one(tel, fmt.Sprint("/", i), 200+i, http.Header{}, nil)
		tel.EndVisit(context.Background(), core.Event{Step: "dispatch", System: fmt.Sprint("s", i)})
	}
	m := scrape(t, tel)
	if n := strings.Count(m, "\nannex_visits_total"); n > maxSystems+10 {
		t.Errorf("%d systems are counted by name", n)
	}
	has(t, m, `annex_visits_total{outcome="passed",stage="dispatch",system="other"} 2001`)
	if n := strings.Count(m, "\nannex_calls_total"); n != int(places)*classes {
		t.Errorf("%d kinds of calls", n)
	}
}

func TestPlaces(t *testing.T) {
	for path, want := range map[string]Place{
		"/": PlaceOther, "": PlaceOther, "/apix": PlaceOther, "/api": PlaceAPI, "/api/x": PlaceAPI, "/api/session": PlaceLogin, "/api/sessions": PlaceLogin,
		"/api/admin/extension/service": PlaceAdmin, "/api/admin/extensions": PlaceAPI, "/ext-api/x": PlaceExtAPI, "/ext-ui/x": PlaceExtUI,
		"/cloudapi/1.0.0/x": PlaceCloudAPI, "/oauth/provider/token": PlaceLogin, "/messaging/mqtt": PlaceMessaging, "/livez": PlaceHealth, "/readyz": PlaceHealth,
	} {
		if got := PlaceOf(path); got != want {
			t.Errorf("%q is at %s, want %s", path, got, want)
		}
	}
}

type kindWithStats struct{ n int }

func (k *kindWithStats) Stats() struct {
	Sessions     int
	SentRequests uint64
	Name         string
	hidden       int
} {
	return struct {
		Sessions     int
		SentRequests uint64
		Name         string
		hidden       int
	}{k.n, 7, "x", 1}
}

func TestWhatKindsCountIsShown(t *testing.T) {
	tel := start(t, Options{})
	k := &kindWithStats{n: 3}
	s, ok := StatsOf(k)
	if !ok {
		t.Fatal("a method Stats is not seen")
	}
	if err := tel.Register(KindStats("mqtt", s)); err != nil {
		t.Fatal(err)
	}
	has(t, scrape(t, tel), "annex_mqtt_sessions 3", "annex_mqtt_sent_requests_total 7")
	k.n = 4
	has(t, scrape(t, tel), "annex_mqtt_sessions 4")
	for _, v := range []any{1, struct{}{}, tel} {
		if _, ok := StatsOf(v); ok {
			t.Errorf("%T counts", v)
		}
	}
}

type counts struct {
	Calls       uint64
	Guests      int
	Quarantined bool
}

type kindWithSystems map[string]counts

func (k kindWithSystems) Stats() map[string]counts { return k }

func TestWhatKindsCountOfEachSystemIsShown(t *testing.T) {
	tel := start(t, Options{})
	k := kindWithSystems{"acme/a/1.0.0": {Calls: 5, Guests: 2}, "acme/b\x1b/1.0.0": {Quarantined: true}}
	s, ok := StatsOf(k)
	if !ok {
		t.Fatal("a method Stats is not seen")
	}
	if err := tel.Register(KindStats("wasm", s)); err != nil {
		t.Fatal(err)
	}
	has(t, scrape(t, tel), `annex_wasm_calls_total{system="acme/a/1.0.0"} 5`, `annex_wasm_guests{system="acme/a/1.0.0"} 2`,
		`annex_wasm_quarantined{system="acme/a/1.0.0"} 0`, `annex_wasm_quarantined{system="acme/b\\u001b/1.0.0"} 1`)
	delete(k, "acme/a/1.0.0")
	if text := scrape(t, tel); strings.Contains(text, "acme/a") {
		t.Errorf("a system that has gone is still counted:\n%s", text)
	}
}

func TestSpansOfACallHangTogether(t *testing.T) {
	c := newCollector(t)
	tel := start(t, Options{OTLPEndpoint: c.URL, Version: "1"})
	parent := http.Header{"Traceparent": {"00-" + traceID + "-" + clientID + "-01"}, "Tracestate": {"a=b"}}
	saw := one(tel, "/api/x", 201, parent, nil)
	one(tel, "/ext-api/x", 503, http.Header{}, core.Errorf(core.Unavailable, "the service\x1b[2J is down"))
	one(tel, "/api/not-sampled", 200, http.Header{"Traceparent": {"00-" + traceID + "-" + clientID + "-00"}}, nil)
	if err := tel.Close(); err != nil {
		t.Fatal(err)
	}
	byName := map[string]span{}
	for _, s := range c.spans {
		byName[s.name+" "+s.attributes["annex.outcome"]] = s
		if s.service != "annex" {
			t.Errorf("service %q", s.service)
		}
	}
	if len(c.spans) != 4 || len(byName) != 4 {
		t.Fatalf("%d spans: %+v", len(c.spans), c.spans)
	}
	call, visit := byName["GET api "], byName["visit dispatch answered"]
	if call.trace != traceID || call.parent != clientID || call.kind != 2 || call.failed || call.attributes["annex.request_id"] != "id-1" ||
		call.attributes["url.path"] != "/api/x" || call.attributes["http.response.status_code"] != string(binary.AppendUvarint(nil, 201)) {
		t.Errorf("the call's span is %+v", call)
	}
	if visit.trace != traceID || visit.parent != call.id || visit.kind != 3 || visit.attributes["annex.system"] != "sys" || visit.attributes["annex.filter"] != "f" {
		t.Errorf("the visit's span is %+v", visit)
	}
	if got := saw.Get("Traceparent"); got != "00-"+traceID+"-"+visit.id+"-01" || saw.Get("Tracestate") != "a=b" {
		t.Errorf("the system saw %q, %q", got, saw.Get("Tracestate"))
	}
	other, failed := byName["GET ext-api "], byName["visit dispatch unavailable"]
	if other.trace == traceID || other.parent != "" || !other.failed || failed.trace != other.trace || failed.parent != other.id || !failed.failed {
		t.Errorf("the failed call is %+v, its visit %+v", other, failed)
	}
}

func TestTraceContextThatCannotBeUsedIsRemoved(t *testing.T) {
	good := "00-" + traceID + "-" + clientID + "-01"
	for name, tc := range map[string]struct {
		in   http.Header
		want string // of Traceparent
	}{
		"a good one":                {http.Header{"Traceparent": {good}}, good},
		"one of a later version":    {http.Header{"Traceparent": {"01" + good[2:] + "-more"}}, "01" + good[2:] + "-more"},
		"two":                       {http.Header{"Traceparent": {good, good}}, ""},
		"rubbish":                   {http.Header{"Traceparent": {"x"}}, ""},
		"an empty trace":            {http.Header{"Traceparent": {"00-" + strings.Repeat("0", 32) + "-" + clientID + "-01"}}, ""},
		"capitals":                  {http.Header{"Traceparent": {strings.ToUpper(good)}}, ""},
		"version ff":                {http.Header{"Traceparent": {"ff" + good[2:]}}, ""},
		"a state without a parent":  {http.Header{"Tracestate": {"a=b"}}, ""},
		"a state that is malformed": {http.Header{"Traceparent": {good}, "Tracestate": {"=,="}}, good},
	} {
		t.Run(name, func(t *testing.T) {
			h := tc.in.Clone()
			saw := one(start(t, Options{}), "/api/x", 200, h, nil)
			if got := strings.Join(saw.Values("Traceparent"), "|"); got != tc.want || saw.Has("Tracestate") {
				t.Errorf("%q, state %q", got, saw.Get("Tracestate"))
			}
		})
	}
}

func TestACollectorThatFailsCostsNothingButACount(t *testing.T) {
	c := newCollector(t)
	c.status = http.StatusBadRequest
	var log lines
	tel := start(t, Options{OTLPEndpoint: c.URL + "/v1/traces", Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		one(tel, "/api/x", 200, http.Header{}, nil)
		if err := tel.tracer.provider.ForceFlush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	has(t, scrape(t, tel), "annex_trace_export_failures_total 3")
	if n := strings.Count(log.String(), "collector"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	for _, endpoint := range []string{"localhost:4318", "ftp://x", "http://", "http://u:p@x", "http://x?y"} {
		if _, err := New(t.Context(), Options{OTLPEndpoint: endpoint}); core.ErrorCode(err) != core.Invalid {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	quiet := newCollector(t)
	none := start(t, Options{OTLPEndpoint: quiet.URL, SampleRatio: -1})
	one(none, "/api/x", 200, http.Header{}, nil)
	if err := none.Close(); err != nil || quiet.posts != 0 {
		t.Errorf("%d posts, %v", quiet.posts, err)
	}
}

// lines is a log that many write to.
type lines struct {
	mu    sync.Mutex
	text  strings.Builder
	fails error
	stuck chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	if l.stuck != nil {
		<-l.stuck
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails != nil {
		return 0, l.fails
	}
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestEveryCallHasALineInTheAccessLog(t *testing.T) {
	log := &lines{}
	tel := start(t, Options{AccessLog: log})
	one(tel, "/api/a\r\nb\u202e\xff", 200, http.Header{"Traceparent": {"00-" + traceID + "-" + clientID + "-01"}}, nil)
	one(tel, "/"+strings.Repeat("x", 9000), 404, http.Header{}, nil)
	if err := errors.Join(tel.Close(), tel.Close()); err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	for line := range strings.Lines(log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, entry)
	}
	if len(got) != 2 {
		t.Fatal(log.String())
	}
	for name, want := range map[string]any{
		"request_id": "id-1", "trace_id": traceID, "remote": "192.0.2.7", "method": "GET", "path": `/api/a\u000d\u000ab\u202e\xff`, "proto": "HTTP/1.1",
		"place": "api", "status": 200.0, "bytes": 7.0, "user": "ann", "org": "acme",
	} {
		if got[0][name] != want {
			t.Errorf("%s is %v, want %v", name, got[0][name], want)
		}
	}
	if path, _ := got[1]["path"].(string); len(path) > maxPath+10 || !strings.HasSuffix(path, "…") || got[1]["trace_id"] != nil {
		t.Errorf("%v", got[1])
	}
}

func TestAnAccessLogThatIsStuckMakesNobodyWait(t *testing.T) {
	log := &lines{stuck: make(chan struct{})}
	tel := start(t, Options{AccessLog: log})
	for range queueLen + 2000 { // would block here
		one(tel, "/api/x", 200, http.Header{}, nil)
	}
	if m := scrape(t, tel); strings.Contains(m, "\nannex_access_log_dropped_total 0\n") {
		t.Error("nothing was dropped")
	}
	close(log.stuck)
	if err := tel.Close(); err != nil {
		t.Error(err)
	}
	log = &lines{fails: io.ErrClosedPipe}
	tel = start(t, Options{AccessLog: log})
	one(tel, "/api/x", 200, http.Header{}, nil)
	if err := tel.Close(); err != nil {
		t.Error(err)
	}
	has(t, scrape(t, tel), "annex_access_log_dropped_total 1")
}

func TestLogsShowNothingThatMovesACursor(t *testing.T) {
	log := &lines{}
	l := Harmless(slog.New(slog.NewJSONHandler(log, nil)))
	if Harmless(l) != l {
		t.Error("escaped twice")
	}
	l = l.With("with", "\u202e").WithGroup("g")
	l.Info("m\x1b[2J", "s", "a\nb\u2028", "e", errors.New("\x9b"), "n", 7, slog.Group("in", "x", "\x07"), "addr", netip.MustParseAddr("::1"), "nil", error(nil))
	var got map[string]any
	if err := json.Unmarshal([]byte(log.String()), &got); err != nil {
		t.Fatal(err)
	}
	g, _ := got["g"].(map[string]any)
	in, _ := g["in"].(map[string]any)
	if got["msg"] != `m\u001b[2J` || got["with"] != `\u202e` || g["s"] != "a\nb"+`\u2028` || g["e"] != `\x9b` || g["n"] != 7.0 || in["x"] != `\u0007` ||
		g["addr"] != "::1" || g["nil"] != nil {
		t.Errorf("%s", log.String())
	}
}
