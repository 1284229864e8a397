package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/gateway"
	"github.com/annex-gateway/annex/sdk/service"
)

// builtIn holds hello.wasm when the binary was built by make.
//
//go:embed modules
var builtIn embed.FS

// demoModule is the WASM module to show: the one named, the one in the
// binary, or one built now from the source.
func demoModule(ctx context.Context, s demoSettings) ([]byte, error) {
	if s.module != "" {
		return os.ReadFile(s.module)
	}
	if b, err := builtIn.ReadFile("modules/hello.wasm"); err == nil {
		return b, nil
	}
	fmt.Fprintln(s.out, "building the example WASM module with the Go toolchain ...")
	return buildModule(ctx)
}

// buildModule builds the example from the source tree that the program is run
// in.
func buildModule(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "annex-module-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a leftover in the temporary directory
	file := filepath.Join(dir, "hello.wasm")
	//nolint:gosec // the file is one that we have just made
	build := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
		"-o", file, "github.com/annex-gateway/annex/wasm-examples/hello")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	build.WaitDelay = 5 * time.Second
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("this binary carries no example module and it could not be built: %w\n%s"+
			"use 'make demo' in the source tree, or name a module with --module", errors.Join(err, ctx.Err()), out)
	}
	return os.ReadFile(file)
}

// ref names a system in a registration.
type ref struct {
	ID string `json:"id"`
}

// post registers something.
func (d *demoRun) post(ctx context.Context, path string, in, out any) error {
	_, err := d.client.Do(ctx, client.Call{Method: http.MethodPost, Path: path, In: in, Out: out})
	return err
}

func wasmBody(module []byte) client.Raw {
	return client.Raw{Reader: bytes.NewReader(module), Size: int64(len(module)), Type: "application/wasm"}
}

// addFilter sends the calls below a pattern to a system.
func (d *demoRun) addFilter(ctx context.Context, system, pattern, scope string) error {
	return d.post(ctx, "/cloudapi/1.0.0/apiFilters", map[string]any{
		"externalSystem": ref{system},
		"urlMatcher":     map[string]string{"urlPattern": pattern, "urlScope": scope},
	}, nil)
}

// startService registers a service, and runs it as its author would: with a
// token, over MQTT in a TLS WebSocket.
func (d *demoRun) startService(ctx context.Context, roots *x509.CertPool) error {
	var svc struct {
		ID                    string
		Vendor, Name, Version string
	}
	err := d.post(ctx, "/cloudapi/extensions/api", map[string]any{
		"vendor": "demo", "name": "clock", "version": "1.0.0", "priority": 50, "enabled": true, "authorizationEnabled": false,
		"description": "tells the time, over MQTT",
	}, &svc)
	if err != nil {
		return err
	}
	if err := d.addFilter(ctx, svc.ID, "/api/org/.*/currentTime", "API"); err != nil {
		return err
	}
	var token struct{ Token string }
	err = d.post(ctx, "/cloudapi/1.0.0/tokens", map[string]string{
		"name": "demo/clock/1.0.0", "type": "EXTENSION", "extensionId": svc.ID,
	}, &token)
	if err != nil {
		return err
	}
	conf := service.Config{
		URL:    "wss" + d.client.Base[len("https"):] + "/messaging/mqtt",
		Vendor: svc.Vendor, Name: svc.Name, Version: svc.Version, Token: token.Token,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, Logger: d.log,
	}
	d.begin(func() error {
		return service.Run(ctx, conf, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprintf(w, "%s, says a service over MQTT\n", time.Now().UTC().Format(time.RFC3339))
		}))
	})
	return nil
}

// startEndpoint registers an HTTPS server with a certificate of its own.
func (d *demoRun) startEndpoint(ctx context.Context, _ *x509.CertPool) error {
	cert, err := d.house.ca.Issue("localhost")
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := gateway.NewServer(http.HandlerFunc(greet), d.log)
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	d.begin(func() error {
		if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	context.AfterFunc(ctx, func() { _ = server.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	var endpoint ref
	err = d.post(ctx, "/cloudapi/1.0.0/externalEndpoints", map[string]any{
		"vendor": "demo", "name": "greeter", "version": "1.0.0", "enabled": true,
		"description": "greets, over HTTPS", "rootUrl": "https://localhost:" + port,
	}, &endpoint)
	if err != nil {
		return err
	}
	return d.addFilter(ctx, endpoint.ID, "/demo/.*", string(core.ScopeExtAPI))
}

func greet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"greeting": "hello " + r.URL.Query().Get("name") + ", says an HTTPS endpoint", "path": r.URL.Path,
	})
}

// startModule uploads a WASM module and registers it.
func (d *demoRun) startModule(ctx context.Context, _ *x509.CertPool) error {
	var module ref
	if err := d.post(ctx, "/cloudapi/extensions/modules", wasmBody(d.module), &module); err != nil {
		return err
	}
	var svc ref
	err := d.post(ctx, "/cloudapi/extensions/api", map[string]any{
		"vendor": "demo", "name": "hello", "version": "1.0.0", "priority": 50, "enabled": true, "authorizationEnabled": false,
		"description": "says hello, inside the gateway", "kind": "wasm", "wasm": map[string]any{"module": module.ID},
	}, &svc)
	if err != nil {
		return err
	}
	return d.addFilter(ctx, svc.ID, "/api/hello", "API")
}

// begin runs something beside the gateway until it ends.
func (d *demoRun) begin(f func() error) {
	ended := make(chan error, 1)
	d.ended = append(d.ended, ended)
	go func() { ended <- f() }()
}
