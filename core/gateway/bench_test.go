package gateway_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/gateway"
	"github.com/annex-gateway/annex/plugins/plugintest"
	"github.com/annex-gateway/annex/storage/memory"
)

// sink is where an answer goes that nobody looks at.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// SetWriteDeadline is asked for with every call.
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

// call makes calls to a gateway without a socket: the road with both its
// edges, to a system that answers 1 KiB at once.
func call(tb testing.TB) func() int {
	tb.Helper()
	kind := plugintest.NewFake(core.KindMQTT)
	response := core.Response{
		Status: http.StatusOK, Header: core.NewHeader("Content-Type", "application/json"), Body: core.BytesBody(bytes.Repeat([]byte("j"), 1024)),
	}
	kind.Handle(func(_ context.Context, _ core.System, m core.Message) (core.Message, error) {
		return m.Answer(response), nil
	})
	gw, err := gateway.New(tb.Context(), gateway.Options{
		Store: memory.New(), AdminPassword: adminPassword, Kinds: func(core.Host) ([]core.Kind, error) { return []core.Kind{kind}, nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := gw.Close(); err != nil {
			tb.Error(err)
		}
	})
	admin := func(path, body string, set func(*http.Request)) http.Header {
		r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		set(r)
		w := httptest.NewRecorder()
		gw.ServeHTTP(w, r)
		if w.Code >= 300 {
			tb.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return w.Header()
	}
	token := admin("/cloudapi/1.0.0/sessions/provider", "", func(r *http.Request) {
		r.SetBasicAuth("administrator@System", adminPassword)
	}).Get("X-Vmware-Vcloud-Access-Token")
	known := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	admin("/cloudapi/extensions/api", `{"vendor":"acme","name":"echo","version":"1.0.0","priority":50,"enabled":true,"authorizationEnabled":false}`, known)
	admin("/cloudapi/1.0.0/apiFilters", `{"externalSystem":{"id":"urn:vcloud:extension-api:acme:echo:1.0.0"},`+filter(core.ScopeAPI, "/api/echo/.*")+`}`, known)

	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/api/echo/1", nil)
	header := http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/json"}, "User-Agent": {"bench"}}
	return func() int {
		w := &sink{header: http.Header{}}
		again := *r
		again.Header = header.Clone()
		gw.ServeHTTP(w, &again)
		return w.status
	}
}

// BenchmarkCall is the road with both its edges, and no socket.
func BenchmarkCall(b *testing.B) {
	do := call(b)
	b.ReportAllocs()
	for b.Loop() {
		if status := do(); status != http.StatusOK {
			b.Fatal(status)
		}
	}
}

// TestACallAllocatesLittle holds what a call costs beyond its socket and its
// system. Each of what remains is there for a reason; a new one needs one too.
func TestACallAllocatesLittle(t *testing.T) {
	do := call(t)
	if n := testing.AllocsPerRun(100, func() { do() }); n > 30 {
		t.Errorf("a call makes %.0f allocations, the test's own among them; 30 are enough", n)
	}
}
