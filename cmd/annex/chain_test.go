package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/sdk/service"
)

// chainModule builds a guest of testdata/chain with the ordinary toolchain.
func chainModule(t *testing.T, name string) []byte {
	t.Helper()
	return builtModule(t, filepath.Join("testdata", "chain", name))
}

// builtModule builds the guest of a directory.
func builtModule(t *testing.T, dir string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", file, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", dir, err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// guest uploads a module and registers it.
func (p *process) guest(name string, module []byte, priority int, config string) (id string) {
	p.t.Helper()
	var uploaded, svc struct{ ID string }
	p.post("/cloudapi/extensions/modules", client.Raw{Reader: bytes.NewReader(module), Size: int64(len(module)), Type: "application/wasm"}, &uploaded)
	p.post("/cloudapi/extensions/api", map[string]any{
		"vendor": "chain", "name": name, "version": "1.0.0", "priority": priority, "enabled": true, "authorizationEnabled": false, "kind": "wasm",
		"wasm": map[string]any{"module": uploaded.ID, "config": config, "deadlineMs": 5000, "rewrite": false},
	}, &svc)
	return svc.ID
}

func (p *process) priority(id string, priority int) {
	p.t.Helper()
	path := "/cloudapi/extensions/api/" + id
	if _, err := p.client.Do(p.t.Context(), client.Call{Method: http.MethodPut, Path: path, In: map[string]any{"priority": priority}}); err != nil {
		p.t.Fatal(err)
	}
}

// One call passes guests of all three borders and a service, and a module
// looks at the answer. The body tells in which order.
func TestOneChainOfAllBordersAndAService(t *testing.T) {
	p := serveIn(t, filepath.Join(t.TempDir(), "data"), "--log-level", "warn")
	p.login()
	plain := chainModule(t, "plain")
	ids := map[string]string{
		"plain":  p.guest("plain", plain, 90, "plain"),
		"proxy":  p.guest("proxy", chainModule(t, "proxy"), 80, ""),
		"annex":  p.guest("annex", chainModule(t, "annex"), 70, ""),
		"filter": p.guest("filter", plain, 50, "filter"),
	}
	for _, name := range []string{"plain", "proxy", "annex"} {
		p.filter(ids[name], "/api/test/.*")
	}
	p.post("/cloudapi/1.0.0/apiFilters", map[string]any{"externalSystem": map[string]string{"id": ids["filter"]}, "responseContentType": "text/plain"}, nil)
	echo := p.register()
	p.priority(echo.id, 10)
	p.orderService(echo.token)

	for _, step := range []struct {
		change   func()
		in, back string
	}{
		{func() {}, "plain proxy annex:administrator mqtt", " annex proxy plain filter"},
		{func() { p.priority(ids["annex"], 100) }, "annex:administrator plain proxy mqtt", " proxy plain annex filter"},
		{func() { p.priority(ids["proxy"], 99) }, "annex:administrator proxy plain mqtt", " plain proxy annex filter"},
		{func() { p.priority(echo.id, 95) }, "annex:administrator proxy mqtt", " proxy annex filter"},
	} {
		step.change()
		p.answers(t.Context(), "/api/test/order", step.in)
		if _, _, body := p.get("/api/test/order"); body != step.in+step.back {
			t.Errorf("got  %q\nwant %q", body, step.in+step.back)
		}
	}
	p.stops()
}

// orderService answers with the order that the request was given.
func (p *process) orderService(token string) {
	p.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	conf := service.Config{
		URL: "wss" + p.base[len("https"):] + "/messaging/mqtt", Vendor: "test", Name: "echo", Version: "1.0.0", Token: token,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.roots}, Logger: slog.New(slog.DiscardHandler),
	}
	go func() {
		ended <- service.Run(ctx, conf, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprint(w, r.Header.Get("X-Order")+"mqtt")
		}))
	}()
	p.t.Cleanup(func() {
		stop()
		<-ended
	})
}
