package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/service"
)

func TestTheFirstStartMakesTheAdministratorAndSaysItsPasswordOnce(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	args := []string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "off"}
	first := annex(t, []string{"ANNEX_ADMIN_PASSWORD="}, args...)
	first.listens(data)
	password := first.find(&first.out, regexp.MustCompile(`administrator@System has the password (\S+) \(shown only now\)\n`))
	if err := first.client.Login(t.Context(), "administrator", core.SystemOrg, password); err != nil {
		t.Fatal(err)
	}
	first.stops()
	if n := strings.Count(first.out.String()+first.logs.String(), password); n != 1 {
		t.Errorf("the password is written %d times", n)
	}
	second := annex(t, nil, args...)
	second.listens(data)
	if err := second.client.Login(t.Context(), "administrator", core.SystemOrg, password); err != nil {
		t.Fatal(err)
	}
	second.stops()
	if out := second.out.String() + second.logs.String(); strings.Contains(out, "password") {
		t.Errorf("the second start speaks of a password:\n%s", out)
	}
}

func TestThePasswordOfTheEnvironmentIsForTheFirstStartOnly(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := serveIn(t, data)
	if strings.Contains(p.out.String(), "has the password") || strings.Contains(p.out.String()+p.logs.String(), testPassword) {
		t.Errorf("a given password is shown:\n%s", p.out.String())
	}
	p.login()
	p.stops()
	again := annex(t, []string{"ANNEX_ADMIN_PASSWORD=another"}, "serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "off")
	again.listens(data)
	again.login()
	if err := again.client.Login(t.Context(), "administrator", core.SystemOrg, "another"); core.ErrorCode(err) != core.Unauthenticated {
		t.Errorf("the password of a later start: %v", err)
	}
	again.stops()
}

func TestHealthIsServedAndCallsAreLoggedWithTheirRequestID(t *testing.T) {
	p := serveIn(t, filepath.Join(t.TempDir(), "data"), "--log-format", "json")
	for _, path := range []string{"/livez", "/readyz"} {
		if status, _, body := p.get(path); status != http.StatusOK || body != "ok\n" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	admin := p.find(&p.out, regexp.MustCompile(`profiles are at (\S+)\n`))
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/debug/pprof/goroutine?debug=1": 200, "/cloudapi/extensions/api": 404} {
		resp, err := http.Get(admin + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s of the admin listener: %d", path, resp.StatusCode)
		}
	}
	_, header, _ := p.get("/api/session")
	id := header.Get("X-Vmware-Vcloud-Request-Id")
	if id == "" {
		t.Fatal("no request id")
	}
	p.stops()
	for line := range strings.Lines(p.logs.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("a log line is no JSON: %s", line)
		}
		if entry["request_id"] == id {
			return
		}
	}
	t.Errorf("no log line has the request id %s:\n%s", id, p.logs.String())
}

func TestAStartThatCannotBeChangesNothing(t *testing.T) {
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	damaged := filepath.Join(dir, "damaged")
	p := serveIn(t, damaged)
	p.login()
	p.register()
	p.stops()
	badCA := filepath.Join(dir, "bad-ca")
	if err := os.CopyFS(badCA, os.DirFS(damaged)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(badCA, "tls", "ca.key"), "nothing")
	manifest := filepath.Join(damaged, "store", "MANIFEST")
	b, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-3] ^= 0xff
	write(t, manifest, string(b))
	file := filepath.Join(dir, "file")
	write(t, file, "no directory")
	fresh := filepath.Join(dir, "fresh")
	tests := []struct {
		name string
		env  string
		args []string
		code int
		want []string
	}{
		{"a port in use", "", []string{"--listen", taken.Addr().String()}, exit.Failed, []string{"cannot listen on " + taken.Addr().String(), "in use", "--listen"}},
		{"an admin port in use", "", []string{"--admin-listen", taken.Addr().String()}, exit.Failed, []string{"--admin-listen"}},
		{"an address of another machine", "", []string{"--listen", "192.0.2.1:8443"}, exit.Failed, []string{"192.0.2.1:8443"}},
		{"an address that is none", "", []string{"--listen", "localhost"}, exit.UsageError, []string{"--listen", "HOST:PORT"}},
		{"a flag that is none", "", []string{"--lisen", "x"}, exit.UsageError, []string{"--lisen", "--help"}},
		{"an argument too many", "", []string{"now"}, exit.UsageError, []string{`"now"`}},
		{"a log level that is none", "", []string{"--log-level", "loud"}, exit.UsageError, []string{"loud", "debug, info, warn or error"}},
		{"a public URL with a path", "", []string{"--public-url", "https://x/y"}, exit.UsageError, []string{"https://x/y"}},
		{"a variable that cannot be read", "ANNEX_DRAIN=soon", nil, exit.UsageError, []string{"ANNEX_DRAIN", "soon"}},
		{"a configuration that is not there", "", []string{"--config", "/nowhere/annex.yaml"}, exit.UsageError, []string{"/nowhere/annex.yaml"}},
		{"a certificate that is not there", "", []string{"--tls-certificate", "/nowhere.pem", "--tls-key", "/nowhere.key"}, exit.Failed, []string{"/nowhere.pem"}},
		{"a certificate without its key", "", []string{"--tls-certificate", "/nowhere.pem"}, exit.UsageError, []string{"tls.key"}},
		{"an authority that is none", "", []string{"--trust", file}, exit.Failed, []string{file, "no PEM certificate"}},
		{"a password that everybody tries first", "ANNEX_ADMIN_PASSWORD=admin", []string{"--listen", "0.0.0.0:0"}, exit.Failed, []string{"ANNEX_ADMIN_PASSWORD"}},
		{"a file for a data directory", "", []string{"--data", file}, exit.Failed, []string{file}},
		{"a store that is damaged", "", []string{"--data", damaged}, exit.Failed, []string{damaged, "MANIFEST", "--data"}},
		{"a key of the local authority that cannot be read", "", []string{"--data", badCA}, exit.Failed, []string{badCA, "ca.key"}},
	}
	before := tree(t, dir)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"serve", "--data", fresh, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, tt.args...)
			if strings.Contains(strings.Join(tt.args, " "), "--listen") {
				args = append([]string{"serve", "--data", fresh, "--admin-listen", "127.0.0.1:0"}, tt.args...)
			}
			p := annex(t, []string{tt.env}, args...)
			if code := p.exit(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(p.logs.String(), want) {
					t.Errorf("%q is not in:\n%s", want, p.logs.String())
				}
			}
			if out := p.out.String(); out != "" {
				t.Errorf("it says %s", out)
			}
		})
	}
	if after := tree(t, dir); !maps.Equal(before, after) {
		t.Errorf("files have changed:\n%v\n%v", before, after)
	}
	if _, err := os.Stat(fresh); err == nil {
		t.Error("the data directory was made")
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTwoGatewaysDoNotShareADataDirectory(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := serveIn(t, data)
	second := annex(t, nil, "serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "off")
	if code := second.exit(); code != exit.Failed || !strings.Contains(second.logs.String(), "in use by another process") {
		t.Errorf("exit code %d\n%s", code, second.logs.String())
	}
	p.login()
	p.stops()
}

// echo runs a service in this process that answers with the path after a
// moment.
func (p *process) echo(ctx context.Context, r registered, pause time.Duration) <-chan error {
	done := make(chan error, 1)
	go func() {
		done <- service.Run(ctx, service.Config{
			URL: "wss" + strings.TrimPrefix(p.base, "https") + "/messaging/mqtt", Vendor: "test", Name: "echo", Version: "1.0.0",
			Token: r.token, TLS: &tls.Config{RootCAs: p.roots}, MinBackoff: 10 * time.Millisecond, MaxBackoff: 50 * time.Millisecond,
		}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(pause)
			fmt.Fprintf(w, "echo %s", r.URL.Path)
		}))
	}()
	return done
}

func TestEveryAcceptedCallIsAnsweredWhenTheGatewayIsToldToEnd(t *testing.T) {
	p := serveIn(t, filepath.Join(t.TempDir(), "data"), "--log-level", "warn")
	p.login()
	ctx, cancel := context.WithCancel(t.Context())
	done := p.echo(ctx, p.register(), 20*time.Millisecond)
	p.answers(ctx, "/api/test/ready", "echo")
	var calls load
	var workers sync.WaitGroup
	for i := range 24 {
		workers.Go(func() {
			transport := &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: p.roots}, DisableKeepAlives: i%3 == 0, ForceAttemptHTTP2: i%3 == 1,
			}
			defer transport.CloseIdleConnections()
			for n := 0; calls.one(p, transport, fmt.Sprintf("/api/test/%d/%d", i, n)); n++ {
			}
		})
	}
	for deadline := time.Now().Add(hang); calls.answered.Load() < 200 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	p.signal(syscall.SIGTERM)
	workers.Wait()
	if code := p.exit(); code != exit.OK {
		t.Errorf("exit code %d", code)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	t.Logf("%d calls answered, %d connections refused at the end", calls.answered.Load(), calls.refused.Load())
	for _, e := range calls.errs {
		t.Error(e)
	}
	if t.Failed() {
		t.Log(p.logs.String())
	}
	if strings.Contains(p.logs.String(), "still in flight") {
		t.Errorf("the drain time ran out:\n%s", p.logs.String())
	}
}

// load counts what becomes of calls.
type load struct {
	answered, refused atomic.Int64
	mu                sync.Mutex
	errs              []error
}

// one makes a call that a client repeats by itself only if the server says
// that it did nothing, and reports whether to go on.
func (l *load) one(p *process, transport *http.Transport, path string) bool {
	accepted := false
	ctx := httptrace.WithClientTrace(p.t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { accepted = true }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, strings.NewReader("x"))
	if err != nil {
		p.t.Error(err)
		return false
	}
	req.Header.Set("Authorization", "Bearer "+p.client.Token)
	resp, err := (&http.Client{Transport: transport, Timeout: hang}).Do(req)
	if err == nil {
		var b []byte
		b, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && (resp.StatusCode != http.StatusOK || string(b) != "echo "+path) {
			err = fmt.Errorf("%s: %d %s", path, resp.StatusCode, b)
		}
	} else if !accepted {
		l.refused.Add(1)
		return false
	}
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.errs = append(l.errs, err)
		return false
	}
	l.answered.Add(1)
	return true
}

func TestWhatIsRegisteredServesAfterKill9(t *testing.T) {
	rounds := 20
	if os.Getenv("ANNEX_LONG") != "" {
		rounds = 200
	}
	data := filepath.Join(t.TempDir(), "data")
	p := serveIn(t, data, "--log-level", "warn")
	p.login()
	token := p.client.Token
	svc := p.register()
	address := strings.TrimPrefix(p.base, "https://")
	ctx, cancel := context.WithCancel(t.Context())
	done := p.echo(ctx, svc, 0)
	for round := range rounds {
		p.filter(svc.id, fmt.Sprintf("/api/round/%d", round))
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-p.ended
		p = annex(t, nil, "serve", "--data", data, "--listen", address, "--admin-listen", "off", "--log-level", "warn")
		p.listens(data)
		p.client.Token = token
		for n := range round + 1 {
			p.answers(ctx, fmt.Sprintf("/api/round/%d", n), fmt.Sprintf("echo /api/round/%d", n))
		}
	}
	p.stops()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
