package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/cmd/annex/localca"
)

// How the extensions of a run are called.
const (
	vendor   = "bench"
	version  = "1.0.0"
	password = "only for this run"
)

// house is a running gateway.
type house struct {
	*proc
	data          string
	plain, secure string // base URLs
	admin         string // base URL of health
	ca            string // file
	client        *client.Client
}

// open starts the gateway on a data directory, and tells how long it took
// until it was ready.
func (b *bench) open(ctx context.Context, data string, args ...string) (*house, time.Duration, error) {
	return b.openOther(ctx, b.annex, nil, data, args...)
}

// openOther does so with another binary, or the same in another environment.
func (b *bench) openOther(ctx context.Context, binary string, env []string, data string, args ...string) (*house, time.Duration, error) {
	at, err := addresses(ctx, 3)
	if err != nil {
		return nil, 0, err
	}
	h := &house{
		data: data, plain: "http://" + at[0], secure: "https://localhost:" + port(at[1]), admin: "http://" + at[2],
		ca: filepath.Join(data, "tls", "ca.pem"),
	}
	argv := append([]string{
		binary, "serve", "--data", data, "--access-log", "off", "--listen", h.plain, "--listen", at[1], "--admin-listen", at[2],
	}, args...)
	begun := time.Now()
	if h.proc, err = b.spawn("annex", append(env, "ANNEX_ADMIN_PASSWORD="+password), argv...); err != nil {
		return nil, 0, err
	}
	if err := h.await(ctx, h.admin+"/readyz"); err != nil {
		return nil, 0, err
	}
	return h, time.Since(begun), nil
}

func port(address string) string {
	_, p, _ := strings.Cut(address, ":")
	return p
}

// login makes the client that registers.
func (h *house) login(ctx context.Context) error {
	roots := x509.NewCertPool()
	text, err := os.ReadFile(h.ca)
	if err != nil {
		return err
	}
	roots.AppendCertsFromPEM(text)
	h.client = client.New(h.secure, roots)
	return h.client.Login(ctx, "administrator", "System", password)
}

func (h *house) post(ctx context.Context, path string, in, out any) error {
	_, err := h.client.Do(ctx, client.Call{Method: http.MethodPost, Path: path, In: in, Out: out})
	return err
}

// registered is the answer to a registration.
type registered struct {
	ID    string `json:"id"`
	Token string `json:"token"`
}

// system registers one.
func (h *house) system(ctx context.Context, path, name string, more map[string]any) (string, error) {
	in := map[string]any{"vendor": vendor, "name": name, "version": version, "enabled": true, "description": "of bench"}
	for k, v := range more {
		in[k] = v
	}
	var out registered
	err := h.post(ctx, path, in, &out)
	return out.ID, err
}

// service registers an external service.
func (h *house) service(ctx context.Context, name string, more map[string]any) (string, error) {
	in := map[string]any{"priority": 50, "authorizationEnabled": false}
	for k, v := range more {
		in[k] = v
	}
	return h.system(ctx, "/cloudapi/extensions/api", name, in)
}

func (h *house) filter(ctx context.Context, system, pattern, scope string) error {
	return h.post(ctx, "/cloudapi/1.0.0/apiFilters", map[string]any{
		"externalSystem": map[string]string{"id": system},
		"urlMatcher":     map[string]string{"urlPattern": pattern, "urlScope": scope},
	}, nil)
}

// fill registers filters of a service that no measured call matches, from
// number first up to last, of the forms that extensions really have.
func (h *house) fill(ctx context.Context, system string, first, last int) error {
	forms := []string{"/api/org/.*/name%d", "/api/.*/thing%d/.*", "/api/ext%d/.*", "/api/ext%d/(?<id>[-a-f0-9]+)/action", "/api/cse%d"}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(32)
	for i := first; i < last; i++ {
		g.Go(func() error { return h.filter(ctx, system, fmt.Sprintf(forms[i%len(forms)], i), "API") })
	}
	return g.Wait()
}

// module uploads a WASM file.
func (h *house) module(ctx context.Context, file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var out registered
	err = h.post(ctx, "/cloudapi/extensions/modules", client.Raw{Reader: bytes.NewReader(b), Size: int64(len(b)), Type: "application/wasm"}, &out)
	return out.ID, err
}

// guest builds the module that is measured.
func (b *bench) guest(ctx context.Context) (string, error) {
	file := filepath.Join(b.work, "guest.wasm")
	//nolint:gosec // the file is in our own directory
	c := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", file, "./.ci/bench/guest")
	c.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the measured guest does not build: %w\n%s", err, out)
	}
	return file, nil
}

// certificates makes an authority for the servers of this run, and one
// certificate with its key for them. It gives the files.
func (b *bench) certificates() (ca, cert string, err error) {
	authority, err := localca.Open(filepath.Join(b.work, "peers"))
	if err != nil {
		return "", "", err
	}
	c, err := authority.Issue("localhost", "127.0.0.1")
	if err != nil {
		return "", "", err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return "", "", err
	}
	var text []byte
	for _, der := range c.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	cert = filepath.Join(b.work, "peers.pem")
	return authority.File(), cert, os.WriteFile(cert, text, 0o600)
}
