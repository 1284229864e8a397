package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/gateway"
	"github.com/annex-gateway/annex/plugins/wasm"
	"github.com/annex-gateway/annex/storage/memory"
)

// nowhere is where an answer goes that nobody looks at.
type nowhere struct {
	header http.Header
	status int
}

func (s *nowhere) Header() http.Header              { return s.header }
func (s *nowhere) Write(b []byte) (int, error)      { return len(b), nil }
func (s *nowhere) WriteHeader(status int)           { s.status = status }
func (s *nowhere) SetWriteDeadline(time.Time) error { return nil }

// inside is a gateway without sockets, with modules.
type inside struct {
	b     *testing.B
	gw    *gateway.Gateway
	token string
}

func openInside(b *testing.B) *inside {
	b.Helper()
	cache := b.TempDir()
	gw, err := gateway.New(b.Context(), gateway.Options{
		Store: memory.New(), AdminPassword: "only for this run",
		Kinds: func(h core.Host) ([]core.Kind, error) {
			k, err := wasm.New(context.Background(), h, wasm.Options{CacheDir: cache})
			return []core.Kind{k}, err
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := gw.Close(); err != nil {
			b.Error(err)
		}
	})
	in := &inside{b: b, gw: gw}
	w := in.ask(http.MethodPost, "/cloudapi/1.0.0/sessions/provider", "", func(r *http.Request) { r.SetBasicAuth("administrator@System", "only for this run") })
	in.token = w.Header().Get("X-Vmware-Vcloud-Access-Token")
	return in
}

func (in *inside) known(r *http.Request) { r.Header.Set("Authorization", "Bearer "+in.token) }

func (in *inside) ask(method, path, body string, set func(*http.Request)) *httptest.ResponseRecorder {
	in.b.Helper()
	r := httptest.NewRequestWithContext(in.b.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	set(r)
	w := httptest.NewRecorder()
	in.gw.ServeHTTP(w, r)
	if w.Code >= 300 {
		in.b.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w
}

func between(s, left, right string) string {
	_, s, _ = strings.Cut(s, left)
	s, _, _ = strings.Cut(s, right)
	return s
}

// module builds a guest and uploads it.
func (in *inside) module(dir string) string {
	in.b.Helper()
	file := filepath.Join(in.b.TempDir(), "guest.wasm")
	c := exec.CommandContext(in.b.Context(), "go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", file, dir)
	c.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		in.b.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		in.b.Fatal(err)
	}
	w := in.ask(http.MethodPost, "/cloudapi/extensions/modules", string(text), func(r *http.Request) {
		in.known(r)
		r.Header.Set("Content-Type", "application/wasm")
	})
	return between(w.Body.String(), `"id":"`, `"`)
}

// guest registers a system with a filter.
func (in *inside) guest(name, module, role string, priority int, path string) {
	in.b.Helper()
	w := in.ask(http.MethodPost, "/cloudapi/extensions/api", fmt.Sprintf(`{"vendor":"bench","name":%q,"version":"1.0.0","priority":%d,"enabled":true,
		"authorizationEnabled":false,"kind":"wasm","wasm":{"module":%q,"config":%q,"deadlineMs":5000}}`, name, priority, module, role), in.known)
	id := between(w.Body.String(), `"id":"`, `"`)
	in.ask(http.MethodPost, "/cloudapi/1.0.0/apiFilters", fmt.Sprintf(`{"externalSystem":{"id":%q},"urlMatcher":{"urlPattern":%q,"urlScope":"API"}}`, id, path), in.known)
}

// BenchmarkChain is the whole road but its sockets: an answer from a guest,
// with header filters before it.
func BenchmarkChain(b *testing.B) {
	for _, n := range []int{0, 1, 4, 16} {
		b.Run(fmt.Sprintf("%d filters", n), func(b *testing.B) {
			in := openInside(b)
			module := in.module("../../.ci/bench/guest")
			in.guest("answer", module, "answer", 0, "/api/x")
			for i := range n {
				in.guest(fmt.Sprint("header", i), module, "header", 50, "/api/x")
			}
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/api/x", nil)
			header := http.Header{"Authorization": {"Bearer " + in.token}, "Accept": {"application/json"}, "User-Agent": {"bench"}}
			b.ReportAllocs()
			from := cpu()
			defer func() { b.ReportMetric(float64(cpu()-from)/float64(b.N), "cpu-ns/op") }()
			for b.Loop() {
				w := &nowhere{header: http.Header{}}
				again := *r
				again.Header = header.Clone()
				in.gw.ServeHTTP(w, &again)
				if w.status != http.StatusOK {
					b.Fatal(w.status)
				}
			}
		})
	}
}

func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}
