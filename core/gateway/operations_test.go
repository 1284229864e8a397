package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

// TestOperatorsSeeWhatCallsDo looks at one call from all sides: its trace, its
// line in the access log, and what is counted of it.
func TestOperatorsSeeWhatCallsDo(t *testing.T) {
	var posts atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/traces" {
			posts.Add(1)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer collector.Close()
	log := &buffer{}
	o := newOrigin(t, nil)
	h := newHouse(t, func(s *settings) { s.AccessLog, s.OTLPEndpoint = log, collector.URL })
	h.trust(o.Server, "origin")
	h.endpoint("seen", o.URL, filter(core.ScopeExtAPI, "/seen/.*"))
	heard := make(chan wire.Request, 1)
	h.listen(h.service("seen", 50, filter(core.ScopeAPI, "/api/seen")), "seen", func(r wire.Request) []byte { heard <- r; return reply(r, 200, "") })
	const trace, client = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	parent := "00-" + trace + "-" + client + "-01"
	h.as(h.token, "POST", "/ext-api/seen/x?secret=1", "abc", "Traceparent", parent, "Tracestate", "a=b")
	header := o.take()[0].header
	if got := header.Get("Traceparent"); !strings.HasPrefix(got, "00-"+trace+"-") || got == parent || header.Get("Tracestate") != "a=b" {
		t.Errorf("the endpoint saw %q, %q", got, header.Get("Tracestate"))
	}
	h.as(h.token, "GET", "/api/seen", "", "Traceparent", parent)
	m := receive(t, "the request", heard).Message
	if got := m.Header("Traceparent"); !strings.HasPrefix(got, "00-"+trace+"-") || got == parent || got == header.Get("Traceparent") {
		t.Errorf("the service saw %q", got)
	}
	h.do("GET", "/api/seen", "") // nobody

	w := httptest.NewRecorder()
	h.gw.Operations().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`annex_calls_total{place="ext-api",status="2xx"} 1`, `annex_calls_total{place="api",status="2xx"} 1`, `annex_calls_total{place="api",status="4xx"} 1`,
		`annex_visits_total{outcome="answered",stage="dispatch",system="urn:vcloud:extension-api:acme:seen:1.0.0"} 1`,
		`annex_visits_total{outcome="answered",stage="dispatch",system="urn:vcloud:extensionEndpoint:acme:seen:1.0.0"} 1`,
	} {
		if !strings.Contains(w.Body.String(), "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if got := h.as(h.token, "GET", "/metrics", ""); got.status != 404 {
		t.Errorf("clients can see the metrics: %d", got.status)
	}
	w = httptest.NewRecorder()
	h.gw.Operations().ServeHTTP(w, httptest.NewRequest("GET", "/readyz?verbose", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "[+] urn:vcloud:extension-api:acme:seen:1.0.0: ok\n") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if err := h.gw.Close(); err != nil {
		t.Fatal(err)
	}
	if posts.Load() == 0 {
		t.Error("no spans were exported")
	}
	found := 0
	for line := range strings.Lines(log.String()) {
		var e struct {
			Path, Place, User, Org, Method string
			TraceID                        string `json:"trace_id"`
			Status                         int
			Bytes                          int64
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Error(err)
		}
		switch {
		case e.Path == "/ext-api/seen/x":
			found++
			if e.Place != "ext-api" || e.User != "administrator" || e.Org != "System" || e.TraceID != trace || e.Status != 200 || e.Bytes != 3 || e.Method != "POST" {
				t.Errorf("%s", line)
			}
		case e.Path == "/api/seen" && e.Status == 401:
			found++
			if e.User != "" {
				t.Errorf("%s", line)
			}
		}
		if strings.Contains(line, "secret") {
			t.Errorf("the query is logged: %s", line)
		}
	}
	if found != 2 {
		t.Errorf("the access log:\n%s", log.String())
	}
}
