package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/core"
)

// hang is how long a test waits for what takes no time at all.
const hang = 60 * time.Second

const testPassword = "a password of the tests"

// binary is the real program, built once for all tests.
var binary = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // built once on purpose
	file := filepath.Join(os.Getenv("ANNEX_TEST_DIR"), "annex")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", file, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return file, nil
})

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "annex-test-")
	if err != nil {
		panic(err)
	}
	os.Setenv("ANNEX_TEST_DIR", dir)
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// text is a buffer that can be read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *text) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *text) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// process is a running program.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    text
	logs   text
	ended  chan struct{}
	err    error // of Wait, once ended is closed
	base   string
	client *client.Client
	roots  *x509.CertPool
}

// start runs a command with more environment; the test ends it.
func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.logs
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	})
	return p
}

// annex runs the real program.
func annex(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	file, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, env, file, args...)
}

// serveIn runs annex serve and waits until it listens.
func serveIn(t *testing.T, data string, args ...string) *process {
	t.Helper()
	all := append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, args...)
	p := annex(t, []string{"ANNEX_ADMIN_PASSWORD=" + testPassword}, all...)
	p.listens(data)
	return p
}

var listensOn = regexp.MustCompile(`annex listens on (\S+)\n`)

// listens waits until the program can be called.
func (p *process) listens(data string) {
	p.t.Helper()
	p.base = p.find(&p.out, listensOn)
	p.roots = x509.NewCertPool()
	ca, err := os.ReadFile(filepath.Join(data, "tls", "ca.pem"))
	if err != nil || !p.roots.AppendCertsFromPEM(ca) {
		p.t.Fatal("no local authority:", err)
	}
	p.client = client.New(p.base, p.roots)
}

// find waits for a text in the output and gives its last group.
func (p *process) find(in *text, re *regexp.Regexp) string {
	p.t.Helper()
	for deadline := time.Now().Add(hang); ; time.Sleep(5 * time.Millisecond) {
		if m := re.FindStringSubmatch(in.String()); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-p.ended:
			if m := re.FindStringSubmatch(in.String()); m != nil {
				return m[len(m)-1]
			}
			p.t.Fatalf("it ended (%v) without saying %v\n%s\n%s", p.err, re, p.out.String(), p.logs.String())
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("it does not say %v\n%s\n%s", re, p.out.String(), p.logs.String())
		}
	}
}

func (p *process) login() {
	p.t.Helper()
	if err := p.client.Login(p.t.Context(), "administrator", core.SystemOrg, testPassword); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the end and gives the exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(hang):
		p.t.Fatalf("it does not end\n%s", p.logs.String())
	}
	var e *exec.ExitError
	if p.err != nil && !errors.As(p.err, &e) {
		p.t.Fatal(p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stops ends the program as an operator would.
func (p *process) stops() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exit.OK {
		p.t.Fatalf("exit code %d\n%s", code, p.logs.String())
	}
}

// get calls a path without the client's reading of errors.
func (p *process) get(path string) (status int, header http.Header, body string) {
	p.t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.roots}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.base+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.client.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.client.Token)
	}
	resp, err := (&http.Client{Transport: transport, Timeout: hang}).Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// tree is every file below a directory with the digest of its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

// registered is a service with a filter and a token.
type registered struct{ id, token string }

// register makes an MQTT service that the calls below /api/test go to.
func (p *process) register() registered {
	p.t.Helper()
	var svc struct{ ID string }
	p.post("/cloudapi/extensions/api", map[string]any{
		"vendor": "test", "name": "echo", "version": "1.0.0", "priority": 50, "enabled": true, "authorizationEnabled": false, "description": "",
	}, &svc)
	p.filter(svc.ID, "/api/test/.*")
	var token struct{ Token string }
	p.post("/cloudapi/1.0.0/tokens", map[string]string{"name": "echo", "type": "EXTENSION", "extensionId": svc.ID}, &token)
	return registered{svc.ID, token.Token}
}

func (p *process) filter(system, pattern string) {
	p.t.Helper()
	p.post("/cloudapi/1.0.0/apiFilters", map[string]any{
		"externalSystem": map[string]string{"id": system},
		"urlMatcher":     map[string]string{"urlPattern": pattern, "urlScope": "API"},
	}, nil)
}

func (p *process) post(path string, in, out any) {
	p.t.Helper()
	if _, err := p.client.Do(p.t.Context(), client.Call{Method: http.MethodPost, Path: path, In: in, Out: out}); err != nil {
		p.t.Fatalf("%v\n%s", err, p.logs.String())
	}
}

// answers waits until the path answers 200 with the text.
func (p *process) answers(ctx context.Context, path, want string) {
	p.t.Helper()
	status, body := 0, ""
	for deadline := time.Now().Add(hang); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		if status, _, body = p.get(path); status == http.StatusOK && strings.Contains(body, want) {
			return
		}
	}
	p.t.Fatalf("%s answers %d %s\n%s", path, status, body, p.logs.String())
}
