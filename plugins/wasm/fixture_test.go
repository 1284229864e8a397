package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// testHost keeps modules and what is logged.
type testHost struct {
	core.Host
	mu      sync.Mutex
	modules map[string][]byte
	logged  bytes.Buffer
	memory  memory
}

func (h *testHost) Log() *slog.Logger {
	return slog.New(slog.NewTextHandler(h, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func (h *testHost) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.logged.Write(b)
}

func (h *testHost) log() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.logged.String()
}

func (h *testHost) OpenModule(_ context.Context, digest string) (io.ReadCloser, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, ok := h.modules[digest]
	if !ok {
		return nil, core.Errorf(core.NotFound, "no module %s", digest)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (h *testHost) keep(module []byte) string {
	sum := sha256.Sum256(module)
	digest := digestPrefix + hex.EncodeToString(sum[:])
	h.mu.Lock()
	defer h.mu.Unlock()
	h.modules[digest] = module
	return digest
}

type fixture struct {
	host *testHost
	kind *Kind
}

func newFixture(tb testing.TB, opts Options) *fixture {
	tb.Helper()
	h := &testHost{modules: map[string][]byte{}}
	if opts.Grace == 0 {
		opts.Grace = 5 * time.Second
	}
	if opts.CompileTimeout == 0 {
		opts.CompileTimeout = 10 * time.Minute // with the race detector, on a machine that is busy
	}
	k, err := New(context.Background(), h, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := k.Close(); err != nil {
			tb.Errorf("closing the kind: %v", err)
		}
	})
	return &fixture{host: h, kind: k}
}

// system is a registration of module, with generous time unless the settings
// say otherwise.
func (f *fixture) system(module []byte, set core.WASMSettings) core.System {
	set.Module = f.host.keep(module)
	if set.DeadlineMS == 0 {
		set.DeadlineMS = 10_000
	}
	sys := core.System{Kind: core.KindWASM, Vendor: "tests", Name: "guest", Version: "1.0.0", Settings: core.EncodeSettings(set)}
	sys.ID = core.SystemID(sys.Kind, sys.Vendor, sys.Name, sys.Version)
	return sys
}

func (f *fixture) open(tb testing.TB, module []byte, set core.WASMSettings) *Conn {
	tb.Helper()
	c, err := f.kind.Open(context.Background(), f.system(module, set))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c.(*Conn)
}

func testMessage(body *core.Body, header ...string) core.Message {
	return core.Message{
		ID:    "call-1",
		Route: core.Route{Stage: core.OnDispatch},
		Request: core.Request{
			Method: "GET", Path: "/a b", RawPath: "/a%20b", RawQuery: "x=1;y", Proto: "HTTP/2.0",
			Host: "gateway:8443", Scheme: "https", RemoteAddr: netip.MustParseAddrPort("[::ffff:192.0.2.7]:4321"),
			Header: core.NewHeader(header...), Body: body,
		},
	}
}

func answered(m core.Message, status int, body *core.Body, header ...string) core.Message {
	return m.Answer(core.Response{Status: status, Header: core.NewHeader(header...), Body: body})
}

func bodyOf(tb testing.TB, b *core.Body) string {
	tb.Helper()
	got, err := io.ReadAll(b.Open())
	if err != nil {
		tb.Fatal(err)
	}
	return string(got)
}

// around takes a message past a guest and back.
func around(t *testing.T, c *Conn, m core.Message, answer func(core.Message) core.Message) (passed, back core.Message) {
	t.Helper()
	v, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Done()
	passed, err = v.Request(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if passed.Answered() {
		t.Fatalf("the guest answered with %d", passed.Response.Status)
	}
	back, err = v.Response(t.Context(), answer(passed))
	if err != nil {
		t.Fatal(err)
	}
	return passed, back
}

var built struct {
	sync.Mutex
	modules map[string][]byte
}

// goModule builds a guest with the ordinary Go toolchain, once.
func goModule(tb testing.TB, folder string) []byte {
	tb.Helper()
	built.Lock()
	defer built.Unlock()
	if b := built.modules[folder]; b != nil {
		return b
	}
	out := filepath.Join(tb.TempDir(), "guest.wasm")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("building %s: %v\n%s", folder, err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		tb.Fatal(err)
	}
	if built.modules == nil {
		built.modules = map[string][]byte{}
	}
	built.modules[folder] = b
	return b
}

// cacheDir keeps compiled guests from one run of the tests to the next: the
// runtime of a Go guest takes seconds to compile, and it is always the same.
func cacheDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		return tb.TempDir()
	}
	return filepath.Join(dir, "annex-tests", "wasm")
}

// held is how many compiled modules the kind holds.
func (f *fixture) held() int {
	f.kind.modules.mu.Lock()
	defer f.kind.modules.mu.Unlock()
	return len(f.kind.modules.entries)
}

func trailer(tb testing.TB, b *core.Body) http.Header {
	tb.Helper()
	_ = bodyOf(tb, b)
	return b.Trailer()
}
